"""A planner of your own in a closed loop with the bundled policy.

A planner is any object with `plan(image, instruction)`. This one needs no training: it looks for the colours that the
instruction names. It cannot tell a red cube from a red button, and says so where it finds nothing.
"""

import re

import numpy as np
from PIL import Image

import hamster
from hamster.evaluate.suites import find_suite

HUES_DEG = {"red": 0, "orange": 27, "yellow": 52, "green": 125, "blue": 215, "purple": 275, "pink": 330}


class ColourPlanner:
    """Draws a path from what has the first colour in the instruction to what has the second one."""

    def plan(self, image: np.ndarray, instruction: str) -> hamster.Plan:
        """Return the path; the gripper closes at its first waypoint and opens at the last one."""
        colours = re.findall("|".join(HUES_DEG), instruction.lower())
        if len(colours) != 2:
            raise hamster.PlanError(f"the instruction must name two colours of {', '.join(HUES_DEG)}")
        start, end = (self.centre(image, colour) for colour in colours)
        above = (start + end) / 2 - [0, 0.1]  # lift on the way
        states = [hamster.Gripper.CLOSED, hamster.Gripper.CLOSED, hamster.Gripper.OPEN]  # from each waypoint on
        return hamster.Plan(hamster.Path2D(np.clip([start, above, end], 0, 1), np.array(states)))

    def centre(self, image: np.ndarray, colour: str) -> np.ndarray:
        """Return the relative coordinates (2,) of the middle of what has this colour."""
        hue, saturation, value = np.moveaxis(np.asarray(Image.fromarray(image).convert("HSV")).astype(float), -1, 0)
        difference_deg = np.abs((hue * 360 / 255 - HUES_DEG[colour] + 180) % 360 - 180)
        rows, columns = np.nonzero((difference_deg < 12) & (saturation > 120) & (value > 80))
        if len(rows) < 20:
            raise hamster.NotInViewError(f"nothing {colour} is in view")
        height, width = image.shape[:2]
        return np.array([np.median(columns) / width, np.median(rows) / height])


def main() -> None:
    """Run one episode with a video, then compare with the baselines on a few scenes."""
    env = find_suite("tabletop").make("pick_place", 6)
    rollout = hamster.rollout(env, ColourPlanner(), hamster.load_policy("nano"), max_steps=200)
    print(f"{rollout.instruction!r}: {rollout.outcome} after {rollout.n_steps} control steps {rollout.message}")
    if len(rollout.video.frames):
        print(f"wrote {rollout.video.save('outputs/own_planner.mp4')}")

    conditions = [ColourPlanner(), "oracle", "none"]
    result = hamster.evaluate(conditions, "nano", families=["pick_place"], episodes=2, workers=1)
    for row in result.rows:
        low, high = row.interval
        print(
            f"{row.condition:>14}: {row.success_rate:.0%} of {row.n_episodes} (95 % interval {low:.0%} to {high:.0%})"
        )


if __name__ == "__main__":
    main()
