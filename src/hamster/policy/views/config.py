"""Configuration of the virtual-view policy; saved as config.json beside its weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod
from typing import Any, ClassVar, Literal

from hamster.policy.conditioning import ChannelConditioner, ImageConditioner, PointConditioner, check_conditioners
from hamster.policy.config import ActorConfig
from hamster.policy.views.cube import VIEWS


@dataclass(frozen=True)
class ViewsConfig(ActorConfig):
    """Architecture of the virtual-view actor.

    Attributes:
        points_px: cameras' images are subsampled to at most this side before they become points.
        virtual_views: names of `cube.VIEWS`, which together show all three axes.
        view_px: side of a rendered view and of its heat map, a multiple of the patch.
        half_m: half the side of the first stage's cube, which is centred on the tool.
        stages, zoom: each stage renders a cube smaller by `zoom` around the waypoint of the stage before.
        shared: one network for all stages.
        splat_px: how far a point spreads over its neighbours in a rendered view.
        stem, stem_width: strides of the convolutions that turn a patch into a token, and their channels.
        width, heads, layers: of the transformer; its first half attends within views, its second half across them.
        head_width: channels of the features for the heads and the heat maps.
        rotation: 72 bins of 5 degrees for each of three Euler angles in turn, or six numbers.
        sigma_px: of the Gaussian that is a heat map's target.
        jitter: in training the next cube is displaced by up to this part of the present one's half.
        max_instruction_tokens, word_width: words of the instruction that are encoded, and the width of a word's
            embedding; 0 words: no text input.
        text_encoder: "hash", a random code for each word; or "planner", a planner's embeddings, of its own width.
        planner: a bundled planner's name or the folder of a nano checkpoint, for `text_encoder`.
        planner_sizes: of `HamsterNanoConfig`, filled in when the policy is built; its weights are in the checkpoint.
    """

    type: ClassVar[str] = "views"

    conditioners: tuple[str, ...] = ("cloud", "tokens")
    points_px: int = 128
    virtual_views: tuple[str, ...] = ("top", "front", "right")
    view_px: int = 64
    half_m: float = 0.48
    stages: int = 2
    zoom: float = 3.5
    shared: bool = False
    splat_px: int = 1
    stem: tuple[int, ...] = (4, 2)
    stem_width: int = 64
    width: int = 128
    heads: int = 4
    layers: int = 4
    head_width: int = 128
    rotation: Literal["euler", "six"] = "euler"
    sigma_px: float = 1.5
    jitter: float = 0.06
    max_instruction_tokens: int = 0
    word_width: int = 64
    text_encoder: Literal["hash", "planner"] = "hash"
    planner: str = "nano"
    planner_sizes: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        kinds = (ImageConditioner, ChannelConditioner, PointConditioner)
        check_conditioners(self.conditioners, self.type, kinds, own=("tokens",))
        if self.action_type != "keypose":
            raise ValueError(f"the views policy predicts keyposes; for action_type {self.action_type!r} take flow")
        if unknown := sorted(set(self.virtual_views) - set(VIEWS)):
            raise ValueError(f"unknown virtual views {', '.join(unknown)}; there are: {', '.join(VIEWS)}")
        if {axis for name in self.virtual_views for axis in VIEWS[name].axes[:2]} != {0, 1, 2}:
            raise ValueError(
                f"the views {', '.join(self.virtual_views)} do not show all three axes; add one of {', '.join(VIEWS)}"
            )
        if self.view_px % self.patch_px:
            raise ValueError(f"view_px {self.view_px} is not a multiple of the patch, {self.patch_px} px")
        if self.width % self.heads:
            raise ValueError(f"width {self.width} is not a multiple of the heads, {self.heads}")
        if not 1 <= self.stages <= 3:
            raise ValueError(f"a views policy has 1 to 3 stages, not {self.stages}")

    @property
    def patch_px(self) -> int:
        """Side of the patch that becomes a token."""
        return prod(self.stem)


NANO = ViewsConfig()
"""Trains on one core; the built-in tabletop's keyposes lie within 0.44 m of the tool along each axis."""

RVT2 = ViewsConfig(
    cameras=("front", "left_shoulder", "right_shoulder", "wrist"),
    conditioners=("cloud",),
    view_px=224,
    half_m=1.0,
    zoom=4.0,
    stem=(14,),
    width=512,
    heads=8,
    layers=8,
    max_instruction_tokens=77,
    word_width=512,
)
"""The sizes of RVT-2 (arXiv 2406.08545): 65,536 points, 3 views of 224², 768 image tokens and 77 of language."""
