"""Rates, times and bounds of the loop on a robot."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hamster.rollout.robots.follower import MotionLimits
from hamster.rollout.robots.watchdog import COMMAND_TIMEOUT_S
from hamster.rollout.safety import SafetyFilter

ROBOT_BOUNDS = SafetyFilter(max_speed_m_s=0.3, max_acceleration_m_s2=1.0)
"""The bounds of commands to a robot, slower than those of the simulator."""


@dataclass(frozen=True)
class RobotLoopConfig:
    """Settings of `RobotLoop`.

    Attributes:
        control_hz: commands per second, at most; a command is never sent earlier than one period after the last.
        command_timeout_s: the watchdog stops the robot this long after the last valid command. It must be longer than
            a control period by half, so that a single late command stops nothing.
        hold_age_s: age of the newest observation from which on the setpoint comes to rest until a newer one arrives.
            The robot is stopped at `safety_filter.max_age_s`.
        max_action_age_s: age of the observation behind an action of the policy, when the action arrives.
        max_path_age_s: age of the image behind a path, when the policy is called to follow it.
        first_observation_s: time for the first observation to arrive.
        planner_timeout_s: for one call of the planner.
        policy_timeout_s: for one call of the policy.
        replan_s: seconds from one call of the planner to the next; 0 plans once, on the first image.
        duration_s: after which the run ends.
        dry_run: observe, plan, act, check and log, and send nothing to the robot.
        limits: speeds and accelerations of the setpoint.
        safety_filter: bounds that every command is checked against.
    """

    control_hz: float = 20.0
    command_timeout_s: float = COMMAND_TIMEOUT_S
    hold_age_s: float = 0.15
    max_action_age_s: float = 10.0
    max_path_age_s: float = 120.0
    first_observation_s: float = 10.0
    planner_timeout_s: float = 60.0
    policy_timeout_s: float = 10.0
    replan_s: float = 0.0
    duration_s: float = 60.0
    dry_run: bool = False
    limits: MotionLimits = field(default_factory=MotionLimits)
    safety_filter: SafetyFilter = ROBOT_BOUNDS

    def __post_init__(self) -> None:
        for name in (
            "control_hz", "command_timeout_s", "hold_age_s", "max_action_age_s", "max_path_age_s",
            "first_observation_s", "planner_timeout_s", "policy_timeout_s", "duration_s",
        ):  # fmt: skip
            if not 0 < getattr(self, name) < np.inf:
                raise ValueError(f"{name} must be finite and > 0, got {getattr(self, name)}")
        if not 0 <= self.replan_s < np.inf:
            raise ValueError(f"replan_s must be finite and >= 0, got {self.replan_s}")
        if self.hold_age_s > self.safety_filter.max_age_s:
            raise ValueError(
                f"hold_age_s must be at most max_age_s of the safety filter, {self.safety_filter.max_age_s}"
            )
        if self.command_timeout_s < 1.5 * self.period_s:
            raise ValueError(
                f"commands at {self.control_hz:g} Hz need a command_timeout_s of at least {1.5 * self.period_s:.3g} s, "
                f"got {self.command_timeout_s:g} s; or use control_hz >= {1.5 / self.command_timeout_s:g}"
            )
        self.limits.check(self.safety_filter)

    @property
    def period_s(self) -> float:
        """Seconds from one command to the next."""
        return 1 / self.control_hz
