"""HAMSTER's planner and policy as a LeRobot policy; importing it registers `--policy.type=hamster`.

LeRobot finds the other modules by their names: `configuration_hamster` leads it to `modeling_hamster.HamsterPolicy` and
`processor_hamster.make_hamster_pre_post_processors`.
"""

from lerobot_policy_hamster.configuration_hamster import HamsterConfig

__all__ = ["HamsterConfig"]
