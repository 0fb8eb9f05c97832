"""One image, one instruction, two files: the path, and the image with the path on it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hamster.cli.planners import say_assumed_dialects
from hamster.data.images import read_image

SAMPLE = Path(__file__).parents[1] / "samples" / "table.png"  # "put the red cube on the blue plate"
MAX_INSTRUCTION = 2000  # characters; the serving contract's limit


def plan_image(
    image: Path, instruction: str, planner: str, out: Path, options: Mapping[str, Any] | None = None
) -> tuple[Path, Path]:
    """Plans on an image file and returns where path.json and drawn.png are; options: of `load_planner`.

    Raises:
        ValueError: if there is no such file, it is no readable PNG, JPEG or WebP or too large, or the instruction is
            empty or too long.
        PlanError: if the planner finds no path.
        PlannerUnavailableError: if its server cannot be asked now.
    """
    words = " ".join(instruction.split())
    if not words:
        raise ValueError("the instruction is empty; say what the robot should do")
    if len(words) > MAX_INSTRUCTION:
        raise ValueError(f"the instruction has {len(words)} characters; at most {MAX_INSTRUCTION} are read")
    try:
        rgb = read_image(image)
    except FileNotFoundError:
        raise ValueError(f"{image}: No such file or directory; to try, take {SAMPLE}") from None

    from PIL import Image

    from hamster.path.draw import draw
    from hamster.planner import load_planner
    from hamster.terminal import working

    options = dict(options or {})
    with working(f"asking {planner} …"):
        say_assumed_dialects([planner], options.get("dialect"))
        path = load_planner(planner, **options).plan(rgb, words).paths[0]
    out.mkdir(parents=True, exist_ok=True)
    path_json, drawn_png = out / "path.json", out / "drawn.png"
    path_json.write_text(json.dumps(path.to_json(), indent=2) + "\n")
    Image.fromarray(draw(rgb, path)).save(drawn_png)
    return path_json, drawn_png
