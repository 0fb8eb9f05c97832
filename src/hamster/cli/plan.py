"""`hamster plan`: a path for one image and one instruction."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional

from hamster.cli.compute import Compute
from hamster.cli.names import DIALECTS, PLANNERS

SAMPLE = Path(__file__).parents[1] / "samples" / "table.png"  # "put the red cube on the blue plate"


@dataclass(frozen=True)
class Plan(Compute):
    """Plan a path for an instruction on an image; writes path.json and drawn.png."""

    image: Positional[Path]
    """PNG, JPEG or WebP file. To try: samples/table.png of the package (docs/images/table.png of the repository) with
    "put the red cube on the blue plate"."""
    instruction: Positional[str]
    """What the robot should do, in plain English."""
    planner: Annotated[str, PLANNERS] = "nano"
    """Name of a planner, a checkpoint folder, a hub id OWNER/NAME, or http://HOST:PORT/v1#MODEL for a server
    that speaks OpenAI's protocol, as `hamster serve planner` (without /v1 for HAMSTER_beta's)."""
    dialect: Annotated[str | None, DIALECTS] = None
    """Answer format of the planner; if not given, as its checkpoint or server says."""
    refusals: bool = True
    """Let the planner refuse if the object is not in view (if it can); --no-refusals: always draw a path."""
    out: Path = Path("outputs/plan")
    """Folder of path.json and drawn.png."""

    def run(self) -> None:
        """Plan, write both files, print where they are."""
        from PIL import Image

        from hamster.cli.planners import required_by_planners, say_assumed_dialects
        from hamster.data.images import read_image
        from hamster.extras import require
        from hamster.files import write_atomic
        from hamster.path.draw import draw
        from hamster.planner import load_planner
        from hamster.planner.base import checked_plan, validate_instruction
        from hamster.terminal import show_next, working

        require(required_by_planners([self.planner]), "hamster plan")
        instruction = validate_instruction(self.instruction)
        try:
            rgb = read_image(self.image)
        except FileNotFoundError:
            raise ValueError(f"{self.image}: No such file or directory; to try, take {SAMPLE}") from None
        with working(f"asking {self.planner} …"):
            say_assumed_dialects([self.planner], self.dialect)
            abstains = None if self.refusals else False
            planner = load_planner(self.planner, dialect=self.dialect, abstains=abstains, **self.computed)
            path = checked_plan(planner.plan(rgb, instruction), planner).path
        self.out.mkdir(parents=True, exist_ok=True)
        path_json, drawn_png = self.out / "path.json", self.out / "drawn.png"
        write_atomic(path_json, json.dumps(path.to_json(), indent=2) + "\n")
        Image.fromarray(draw(rgb, path)).save(drawn_png)
        print(path_json, drawn_png, sep="\n")  # noqa: T201
        show_next(f"hamster eval planner --planner {self.planner}")
