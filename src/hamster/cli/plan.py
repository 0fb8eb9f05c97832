"""`hamster plan`: one image, one instruction, one path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional


@dataclass(frozen=True)
class Plan:
    """Draw the path that carries out an instruction on an image; writes path.json and drawn.png."""

    image: Positional[Path]
    """A PNG, JPEG or WebP file."""
    instruction: Positional[str]
    """What the robot should do, in plain English."""
    planner: str = "nano"
    """Name of a bundled planner, or a checkpoint's folder."""
    out: Path = Path("outputs/plan")
    """Where path.json and drawn.png go."""

    def run(self) -> None:
        """Plans, writes both files, prints where they are."""
        from hamster.cli.plan_image import plan_image

        for file in plan_image(self.image, self.instruction, self.planner, self.out):
            print(file)  # noqa: T201
