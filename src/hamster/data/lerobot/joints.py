"""The columns of a dataset's joints, by their names.

| recognised | as |
|---|---|
| a feature …joints, …joint_pos, …joint_position(s), with a shape (J,) | J joints |
| a state with three or more names like shoulder_pan.pos, joint_1, wrist_flex | these, and the gripper |

The action of the same size and names, if there is one, holds the commanded positions. Velocities, torques and
differences are no positions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data.records import JointStates

Array = NDArray[np.float64]
_FEATURE = re.compile(r"(?:.*[._/])?(?:joints?|qpos)(?:[._]?(?:pos|positions?|angles?|states?))?")
_NAME = re.compile(r"(?:.*[._/])?(?:.*joint.*|shoulder.*|elbow.*|wrist.*|waist|forearm.*|(?:main_)?\w+\.pos)")
_OTHER = re.compile(r"vel|torque|effort|delta|accel|current|eef|\bee|tcp|command")
_FINGERS = re.compile(r"(?:.*[._/])?(?:gripper|jaw|finger).*")
_FEWEST = 3


@dataclass(frozen=True)
class JointColumns:
    """Where the joints are.

    Attributes:
        state: column of the measured positions; `action`, of the commanded ones, "" if there are none.
        take: which of the J numbers of a row.
        names: of these; () where the dataset has none.
    """

    state: str
    action: str
    take: tuple[int, ...]
    names: tuple[str, ...]

    @property
    def columns(self) -> list[str]:
        """The columns to read from the data file."""
        return [name for name in (self.state, self.action) if name]

    def read(
        self, columns: Mapping[str, Array], extent: tuple[Array, Array] | None, robot_type: str
    ) -> JointStates | None:
        """Return the joints of an episode; None if the column is not as declared, or its extent is not known.

        Args:
            columns: (T, D) by name.
            extent: smallest and largest values (D,) of the state over the dataset.
            robot_type: as the dataset states it.
        """
        state, take = columns.get(self.state), list(self.take)
        if state is None or extent is None or state.shape[1] <= max(take) or len(extent[0]) <= max(take):
            return None
        action = columns.get(self.action)
        commanded = None if action is None or action.shape != state.shape else action[:, take]
        return JointStates(
            self.names, state[:, take], extent[0][take], extent[1][take], commanded, "", robot_type
        )  # fmt: skip


def find_joints(
    features: Mapping[str, Mapping[str, Any]], names_of: Callable[[Mapping[str, Any]], Sequence[str]]
) -> JointColumns | None:
    """Return where the joints are, or None if no names point to them.

    Args:
        features: of info.json.
        names_of: returns the names of a feature's numbers, [] if it has not one each.
    """
    states = [key for key in features if "action" not in key and not _OTHER.search(key.lower())]
    for key in states:
        shape = list(features[key].get("shape") or ())
        if len(shape) == 1 and isinstance(shape[0], int) and _FEATURE.fullmatch(key.lower()) and shape[0] >= _FEWEST:
            return JointColumns(key, _action_of(key, features), tuple(range(shape[0])), tuple(names_of(features[key])))
    for key in states:
        names = names_of(features[key])
        joints = [i for i, name in enumerate(names) if _NAME.fullmatch(name) and not _OTHER.search(name)]
        if sum(not _FINGERS.fullmatch(names[i]) for i in joints) >= _FEWEST:
            fingers = [i for i, name in enumerate(names) if _FINGERS.fullmatch(name) and i not in joints]
            take = sorted([*joints, *fingers])
            return JointColumns(key, _action_of(key, features), tuple(take), tuple(names[i] for i in take))
    return None


def _action_of(state: str, features: Mapping[str, Mapping[str, Any]]) -> str:
    """Return the action with as many numbers, and the same names if it has any; "" without one."""
    for key in (state.replace("observation.state", "action"), state.replace("state", "action"), "action"):
        if key in features and key != state and features[key].get("shape") == features[state].get("shape"):
            named = features[key].get("names")
            if named is None or named == features[state].get("names"):
                return key
    return ""
