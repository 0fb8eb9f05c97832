"""Run the loop of `hamster run robot` on one scene after another, and count how often the block is lifted.

    python loop.py OUT [EPISODES] [PLANNER]

`hamster run robot --robot so101-sim` is one of these episodes. The times allowed are longer here: the simulated arm moves
by the command and not by the clock, so that a machine with other work only takes longer.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path

from so101_sim import SimulatedRobot

import hamster
from hamster.evaluate.statistics.intervals import wilson
from hamster.rollout.robots import EventLog, MotionLimits, RobotLoop, RobotLoopConfig
from hamster.rollout.robots.config import ROBOT_BOUNDS

WAIT_S = 60.0
BOUNDS = replace(ROBOT_BOUNDS, workspace_low_m=(0.08, -0.3, -0.01), workspace_high_m=(0.4, 0.3, 0.35), max_age_s=WAIT_S)


def main(out: str, episodes: int = 20, planner_name: str = "red-block") -> None:
    """Run episodes; each leaves its events in OUT/loop."""
    planner, policy = hamster.load_planner(planner_name), hamster.load_policy(str(Path(out) / "policy"))
    config = RobotLoopConfig(
        command_timeout_s=WAIT_S, hold_age_s=WAIT_S / 2, planner_timeout_s=WAIT_S, policy_timeout_s=WAIT_S,
        first_observation_s=WAIT_S, max_action_age_s=WAIT_S, max_path_age_s=1e4, duration_s=120,
        limits=MotionLimits(speed_m_s=0.1), safety_filter=BOUNDS,
    )  # fmt: skip
    folder = Path(out) / "loop"
    folder.mkdir(exist_ok=True)
    lifted = 0
    for seed in range(episodes):
        robot = SimulatedRobot(seed, Path(out) / "demos")
        log = EventLog(folder / f"{seed:03d}.jsonl")
        run = RobotLoop(robot, planner, policy, config, log=log).run()
        log.close()
        lifted += run.outcome == "done"
        print(f"scene {seed}: {run.outcome} {run.reason}, {run.n_commands} commands", flush=True)
    low, high = wilson(lifted, episodes)
    record = {"planner": planner_name, "episodes": episodes, "lifted": lifted, "interval_95": [low, high]}
    (folder / f"{planner_name}.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"{planner_name}: {lifted} of {episodes} lifted (95 % interval {low:.0%} to {high:.0%})")


if __name__ == "__main__":
    main(sys.argv[1], *map(int, sys.argv[2:3]), *sys.argv[3:4])
