"""Ask a planner for a path on an image, draw the path, and save both.

python examples/plan_an_image.py [IMAGE] [INSTRUCTION]
"""

import json
import sys
from pathlib import Path

from PIL import Image

import hamster
from hamster.data.images import read_image
from hamster.path.draw import draw

SAMPLE = Path(__file__).parents[1] / "docs" / "images" / "table.png"


def main(image_file: str = str(SAMPLE), instruction: str = "put the red cube on the blue plate") -> None:
    """Plan, print and draw one path."""
    planner = hamster.load_planner("nano")
    image = read_image(image_file)  # RGB, (H, W, 3) uint8
    try:
        plan = planner.plan(image, instruction)
    except hamster.NotInViewError as refusal:
        print(f"the planner refuses: {refusal}")
        return
    for waypoint, (u, v) in enumerate(plan.path.uv):  # relative to the image, x right, y down
        print(f"waypoint {waypoint}: ({u:.3f}, {v:.3f}), gripper {hamster.Gripper(plan.path.gripper[waypoint]).name}")
    print(f"score {plan.path.score:.2f}, answer {plan.raw_text}")

    out = Path("outputs/plan_an_image")
    out.mkdir(parents=True, exist_ok=True)
    (out / "path.json").write_text(json.dumps(plan.path.to_json()))
    Image.fromarray(draw(image, plan.path)).save(out / "drawn.png")
    print(f"wrote {out}/path.json and {out}/drawn.png")


if __name__ == "__main__":
    main(*sys.argv[1:])
