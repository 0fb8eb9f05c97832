"""What a flow actor consists of; saved as config.json beside its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hamster.policy.config import ActorConfig


@dataclass(frozen=True)
class FlowConfig(ActorConfig):
    """Architecture of the flow-matching actor.

    Attributes:
        glimpse_px: side of a glimpse, a multiple of 8; each yields (glimpse_px / 8)² tokens.
        fovea_width: part of the image that a fovea covers; the first glimpse covers all of it.
        width, heads: of the transformer; width / heads is a multiple of 8.
        encoder_layers, decoder_layers: self-attention over the context; cross-attention of the action.
        key_waypoints: waypoints that get a fovea (events, the end, the sharpest turns).
        path_waypoints: further waypoints, evenly spaced along the path.
        position_scale_m: what one unit of the flow's position means.
        euler_steps: of the rectified flow at inference.
        samples: drawn at inference; the most central one is executed.
    """

    family: ClassVar[str] = "flow"

    conditioners: tuple[str, ...] = ("tokens", "foveas")
    glimpse_px: int = 32
    fovea_width: float = 0.25
    width: int = 128
    heads: int = 4
    encoder_layers: int = 2
    decoder_layers: int = 2
    key_waypoints: int = 4
    path_waypoints: int = 12
    position_scale_m: float = 0.02
    euler_steps: int = 5
    samples: int = 8

    @property
    def glimpses(self) -> int:
        """The whole image, the tool, and the key waypoints."""
        return 2 + self.key_waypoints
