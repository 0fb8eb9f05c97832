"""Write a LeRobot checkpoint of a planner and a policy: python -m lerobot_policy_hamster DIR."""

from __future__ import annotations

from pathlib import Path

import tyro
from tyro.conf import Positional

from lerobot_policy_hamster.configuration_hamster import HamsterConfig
from lerobot_policy_hamster.modeling_hamster import HamsterPolicy


def save(
    out: Positional[Path],
    planner: str | None = "nano",
    policy: str = "flow-nano",
    planner_camera: str = "front",
    replan_every: int = 0,
    calibration: str | None = None,
    depth_unit_m: float = 1.0,
) -> None:
    """Write a checkpoint that lerobot-eval takes as --policy.path.

    Args:
        out: folder to write to.
        planner: bundled or registered name, folder, hub id or address of a server; None for none.
        policy: bundled or registered name, folder or hub id.
        planner_camera: camera whose image the planner draws on.
        replan_every: keyposes between two calls of the planner; 0 plans once.
        calibration: folder with meta/cameras.json.
        depth_unit_m: metres per unit of depth in the observation.
    """
    config = HamsterConfig(
        planner=planner,
        policy=policy,
        planner_camera=planner_camera,
        replan_every=replan_every,
        calibration=calibration,
        depth_unit_m=depth_unit_m,
    )
    HamsterPolicy(config).save_pretrained(out)
    print(f"checkpoint: {out}")  # noqa: T201


if __name__ == "__main__":
    tyro.cli(save, prog="python -m lerobot_policy_hamster")
