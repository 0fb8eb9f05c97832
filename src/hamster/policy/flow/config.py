"""What a flow actor consists of; saved as config.json beside its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

from hamster.policy.config import ActorConfig

PATCH_PX = 8
Backbone = Literal["tower", "resnet18", "resnet50"]


@dataclass(frozen=True)
class FlowConfig(ActorConfig):
    """Architecture of the flow-matching actor.

    Attributes:
        glimpse_px: side of a glimpse, a multiple of 8; each yields (glimpse_px / 8)² tokens. 0: no glimpses.
        fovea_width: part of the first camera's image that a fovea covers; the first glimpse covers all of it.
        image_px: side at which each camera's whole image yields (image_px / 8)² tokens more. 0: none.
        backbone: what sees the whole images: a few convolutions, or a ResNet's trunk up to stride 8.
        frozen_backbone: keep it as it is; for one that was trained elsewhere.
        words, word_width: tokens of the instruction, and the width of a word's code; 0 words: it is never told any.
        width, heads: of the transformer; width / heads is a multiple of 8.
        briefing_layers: all visual tokens attend to all others (words, path, body), before they are thinned.
        keep: the part of the whole images' tokens that takes part in self-attention; the action can look at all.
        encoder_layers: self-attention over the context; from `visual_layers` on the visual tokens are looked at only.
        decoder_layers: cross-attention of the action.
        key_waypoints: waypoints that matter (events, the end, the sharpest turns); each gets a fovea from `foveas`.
        path_waypoints: further waypoints, evenly spaced along the path.
        position_scale_m: what one unit of the flow's position means. The network says how far a pose is from a straight
            line of poses to where it points; with more than one pose, about how much motions bend.
        schedule: rectified flow, or diffusion by DDIM or DDPM.
        steps: of the schedule at inference: 1-10 suffice for flow and DDIM, DDPM needs up to 100.
        samples: drawn at inference; what is executed is where they are densest.
    """

    family: ClassVar[str] = "flow"

    conditioners: tuple[str, ...] = ("tokens", "foveas")
    glimpse_px: int = 32
    fovea_width: float = 0.25
    image_px: int = 0
    backbone: Backbone = "tower"
    frozen_backbone: bool = False
    words: int = 0
    word_width: int = 64
    width: int = 128
    heads: int = 4
    briefing_layers: int = 0
    keep: float = 1.0
    encoder_layers: int = 2
    visual_layers: int = 1
    decoder_layers: int = 2
    key_waypoints: int = 4
    path_waypoints: int = 12
    position_scale_m: float = 0.02
    schedule: Literal["flow", "ddim", "ddpm"] = "flow"
    steps: int = 5
    samples: int = 8

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.glimpse_px % PATCH_PX or self.image_px % PATCH_PX:
            raise ValueError(f"glimpse_px and image_px must be multiples of {PATCH_PX}, or 0")
        if not self.glimpse_px and not self.image_px:
            raise ValueError("a flow policy sees nothing without glimpse_px or image_px")
        if self.width % self.heads or (self.width // self.heads) % 8:
            raise ValueError(f"width {self.width} / heads {self.heads} is not a multiple of 8")
        if not 1 <= self.steps <= 100 or not 0 < self.keep <= 1:
            raise ValueError("a flow policy takes 1 to 100 steps, and keeps more than 0 and up to 1 of its tokens")
        if "foveas" in self.conditioners and not self.glimpse_px:
            raise ValueError("the conditioner `foveas` needs glimpses: set glimpse_px, or use `tokens`")

    @property
    def foveas(self) -> int:
        """How many key waypoints are looked at closely; without that conditioner, where they are stays untold."""
        return self.key_waypoints if "foveas" in self.conditioners else 0


DENSE = FlowConfig(conditioners=("tokens",), image_px=128)
"""The whole image in 256 tokens instead of foveas: every conditioner, and none, finds the same eyes."""

FLOWMATCH = FlowConfig(
    cameras=("front", "left_shoulder", "right_shoulder", "wrist"),
    conditioners=("tokens",),
    glimpse_px=0,
    image_px=256,
    backbone="resnet50",
    frozen_backbone=True,
    words=53,
    word_width=512,
    history=3,
    briefing_layers=2,
    keep=0.25,
    encoder_layers=8,
    visual_layers=8,
    decoder_layers=8,
)
"""The sizes of 3D FlowMatch Actor (arXiv 2508.11002): a ResNet-50 up to stride 8 over four images of 256², so 4,096
tokens, a quarter of which take part in eight layers of self-attention; 53 of language, three poses, 5 Euler steps. Its
width of 120 in 8 heads is 128 in 4 here, so that every head is 32 wide."""
