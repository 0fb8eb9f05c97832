"""State layouts of the robots in Open X-Embodiment, which differ from collection to collection."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hamster.data.robots import PANDA_OPEN_M, RECORDED_FROM_TOOL, GripperScale
from hamster.geometry import matrix_from_euler_xyz, matrix_from_quaternion, matrix_from_rotation_vector

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Robot:
    """How to read one robot's state.

    Attributes:
        fps: steps per second.
        position, rotation: name of the observation, and its columns.
        matrix: from the rotation's columns (T, n) to matrices (T, 3, 3).
        gripper: from all observations by name to the recorded signal (T,).
        scale: of that signal.
        recorded_from_tool: (4, 4), from the tool's tip to the frame that was recorded.
    """

    fps: float
    position: tuple[str, slice]
    rotation: tuple[str, slice]
    matrix: Callable[[Array], Array]
    gripper: Callable[[Mapping[str, Array]], Array]
    scale: GripperScale
    recorded_from_tool: Array

    def poses(self, state: Mapping[str, Array]) -> Array:
        """Return tool poses (T, 4, 4) in the frame of the robot's base, NaN where one is not finite.

        Raises:
            ValueError: if none is finite.
        """
        (place, columns), (turn, turn_columns) = self.position, self.rotation
        state = {name: np.where(np.isfinite(values), values, np.nan) for name, values in state.items()}
        out = np.tile(np.eye(4), (len(state[place]), 1, 1))
        out[:, :3, 3] = state[place][:, columns]
        out[:, :3, :3] = self.matrix(state[turn][:, turn_columns])
        known = np.isfinite(out).all((1, 2))
        if not known.any():
            raise ValueError(f"the tool's poses ({place}) are not finite numbers")
        out[~known] = np.nan
        return np.asarray(out @ self.recorded_from_tool)

    def opening(self, state: Mapping[str, Array]) -> Array | None:
        """Return (T,) 0 closed to 1 open, NaN where not finite; None if it leaves its scale, so means something else.

        Raises:
            ValueError: if it is missing, or never finite.
        """
        signal = self.gripper(state)
        if not np.isfinite(signal).any():
            raise ValueError("the gripper's opening is missing or not finite numbers")
        return self.scale.opening(signal)


def matrix_from_xyzw(quaternions: Array) -> Array:
    """Return (T, 4), the scalar last -> (T, 3, 3)."""
    norm = np.linalg.norm(quaternions, axis=-1, keepdims=True)
    return matrix_from_quaternion(np.roll(np.where(norm > 1e-6, quaternions, np.nan), 1, -1))


def _column(name: str, column: int, state: Mapping[str, Array]) -> Array:
    return state[name][:, column]


def _between_fingers(state: Mapping[str, Array]) -> Array:
    return np.abs(state["state"][:, 6] - state["state"][:, 7])


BRIDGE = Robot(
    fps=5,
    position=("state", slice(0, 3)),
    rotation=("state", slice(3, 6)),
    matrix=matrix_from_euler_xyz,
    gripper=partial(_column, "state", 6),
    scale=GripperScale(closed=0, open=1),
    recorded_from_tool=RECORDED_FROM_TOOL["bridge"],
)
DROID = Robot(
    fps=15,
    position=("cartesian_position", slice(0, 3)),
    rotation=("cartesian_position", slice(3, 6)),
    matrix=matrix_from_euler_xyz,
    gripper=partial(_column, "gripper_position", 0),
    scale=GripperScale(closed=1, open=0),
    recorded_from_tool=RECORDED_FROM_TOOL["droid"],
)
FRACTAL = Robot(
    fps=3,
    position=("base_pose_tool_reached", slice(0, 3)),
    rotation=("base_pose_tool_reached", slice(3, 7)),
    matrix=matrix_from_xyzw,
    gripper=partial(_column, "gripper_closed", 0),
    scale=GripperScale(closed=1, open=0),
    recorded_from_tool=RECORDED_FROM_TOOL["fractal"],
)
LIBERO = Robot(
    fps=20,
    position=("state", slice(0, 3)),
    rotation=("state", slice(3, 6)),
    matrix=matrix_from_rotation_vector,
    gripper=_between_fingers,
    scale=GripperScale(closed=0, open=PANDA_OPEN_M),
    recorded_from_tool=RECORDED_FROM_TOOL["robosuite"],
)
# By how a dataset's name begins, and the observations (with how many columns) that it then has to have.
ROBOTS: tuple[tuple[str, dict[str, int], Robot], ...] = (
    ("bridge", {"state": 7}, BRIDGE),
    ("libero", {"state": 8}, LIBERO),
    ("", {"cartesian_position": 6, "gripper_position": 1}, DROID),
    ("", {"base_pose_tool_reached": 7, "gripper_closed": 1}, FRACTAL),
)


def find_robot(dataset: str, columns: Mapping[str, int]) -> Robot | None:
    """Return the robot of a dataset with these observations (name to number of columns); None if unknown.

    What a column means is not written down in a dataset: of an unknown one the state is left alone, not guessed.
    """
    for start, needed, robot in ROBOTS:
        if dataset.startswith(start) and needed.items() <= columns.items():
            return robot
    return None
