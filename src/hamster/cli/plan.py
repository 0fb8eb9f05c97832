"""`hamster plan`: one image, one instruction, one path."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from tyro.conf import Positional

from hamster.cli.compute import Compute


@dataclass(frozen=True)
class Plan(Compute):
    """Draw the path that carries out an instruction on an image; writes path.json and drawn.png."""

    image: Positional[Path]
    """A PNG, JPEG or WebP file. One to try lies in samples/table.png of the package (docs/images/table.png of the
    repository): "put the red cube on the blue plate"."""
    instruction: Positional[str]
    """What the robot should do, in plain English."""
    planner: str = "nano"
    """Name of a bundled planner, a checkpoint's folder, a hub id OWNER/NAME, or http://HOST:PORT/v1#MODEL for a server
    that speaks OpenAI's protocol, as `hamster serve planner` (without /v1 for HAMSTER_beta's)."""
    dialect: str | None = None
    """In which the planner answers; by default as its checkpoint or server says."""
    refusals: bool = True
    """Let the planner say that what it is asked for is not in view, if it can; without, it always draws."""
    out: Path = Path("outputs/plan")
    """Where path.json and drawn.png go."""

    def run(self) -> None:
        """Plans, writes both files, prints where they are."""
        from hamster.cli.plan_image import plan_image
        from hamster.terminal import show_next

        abstains = None if self.refusals else False
        options = {"dialect": self.dialect, "abstains": abstains, **self.computed}
        for file in plan_image(self.image, self.instruction, self.planner, self.out, options):
            print(file)  # noqa: T201
        show_next(f"hamster eval planner --planner {self.planner}")
