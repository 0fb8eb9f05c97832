"""Configuration of the flow policy; saved as config.json beside its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from hamster.policy.conditioning import ChannelConditioner, ImageConditioner, PointConditioner, check_conditioners
from hamster.policy.config import ActorConfig

PATCH_PX = 8
OWN_CONDITIONERS = ("tokens", "foveas", "latent")  # that this policy type implements itself
Backbone = Literal["conv_stem", "resnet18", "resnet50"]


@dataclass(frozen=True)
class FlowConfig(ActorConfig):
    """Architecture of the flow-matching actor.

    Attributes:
        crop_px: side of a crop of the first camera's image, a multiple of 8; each yields (crop_px / 8)² tokens.
            0: none.
        fovea_width: part of the first camera's image that a fovea covers; the first crop covers all of it.
        image_px: side at which each camera's whole image yields (image_px / 8)² tokens more. 0: none.
        backbone: what encodes the whole images: a few convolutions, or a ResNet up to stride 8.
        frozen_backbone: do not train the backbone; for one that was trained elsewhere.
        max_instruction_tokens: words of the instruction that are encoded; 0: no text input.
        word_width: width of a word's embedding.
        text_encoder: "hash", a random code for each word; or "planner", a planner's embeddings, of its own width.
        planner: a bundled planner's name or the folder of a nano checkpoint, for `text_encoder` and the conditioner
            `latent`.
        planner_sizes: of `HamsterNanoConfig`, filled in when the policy is built; its weights are in the checkpoint.
        width, heads: of the transformer; width / heads is a multiple of 8.
        cross_attention_layers: visual tokens attend to all others (words, path, robot), before they are pruned.
        token_keep_ratio: the part of the whole images' tokens that takes part in self-attention; the decoder attends to
            all.
        encoder_layers: self-attention over the context.
        visual_self_attention_layers: the first so many of them update visual tokens, too; later ones only attend to
            them.
        decoder_layers: cross-attention of the action to the context.
        key_waypoints: gripper events, the end, the sharpest turns; each gets a fovea with the conditioner `foveas`.
        path_waypoints: further waypoints, evenly spaced along the path.
        position_scale_m: one unit of the flow's position. The network predicts how far a pose is from a straight line
            of poses to the anchor; with more than one pose, about how much trajectories bend.
        schedule: rectified flow, or diffusion by DDIM or DDPM.
        steps: of the schedule at inference: 1-10 suffice for flow and DDIM, DDPM needs up to 100.
        samples: drawn at inference; their densest place is executed.
    """

    type: ClassVar[str] = "flow"

    conditioners: tuple[str, ...] = ("tokens", "foveas")
    crop_px: int = 32
    fovea_width: float = 0.25
    image_px: int = 0
    backbone: Backbone = "conv_stem"
    frozen_backbone: bool = False
    max_instruction_tokens: int = 0
    word_width: int = 64
    text_encoder: Literal["hash", "planner"] = "hash"
    planner: str = "nano"
    planner_sizes: dict[str, Any] = field(default_factory=dict)
    width: int = 128
    heads: int = 4
    cross_attention_layers: int = 0
    token_keep_ratio: float = 1.0
    encoder_layers: int = 2
    visual_self_attention_layers: int = 1
    decoder_layers: int = 2
    key_waypoints: int = 4
    path_waypoints: int = 12
    position_scale_m: float = 0.02
    schedule: Literal["flow", "ddim", "ddpm"] = "flow"
    steps: int = 5
    samples: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        kinds = (ImageConditioner, ChannelConditioner, PointConditioner)
        check_conditioners(self.conditioners, self.type, kinds, own=OWN_CONDITIONERS)
        if self.crop_px % PATCH_PX or self.image_px % PATCH_PX:
            raise ValueError(f"crop_px and image_px must be multiples of {PATCH_PX}, or 0")
        if not self.crop_px and not self.image_px:
            raise ValueError("a flow policy needs image input: set crop_px or image_px")
        if self.width % self.heads or (self.width // self.heads) % 8:
            raise ValueError(f"width {self.width} / heads {self.heads} is not a multiple of 8")
        if not 1 <= self.steps <= 100 or not 0 < self.token_keep_ratio <= 1:
            raise ValueError("a flow policy needs 1 <= steps <= 100 and 0 < token_keep_ratio <= 1")
        if {"foveas", "latent"} & set(self.conditioners) and not self.crop_px:
            raise ValueError("the conditioners `foveas` and `latent` need crops: set crop_px, or use `tokens`")
        if {"foveas", "latent"} <= set(self.conditioners):
            raise ValueError("the foveas are either of the path or of the planner's pointer: `foveas` or `latent`")


DENSE = FlowConfig(conditioners=("tokens",), image_px=128)
"""The whole image in 256 tokens instead of foveas: visual input does not depend on the conditioner."""

FLOWMATCH = FlowConfig(
    cameras=("front", "left_shoulder", "right_shoulder", "wrist"),
    conditioners=("tokens",),
    crop_px=0,
    image_px=256,
    backbone="resnet50",
    frozen_backbone=True,
    max_instruction_tokens=53,
    word_width=512,
    n_obs_history=3,
    cross_attention_layers=2,
    token_keep_ratio=0.25,
    encoder_layers=8,
    visual_self_attention_layers=8,
    decoder_layers=8,
)
"""The sizes of 3D FlowMatch Actor (arXiv 2508.11002): a ResNet-50 up to stride 8 over four images of 256², so 4,096
tokens, a quarter of which take part in eight layers of self-attention; 53 of language, three poses, 5 Euler steps. Its
width of 120 in 8 heads is 128 in 4 here, so that every head is 32 wide."""
