"""What an image actor consists of; saved as config.json beside its weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from hamster.policy.config import ActorConfig, Head

CONDITIONERS = ("overlay", "channels", "tokens")


@dataclass(frozen=True)
class ImageConfig(ActorConfig):
    """Architecture of the 2D actor.

    It is told where the tool is, but not where its cameras are: it learns that, and holds for cameras that stay there.

    Attributes:
        image_px: side that images are shrunk to, a multiple of 16; the path is drawn on the shrunk image.
        width, heads: of the transformer; width / heads is a multiple of 8.
        encoder_layers, decoder_layers: self-attention among the patches; cross-attention of the chunk's poses.
        points: image points that each camera's spatial soft-max finds.
        waypoints: tokens of the conditioner `tokens`, evenly spaced along the path.
        position_scale_m: what one unit of the network's output means: about as far as a chunk goes.
    """

    family: ClassVar[str] = "image"
    needs_depth: ClassVar[bool] = False

    head: Head = "chunk"
    horizon: int = 8
    executed: int = 4
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
        if unknown := sorted(set(self.conditioners) - set(CONDITIONERS)):
            raise ValueError(f"the image policy has no conditioner {unknown}; there are: {', '.join(CONDITIONERS)}")
        if self.image_px % 16:
            raise ValueError(f"image_px must be a multiple of 16, got {self.image_px}")
