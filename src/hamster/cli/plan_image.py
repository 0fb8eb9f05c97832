"""One image, one instruction, two files: the path, and the image with the path on it."""

from __future__ import annotations

import json
from pathlib import Path

from hamster.data.images import read_image

MAX_INSTRUCTION = 2000  # characters; the serving contract's limit


def plan_image(image: Path, instruction: str, planner: str, out: Path) -> tuple[Path, Path]:
    """Plans on an image file and returns where path.json and drawn.png are.

    Raises:
        ValueError: if the file is no readable PNG, JPEG or WebP, is too large, or the instruction is empty or too long.
        PlanError: if the planner finds no path.
    """
    words = " ".join(instruction.split())
    if not words:
        raise ValueError("the instruction is empty; say what the robot should do")
    if len(words) > MAX_INSTRUCTION:
        raise ValueError(f"the instruction has {len(words)} characters; at most {MAX_INSTRUCTION} are read")
    rgb = read_image(image)

    from PIL import Image

    from hamster.path.draw import draw
    from hamster.planner import load_planner

    path = load_planner(planner).plan(rgb, words).paths[0]
    out.mkdir(parents=True, exist_ok=True)
    path_json, drawn_png = out / "path.json", out / "drawn.png"
    path_json.write_text(json.dumps(path.to_json(), indent=2) + "\n")
    Image.fromarray(draw(rgb, path)).save(drawn_png)
    return path_json, drawn_png
