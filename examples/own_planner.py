"""A planner of your own in a closed loop with the bundled policy.

A planner is any object with `plan(image, instruction)`. This one asks a person's question of the pixels: where is what
is red, and where is what is blue? It needs no training, and knows one kind of instruction.
"""

import numpy as np

import hamster
from hamster.evaluate.suites import find_suite


class ColourPlanner:
    """Draws a path from the largest red thing to the largest blue one."""

    def plan(self, image: np.ndarray, instruction: str) -> hamster.Plan:
        """Return the path; the gripper closes at the first thing and opens at the second."""
        start, end = self.centre(image, channel=0), self.centre(image, channel=2)
        above = (start + end) / 2 - [0, 0.15]  # lift on the way
        states = [hamster.Gripper.CLOSED, hamster.Gripper.CLOSED, hamster.Gripper.OPEN]  # from each waypoint on
        return hamster.Plan(hamster.Path2D(np.clip([start, above, end], 0, 1), np.array(states)))

    def centre(self, image: np.ndarray, channel: int) -> np.ndarray:
        """Return the relative coordinates (2,) of the middle of what has this colour; PlanError if nothing has."""
        rgb = np.asarray(image).astype(int)
        others = np.delete(rgb, channel, axis=-1).max(-1)
        rows, columns = np.nonzero(rgb[..., channel] - others > 50)
        if not len(rows):
            raise hamster.PlanError(f"nothing {('red', 'green', 'blue')[channel]} is in view")
        height, width = rgb.shape[:2]
        return np.array([np.median(columns) / width, np.median(rows) / height])


def main() -> None:
    """Run one episode with a video, then compare with the baselines on a few scenes."""
    env = find_suite("tabletop").make("pick_place", 5)
    rollout = hamster.rollout(env, ColourPlanner(), hamster.load_policy("nano"), max_steps=200)
    print(f"{rollout.instruction!r}: {rollout.outcome} after {rollout.n_steps} steps {rollout.message}")
    rollout.video.save("outputs/own_planner.mp4")

    result = hamster.evaluate(
        [ColourPlanner(), "oracle", "none"], policy="nano", families=["pick_place"], episodes=2, workers=1
    )
    for row in result.rows:
        low, high = row.interval
        print(f"{row.condition:>14}: {row.success_rate:.0%} (95 % interval {low:.0%} to {high:.0%}, n = {row.n_episodes})")


if __name__ == "__main__":
    main()
