"""Configuration of the 2D baseline; saved as config.json beside its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hamster.policy.conditioning import ChannelConditioner, ImageConditioner, check_conditioners
from hamster.policy.config import ActionType, ActorConfig


@dataclass(frozen=True)
class ImageConfig(ActorConfig):
    """Architecture of the 2D actor.

    It gets the tool's pose, but not its cameras' calibration: it learns where they are, and works only while they stay
    there.

    Attributes:
        image_px: side that images are resized to, a multiple of 16; the path is drawn on the resized image.
        width, heads: of the transformer; width / heads is a multiple of 8.
        encoder_layers, decoder_layers: self-attention among the patches; cross-attention of the chunk's poses.
        points: image points that each camera's spatial soft-max finds.
        waypoints: number of waypoints of the conditioner `tokens`, evenly spaced along the path.
        position_scale_m: one unit of the network's output: about as far as a chunk goes.
    """

    type: ClassVar[str] = "image"
    needs_depth: ClassVar[bool] = False

    action_type: ActionType = "chunk"
    horizon: int = 8
    n_action_steps: int = 4
    conditioners: tuple[str, ...] = ("overlay",)
    image_px: int = 128
    width: int = 128
    heads: int = 4
    encoder_layers: int = 2
    decoder_layers: int = 3
    points: int = 32
    waypoints: int = 16
    position_scale_m: float = 0.2

    def __post_init__(self) -> None:
        super().__post_init__()
        check_conditioners(self.conditioners, self.type, (ImageConditioner, ChannelConditioner), own=("tokens",))
        if self.image_px % 16:
            raise ValueError(f"image_px must be a multiple of 16, got {self.image_px}")
