"""Move a setpoint along the poses of a policy, one step per control period, within speed and acceleration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.geometry.motion import angle_between
from hamster.geometry.transforms import matrix_from_rotation_vector
from hamster.rollout.safety import SafetyFilter
from hamster.rollout.safety_checks import rotation_vectors

Array = NDArray[np.float64]
REACHED_M, REACHED_RAD = 5e-4, 5e-3
GRIPPER_S = 0.5
"""Time for the gripper to open or close at a keypose."""


@dataclass(frozen=True)
class MotionLimits:
    """Speeds and accelerations of the setpoint: metres, radians, seconds."""

    speed_m_s: float = 0.25
    angular_speed_rad_s: float = 1.0
    acceleration_m_s2: float = 0.5
    angular_acceleration_rad_s2: float = 2.0

    def check(self, bounds: SafetyFilter) -> None:
        """Raise ValueError unless all are > 0 and below the bounds of the safety filter, which only is a guard."""
        for name, bound in (
            ("speed_m_s", bounds.max_speed_m_s),
            ("angular_speed_rad_s", bounds.max_angular_speed_rad_s),
            ("acceleration_m_s2", bounds.max_acceleration_m_s2),
            ("angular_acceleration_rad_s2", bounds.max_angular_acceleration_rad_s2),
        ):
            if not 0 < getattr(self, name) <= 0.95 * bound:
                raise ValueError(
                    f"{name} must be > 0 and at most 95 % of the safety filter's bound {bound:g}, "
                    f"got {getattr(self, name):g}"
                )


class SetpointFollower:
    """Follows keyposes, at each of which it comes to rest, or a stream of poses a fixed time apart.

    Args:
        limits: of the setpoint.
        period_s: seconds per step.
    """

    def __init__(self, limits: MotionLimits, period_s: float) -> None:
        self._limits, self._period_s = limits, period_s
        self._pose = np.eye(4)
        self._velocity, self._angular_velocity = np.zeros(3), np.zeros(3)
        self._gripper_open = True
        self._targets: list[tuple[Array, bool]] = []
        self._step_s: float | None = None
        self._left_s = 0.0  # until the next pose of a stream is due, or the gripper has moved

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left to follow."""
        return not self._targets

    def start(self, tool_pose_world: ArrayLike, gripper_open: bool) -> None:
        """Set the setpoint, at rest, to the measured pose (4, 4) and state of the gripper."""
        self._pose, self._gripper_open = np.array(tool_pose_world, np.float64), gripper_open
        self._velocity, self._angular_velocity = np.zeros(3), np.zeros(3)
        self._targets.clear()

    def follow(self, tool_poses_world: Array, gripper_open: NDArray[np.bool_], step_s: float | None) -> None:
        """Follow these poses (K, 4, 4) from now on, instead of what is left of others.

        Args:
            tool_poses_world: checked by the safety filter.
            gripper_open: (K,) commanded once the pose is reached.
            step_s: seconds from one pose to the next; None for keyposes.
        """
        self._targets = [(pose, bool(state)) for pose, state in zip(tool_poses_world, gripper_open, strict=True)]
        self._step_s, self._left_s = step_s, step_s or 0.0

    def step(self, hold: bool = False) -> tuple[Array, bool]:
        """Return the setpoint one period later: the pose (4, 4) and the state of the gripper.

        Args:
            hold: come to rest, as fast as the acceleration allows, and keep what is left to follow.
        """
        if hold or not self._targets:
            self._advance(np.zeros(3), np.zeros(3))
            return self._pose.copy(), self._gripper_open
        target, target_open = self._targets[0]
        way, turn = target[:3, 3] - self._pose[:3, 3], rotation_vectors(np.stack([self._pose, target]))[0]
        within_s = self._period_s
        if self._step_s is not None and len(self._targets) > 1:
            within_s = max(self._left_s, self._period_s)
        limits, rests = self._limits, self._step_s is None or len(self._targets) == 1
        self._advance(
            self._speed_towards(way, limits.speed_m_s, limits.acceleration_m_s2, within_s, rests),
            self._speed_towards(turn, limits.angular_speed_rad_s, limits.angular_acceleration_rad_s2, within_s, rests),
        )
        self._pass(target, target_open)
        return self._pose.copy(), self._gripper_open

    def _speed_towards(self, way: Array, speed: float, acceleration: float, within_s: float, rests: bool) -> Array:
        """Return the velocity (3,) towards a target that is `way` (3,) off, slow enough to come to rest there."""
        length = float(np.linalg.norm(way))
        if length < 1e-9:
            return np.zeros(3)
        allowed = min(speed, length / within_s)
        if rests:
            step = acceleration * self._period_s
            allowed = min(allowed, step * (-0.5 + np.sqrt(0.25 + 2 * length / (step * self._period_s))))
        return way * (allowed / length)

    def _advance(self, velocity: Array, angular_velocity: Array) -> None:
        """Move for one period, with velocities as near to these as the accelerations allow."""
        limits, period_s = self._limits, self._period_s
        self._velocity = _towards(self._velocity, velocity, limits.acceleration_m_s2 * period_s)
        self._angular_velocity = _towards(
            self._angular_velocity, angular_velocity, limits.angular_acceleration_rad_s2 * period_s
        )
        self._pose[:3, 3] += self._velocity * period_s
        turn = matrix_from_rotation_vector(self._angular_velocity * period_s)
        # U V^T of the singular values keeps the rounding of many products from adding up.
        u, _, vt = np.linalg.svd(turn @ self._pose[:3, :3])
        self._pose[:3, :3] = u @ vt

    def _pass(self, target: Array, target_open: bool) -> None:
        """Go on to the next pose if this one is reached, or its time is over."""
        if self._step_s is not None and len(self._targets) > 1:
            self._left_s -= self._period_s
            if self._left_s <= 1e-9:
                self._gripper_open, self._left_s = target_open, self._left_s + self._step_s
                self._targets.pop(0)
            return
        is_near = np.linalg.norm(target[:3, 3] - self._pose[:3, 3]) < REACHED_M
        if not is_near or angle_between(target[:3, :3], self._pose[:3, :3]) > REACHED_RAD:
            return
        if self._gripper_open != target_open:
            self._gripper_open, self._left_s = target_open, GRIPPER_S
        elif self._left_s > self._period_s:
            self._left_s -= self._period_s
        else:
            self._left_s = 0.0
            self._targets.pop(0)


def _towards(value: Array, target: Array, most: float) -> Array:
    change = target - value
    length = float(np.linalg.norm(change))
    return target if length <= most else value + change * (most / length)
