"""Which columns are the robot's tool and gripper: as the sidecar says, else by names that mean one thing only.

| recognised | as |
|---|---|
| names x, y, z (also with a prefix eef, ee, tcp, tool) of one feature | the tool's position, metres |
| with them qw, qx, qy, qz; or roll, pitch, yaw; or axis_angle1-3, rx, ry, rz | its rotation |
| a feature …eef_position, …ee_pos, …tcp_position … of 3 numbers, …_quaternion (w first) of 4 | the same |
| a feature …cartesian_position of 6 numbers (DROID) | position and Euler angles x, y, z |
| gripper_open, gripper_opening | 1 open, 0 (or -1) closed |
| gripper_close, gripper_closed | 1 closed, 0 (or -1) open |
| gripper_width, or two columns both named gripper (LIBERO's fingers) | width, as part of the episode's widest |
| with DROID's cartesian_position: gripper_position | 1 closed, 0 open |

States are preferred to actions; an action is never a position, since it may be a difference. A bare `gripper` is 1
when open in some datasets and when closed in others: it counts as unknown until the sidecar says what it means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data.lerobot.sidecar import FILE, column_of
from hamster.geometry import matrix_from_quaternion

Array = NDArray[np.float64]
_PREFIX = r"(?:.*[._/])?(?:eef|ee|tcp|tool|end_effector)"
_AXES = re.compile(r"(?:(?:eef|ee|tcp|tool|end_effector)[._]?)?(?:pos(?:ition)?[._]?)?([xyz])")
_POSITION = re.compile(_PREFIX + r"[._]?(?:position|pos|xyz)")
_QUATERNION = re.compile(_PREFIX + r"[._]?(?:quaternion|quat)")
_OPEN = re.compile(r"(?:.*[._/])?gripper[._]?(?:open|opening|openness)")
_CLOSED = re.compile(r"(?:.*[._/])?gripper[._]?(?:close|closed)")
_WIDTH = re.compile(r"(?:.*[._/])?gripper[._]?width")
_DROID = "cartesian_position"
_SPIN: dict[str, tuple[tuple[str, ...], ...]] = {
    "quaternion_wxyz": (("qw", "qx", "qy", "qz"), ("rw", "rx", "ry", "rz")),
    "euler_xyz": (("roll", "pitch", "yaw"),),
    "rotvec": (("axis_angle1", "axis_angle2", "axis_angle3"), ("rx", "ry", "rz")),
}


@dataclass(frozen=True)
class Signal:
    """Numbers of a column, (T, D), and what turns them into what is meant."""

    column: str
    take: Sequence[int] | slice
    meaning: Callable[[Array], Array]

    def read(self, columns: Mapping[str, Array]) -> Array:
        """ValueError if a value is missing or not finite."""
        if self.column not in columns:
            raise ValueError(f"there is no column {self.column!r}; name the robot's columns in {FILE}")
        values = columns[self.column][:, self.take]
        broken = np.flatnonzero(~np.isfinite(values).all(1))
        if len(broken):
            raise ValueError(f"column {self.column!r} is not finite at frame {broken[0]}")
        return self.meaning(values)


@dataclass(frozen=True)
class Robot:
    """How to read the tool's position (T, 3), rotation (T, 3, 3) and the gripper's opening (T,), each or None."""

    position: Signal | None = None
    rotation: Signal | None = None
    gripper: Signal | None = None

    @property
    def columns(self) -> list[str]:
        """What has to be read from the data file."""
        return [signal.column for signal in (self.position, self.rotation, self.gripper) if signal]

    def poses(self, columns: Mapping[str, Array]) -> Array | None:
        """(T, 4, 4) tool poses; without a known rotation they are not turned."""
        if self.position is None:
            return None
        tips = self.position.read(columns)
        out = np.tile(np.eye(4), (len(tips), 1, 1))
        out[:, :3, 3] = tips
        if self.rotation is not None:
            out[:, :3, :3] = self.rotation.read(columns)
        return out

    def opening(self, columns: Mapping[str, Array]) -> Array | None:
        """(T,) 0 closed to 1 open."""
        return None if self.gripper is None else self.gripper.read(columns)


def robot_of(features: Mapping[str, Mapping[str, Any]], described: Mapping[str, Any]) -> Robot:
    """From the sidecar's entry, completed by the names of info.json's features.

    Raises:
        ValueError: if the sidecar says something that nobody understands.
    """
    states = [key for key in features if "action" not in key and "delta" not in key]  # both may be differences
    found = Robot(*_by_feature(states, features))
    for key in [*states, *(key for key in features if "action" in key)]:
        if found.position is None and key in states:
            found = Robot(*_by_names(key, _names(features[key])), found.gripper)
        if found.gripper is None:
            found = Robot(found.position, found.rotation, _gripper_of(key, features[key]))
    return _as_described(found, described) if described else found


def _by_feature(
    keys: Sequence[str], features: Mapping[str, Mapping[str, Any]]
) -> tuple[Signal | None, Signal | None, Signal | None]:
    size = {key: int(np.prod(features[key].get("shape") or (1,))) for key in keys}
    for key in keys:
        if key.endswith(_DROID) and size[key] == 6:
            grip = next((k for k in keys if k == key.replace(_DROID, "gripper_position")), None)
            closed = Signal(grip, slice(None), lambda values: 1 - _binary(values)) if grip else None
            return Signal(key, slice(0, 3), _as_is), Signal(key, slice(3, 6), _euler_xyz), closed
        if _POSITION.fullmatch(key) and size[key] == 3:
            spins = (k for k in keys if _QUATERNION.fullmatch(k) and size[k] == 4 and _stem(k) == _stem(key))
            spin = next((Signal(k, slice(None), matrix_from_quaternion) for k in spins), None)
            return Signal(key, slice(None), _as_is), spin, None
    return None, None, None


def _stem(key: str) -> str:
    return re.split(r"pos|xyz|quat", key)[0]


def _by_names(key: str, names: Sequence[str]) -> tuple[Signal | None, Signal | None]:
    at = {match[1]: i for i, name in reversed(list(enumerate(names))) if (match := _AXES.fullmatch(name))}
    if set(at) != {"x", "y", "z"}:
        return None, None
    for kind, choices in _SPIN.items():
        for choice in choices:
            where = [next((i for i, name in enumerate(names) if name.split(".")[-1] == part), -1) for part in choice]
            if min(where) >= 0:
                return Signal(key, [at["x"], at["y"], at["z"]], _as_is), Signal(key, where, ROTATIONS[kind])
    return Signal(key, [at["x"], at["y"], at["z"]], _as_is), None


def _gripper_of(key: str, feature: Mapping[str, Any]) -> Signal | None:
    names = _names(feature) or ([key] if list(feature.get("shape") or ()) == [1] else [])
    for pattern, meaning in ((_OPEN, _binary), (_CLOSED, lambda values: 1 - _binary(values)), (_WIDTH, _width)):
        for i, name in enumerate(names):
            if pattern.fullmatch(name) or (len(names) == 1 and pattern.fullmatch(key)):
                return Signal(key, [i], meaning)
    fingers = [i for i, name in enumerate(names) if name == "gripper"]
    return Signal(key, fingers, _width) if len(fingers) == 2 else None


def _names(feature: Mapping[str, Any]) -> list[str]:
    """The names of a feature's numbers, which come as a list or as a list per group; [] unless there is one each."""
    names = feature.get("names")
    if isinstance(names, Mapping):
        names = [name for group in names.values() if isinstance(group, list) for name in group]
    size = int(np.prod(feature.get("shape") or (1,)))
    if not isinstance(names, list) or len(names) != size or feature.get("dtype") in ("image", "video"):
        return []
    return [str(name).lower() for name in names]


def _as_described(found: Robot, described: Mapping[str, Any]) -> Robot:
    def signal(name: str, meaning: Callable[[Array], Array], old: Signal | None) -> Signal | None:
        return old if name not in described else Signal(*column_of(str(described[name])), meaning)

    kind = str(described.get("rotation", "quaternion_wxyz"))
    if kind not in ROTATIONS:
        raise ValueError(f"{FILE}: rotation {kind!r}; there are {', '.join(ROTATIONS)}")
    try:
        wide, narrow = float(described.get("open", 1.0)), float(described.get("closed", 0.0))
    except (TypeError, ValueError):
        raise ValueError(f"{FILE}: `open` and `closed` have to be numbers") from None
    if not np.isfinite([wide, narrow]).all() or wide == narrow:
        raise ValueError(f"{FILE}: `open` and `closed` have to be two different numbers")

    def opening(values: Array) -> Array:
        measured = values[:, 0] if values.shape[1] == 1 else np.abs(values).mean(1)
        return np.clip((measured - narrow) / (wide - narrow), 0, 1)

    return Robot(
        signal("tool_position", _as_is, found.position),
        signal("tool_rotation", ROTATIONS[kind], found.rotation),
        signal("gripper", opening, found.gripper),
    )


def _as_is(values: Array) -> Array:
    return values


def _binary(values: Array) -> Array:
    """(T, 1) in [0, 1] or [-1, 1] -> (T,) in [0, 1]."""
    signal = values[:, 0]
    return np.clip((signal + 1) / 2 if signal.min() < -0.01 else signal, 0, 1)


def _width(values: Array) -> Array:
    """(T, D) distances of the fingers, any unit and sign -> (T,), 1 at the widest of the episode."""
    width = np.abs(values).sum(1)
    return np.asarray(width / width.max() if width.max() > 0 else width)


def _euler_xyz(values: Array) -> Array:
    """(T, 3) roll, pitch, yaw: turned about the fixed x, then y, then z axis -> (T, 3, 3)."""
    half = values / 2
    about = np.zeros((3, len(values), 4))
    for axis in range(3):
        about[axis, :, 0], about[axis, :, axis + 1] = np.cos(half[:, axis]), np.sin(half[:, axis])
    x, y, z = (matrix_from_quaternion(quaternion) for quaternion in about)
    return np.asarray(z @ y @ x)


def _rotvec(values: Array) -> Array:
    """(T, 3) axis times angle -> (T, 3, 3)."""
    angle = np.linalg.norm(values, axis=1, keepdims=True)
    axis = np.divide(values, angle, out=np.zeros_like(values), where=angle > 0)
    return matrix_from_quaternion(np.hstack([np.cos(angle / 2), axis * np.sin(angle / 2)]))


def _wxyz(values: Array) -> Array:
    """(T, 4) -> (T, 3, 3)."""
    return matrix_from_quaternion(values)


def _xyzw(values: Array) -> Array:
    """(T, 4) -> (T, 3, 3)."""
    return matrix_from_quaternion(values[:, [3, 0, 1, 2]])


ROTATIONS: dict[str, Callable[[Array], Array]] = {
    "quaternion_wxyz": _wxyz,
    "quaternion_xyzw": _xyzw,
    "euler_xyz": _euler_xyz,
    "rotvec": _rotvec,
}
