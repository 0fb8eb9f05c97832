"""The gate between a policy and a robot. A guard in software, not a certified function."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class MotionRefusedError(ValueError):
    """A motion that no robot should be sent; the message says which keypose and why."""


@dataclass(frozen=True)
class Gate:
    """A box in the world, in metres, that the tool's tip must not leave."""

    low: tuple[float, float, float] = (0.1, -0.6, -0.03)
    high: tuple[float, float, float] = (0.9, 0.6, 0.9)

    def check(self, poses: Array, gripper_open: NDArray[np.bool_] | Array) -> None:
        """Refuses a motion whole, before its first step. Finiteness first: NaN slips through every comparison.

        Args:
            poses: (K, 4, 4) tool poses in the world.
            gripper_open: (K,).

        Raises:
            MotionRefusedError: if a shape is wrong, a number is not finite, a rotation is none, or a tip is outside.
        """
        poses, openings = np.asarray(poses, np.float64), np.asarray(gripper_open, np.float64)
        if poses.ndim != 3 or poses.shape[1:] != (4, 4) or len(poses) == 0 or openings.shape != (len(poses),):
            raise MotionRefusedError(
                f"a motion is poses (K >= 1, 4, 4) and gripper (K,), got {poses.shape} {openings.shape}"
            )
        for index, (pose, opening) in enumerate(zip(poses, openings, strict=True)):
            reason = self._reason(pose, opening)
            if reason:
                raise MotionRefusedError(f"keypose {index}: {reason}")

    def _reason(self, pose: Array, opening: float) -> str:
        if not (np.isfinite(pose).all() and np.isfinite(opening)):
            return "a number is not finite"
        rotation, tip = pose[:3, :3], pose[:3, 3]
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) or np.linalg.det(rotation) < 0:
            return "the rotation is not a rotation"
        if not ((np.asarray(self.low) <= tip).all() and (tip <= np.asarray(self.high)).all()):
            at = ", ".join(f"{x:.3g}" for x in tip)
            return f"the tip ({at}) is outside the workspace {self.low} to {self.high}"
        return ""
