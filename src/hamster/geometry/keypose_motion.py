"""Interpolate keyposes to one tool pose per control step, for the expert and all policies alike."""

from __future__ import annotations

from math import atan2, cos, sin

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.geometry.motion import angle_between, interpolate
from hamster.geometry.transforms import pose

Array = NDArray[np.float64]
CONTROL_DT_S = 0.05
SPEED_M_S = 0.4
# Where a motion stays low, things are pushed: fast, they would hop and spin away.
LOW_M = 0.05
LOW_M_S = 0.2
TURN_RAD_S = 2.5
# The last stretch is slow: what is touched there is pushed, pressed or set down gently.
SLOW_M = 0.02
SLOW_M_S = 0.1
CLOSE_S = 0.35
OPEN_S = 0.25
# The servos lag by some 30 ms: one step of standing still makes up for it.
DWELL_STEPS = 1


def down_pose(position: ArrayLike, yaw: float) -> Array:
    """Return tool_pose_world (4, 4) of a tool at `position` (3,) that points down, its fingers opening along `yaw`."""
    c, s = cos(yaw), sin(yaw)
    return pose(position, np.array([[-s, c, 0.0], [c, s, 0.0], [0.0, 0.0, -1.0]]))


def yaw_of(tool_pose_world: ArrayLike) -> float:
    """Return the world direction in which the fingers of a tool (4, 4) open, radians in (-pi, pi]."""
    y_axis = np.asarray(tool_pose_world)[:3, 1]
    return atan2(y_axis[1], y_axis[0])


def keypose_steps(
    tool_pose_world: ArrayLike, gripper_open: bool, target_pose_world: ArrayLike, target_open: bool
) -> tuple[Array, Array]:
    """Return the commands that take the tool from one pose to the next keypose, one per control step of 0.05 s.

    The tool moves on a straight line, slowly at its end, with the gripper as it was; if the keypose commands another
    gripper state, the tool then waits while the gripper moves.

    Args:
        tool_pose_world, gripper_open: what was last commanded.
        target_pose_world, target_open: the keypose.

    Returns:
        tool poses (T, 4, 4) and gripper openings (T,), 0 or 1; T >= 1.
    """
    start, target = np.asarray(tool_pose_world, np.float64), np.asarray(target_pose_world, np.float64)
    poses = _approach(start, target)
    wait = round((OPEN_S if target_open else CLOSE_S) / CONTROL_DT_S) if gripper_open != target_open else 0
    opening = np.repeat([float(gripper_open), float(target_open)], [len(poses) + DWELL_STEPS, wait])
    return np.concatenate([poses, np.repeat(target[None], DWELL_STEPS + wait, 0)]), opening


def stream_steps(
    tool_pose_world: ArrayLike, gripper_open: bool, target_pose_world: ArrayLike, target_open: bool, step_s: float
) -> tuple[Array, Array]:
    """Return commands as `keypose_steps`, to a pose that is passed after `step_s` seconds without stopping.

    It takes longer where the tool would have to exceed its speed.

    Args:
        tool_pose_world, gripper_open: last command; the pose (4, 4) in metres.
        target_pose_world, target_open: the pose to pass.
        step_s: seconds until then.
    """
    start, target = np.asarray(tool_pose_world, np.float64), np.asarray(target_pose_world, np.float64)
    length, angle = float(np.linalg.norm(target[:3, 3] - start[:3, 3])), angle_between(start[:3, :3], target[:3, :3])
    speed, turn = min(SPEED_M_S, length / step_s + 1e-9), min(TURN_RAD_S, angle / step_s + 1e-9)
    poses = interpolate(start, target, speed, turn, CONTROL_DT_S)
    waiting = max(0, round(step_s / CONTROL_DT_S) - len(poses))
    poses = np.concatenate([poses, np.repeat(target[None], waiting, 0)])
    return poses, np.append(np.full(len(poses) - 1, float(gripper_open)), float(target_open))


def _approach(start: Array, target: Array) -> Array:
    """Return the poses of an approach: fast until SLOW_M before the target, then slow; rotation in the fast part."""
    way = target[:3, 3] - start[:3, 3]
    length = float(np.linalg.norm(way))
    if length <= SLOW_M:
        return interpolate(start, target, SLOW_M_S, TURN_RAD_S, CONTROL_DT_S)
    near = target.copy()
    near[:3, 3] -= way * (SLOW_M / length)
    speed = LOW_M_S if max(start[2, 3], target[2, 3]) < LOW_M else SPEED_M_S
    fast = interpolate(start, near, speed, TURN_RAD_S, CONTROL_DT_S)
    return np.concatenate([fast, interpolate(near, target, SLOW_M_S, TURN_RAD_S, CONTROL_DT_S)])
