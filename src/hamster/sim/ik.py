"""Inverse kinematics of the site "tool" by damped least squares.

Position has priority, then orientation in its null space, then the home pose in the remaining one: an arm with fewer
than six joints still reaches the point, with the nearest possible orientation.
"""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.sim.arms import Arm

Array = NDArray[np.float64]
DAMPING = 1e-3  # small against squared lever arms of 0.1-1 m, large enough for a straight elbow
MAX_TURN = 0.3  # rad (or m) per iteration and joint
HOMING = 0.03
POSITION_TOLERANCE_M = 1e-4
ROTATION_TOLERANCE_RAD = 1e-3


class Ik:
    """Inverse kinematics of a model's arm, with an `MjData` of its own."""

    def __init__(self, model: mujoco.MjModel, arm: Arm) -> None:
        self._model, self._data = model, mujoco.MjData(model)
        joints = [model.joint(name) for name in arm.joints]
        self._qpos = np.array([joint.qposadr[0] for joint in joints])
        self._dofs = np.array([joint.dofadr[0] for joint in joints])
        self._low, self._high = np.array([joint.range for joint in joints]).T
        self._home = np.array(arm.home)
        self._site = model.site("tool").id
        self._jacobian = np.zeros((2, 3, model.nv))

    def solve(self, tool_pose_world: ArrayLike, start: ArrayLike, iterations: int = 30) -> Array:
        """Return joint positions within limits whose tool is nearest to a target.

        Args:
            tool_pose_world: target (4, 4).
            start: joint positions (n,) to start from.
            iterations: at most.
        """
        target, q = np.asarray(tool_pose_world, np.float64), np.array(start, np.float64)
        for _ in range(iterations):
            shift, turn = self._error(target, q)
            if shift @ shift < POSITION_TOLERANCE_M**2 and turn @ turn < ROTATION_TOLERANCE_RAD**2:
                break
            q = np.clip(q + self._step(shift, turn, q), self._low, self._high)
        return q

    def error(self, tool_pose_world: ArrayLike, q: ArrayLike) -> tuple[float, float]:
        """Return distance (m) and angle (rad) between the tool at joint positions q (n,) and a target (4, 4)."""
        shift, turn = self._error(np.asarray(tool_pose_world, np.float64), np.asarray(q, np.float64))
        return float(np.linalg.norm(shift)), float(np.linalg.norm(turn))

    def _move_to(self, q: Array) -> None:
        self._data.qpos[self._qpos] = q
        mujoco.mj_kinematics(self._model, self._data)
        mujoco.mj_comPos(self._model, self._data)

    def _error(self, target: Array, q: Array) -> tuple[Array, Array]:
        self._move_to(q)
        rotation = self._data.site_xmat[self._site].reshape(3, 3)
        return target[:3, 3] - self._data.site_xpos[self._site], _turn(target[:3, :3] @ rotation.T)

    def _step(self, shift: Array, turn: Array, q: Array) -> Array:
        """Return a step by task priority: each moves in the null space of those before (Siciliano, Slotine 1991)."""
        mujoco.mj_jacSite(self._model, self._data, self._jacobian[0], self._jacobian[1], self._site)
        move, spin = self._jacobian[..., self._dofs]
        free = np.eye(len(q))
        step = np.zeros(len(q))
        for jacobian, error in ((move, shift), (spin, turn)):
            projected = jacobian @ free
            inverse = projected.T @ np.linalg.inv(projected @ projected.T + DAMPING**2 * np.eye(3))
            step += inverse @ (error - jacobian @ step)
            free = free - inverse @ projected
        step += free @ (HOMING * (self._home - q))
        return step * min(1.0, MAX_TURN / max(float(np.abs(step).max()), 1e-12))


def _turn(rotation: Array) -> Array:
    """Return the rotation vector (3,) of a rotation matrix (3, 3)."""
    quaternion, vector = np.zeros(4), np.zeros(3)
    mujoco.mju_mat2Quat(quaternion, np.ascontiguousarray(rotation).ravel())
    mujoco.mju_quat2Vel(vector, quaternion, 1.0)
    return vector
