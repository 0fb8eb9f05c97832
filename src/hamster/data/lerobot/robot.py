"""The columns of the robot's tool and gripper: as the sidecar says, else by names with a single meaning.

| recognised | as |
|---|---|
| names x, y, z (also with a prefix eef, ee, tcp, tool) of one feature | the tool's position, metres |
| with them qw, qx, qy, qz; or roll, pitch, yaw; or axis_angle1-3, rx, ry, rz | its rotation |
| a feature …eef_position, …ee_pos, …tcp_position … of 3 numbers, …_quaternion (w first) of 4 | the same |
| a feature …cartesian_position of 6 numbers (DROID) | position and Euler angles x, y, z |
| gripper_open, gripper_opening | more is more open |
| gripper_close, gripper_closed | more is more closed |
| gripper_width, or two columns both named gripper (LIBERO's fingers) | distance of the fingers |
| with DROID's cartesian_position: gripper_position | more is more closed |

The unit of a gripper (shares, metres, millimetres, percent, counts) is inferred from its range over the dataset:
`hamster.data.robots`. So is what frame a known robot's pose is of.

States are preferred to actions; an action is never a position, since it may be a difference. A bare `gripper` is 1
when open in some datasets and when closed in others: it counts as unknown until the sidecar says what it means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data.lerobot.sidecar import FILE, column_of
from hamster.data.robots import RECORDED_FROM_TOOL, GripperScale, infer_gripper_scale
from hamster.geometry import matrix_from_quaternion, matrix_from_rotation_vector

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
    count: int | None = None  # of numbers a row; None for any but none

    def read(self, columns: Mapping[str, Array]) -> Array:
        """Return what is meant, NaN in the rows in which a number is not finite; ValueError if a value is missing."""
        if self.column not in columns:
            raise ValueError(f"there is no column {self.column!r}; name the robot's columns in {FILE}")
        row = columns[self.column].shape[1]
        taken, needed = len(_taken(self.take, row)), self.count or _fewest(self.take)
        if taken < needed or (self.count is not None and taken != self.count):
            raise ValueError(
                f"column {self.column!r} has {row} numbers in a row, of which {taken} are meant, not {needed}"
            )
        values = columns[self.column][:, self.take]
        known = np.asarray(np.isfinite(values).all(1))
        if known.all():
            return self.meaning(values)
        if not known.any():
            raise ValueError(f"column {self.column!r} is not finite in any frame")
        first = values[np.flatnonzero(known)[0]]  # stands in for what is not known, so that no rotation is of length 0
        meant = self.meaning(np.where(known[:, None], values, first))
        meant[~known] = np.nan
        return meant


@dataclass(frozen=True)
class GripperSignal:
    """A column's numbers, (T, 1) or (T, fingers), that say how far the gripper is open.

    Attributes:
        opens_upwards: whether larger numbers mean more open.
        is_width: whether they are distances, of any sign. Of several fingers the mean counts.
        scale: None where it is neither stated nor inferred yet.
    """

    column: str
    take: Sequence[int] | slice
    opens_upwards: bool = True
    is_width: bool = False
    scale: GripperScale | None = None

    def digest_text(self) -> str:
        """Return the text that enters the digests of items: the `repr` of 0.1, whatever the classes are called now."""
        scale = self.scale and f"GripperScale(closed={self.scale.closed!r}, open={self.scale.open!r})"
        return (
            f"GripperSignal(column={self.column!r}, take={self.take!r}, opens_upwards={self.opens_upwards!r}, "
            f"is_width={self.is_width!r}, scale={scale})"
        )

    def read(self, columns: Mapping[str, Array]) -> Array | None:
        """Return openings (T,), 0 closed to 1 open, NaN where not known; None without a scale, or outside of it.

        Raises:
            ValueError: if the column is missing, or not finite in any frame.
        """
        signal = Signal(self.column, self.take, self._combined).read(columns)
        return None if self.scale is None else self.scale.opening(signal)

    def scaled(self, extent: tuple[Array, Array] | None) -> GripperSignal:
        """Return the signal with a scale inferred from the column's smallest and largest values in the dataset."""
        if self.scale is not None or extent is None:
            return self
        row = np.stack(extent)
        if len(_taken(self.take, row.shape[1])) < _fewest(self.take):
            return self  # reading says what is wrong
        ends = row[:, self.take]
        if self.is_width or ends.shape[1] > 1:  # a finger may go from 0 to -0.04
            crosses = (ends[0] <= 0) & (ends[1] >= 0)
            ends = np.stack([np.where(crosses, 0, np.abs(ends).min(0)), np.abs(ends).max(0)])
        low, high = ends.mean(1).tolist()
        return replace(self, scale=infer_gripper_scale(low, high, self.opens_upwards, self.is_width))

    def _combined(self, values: Array) -> Array:
        return np.asarray(np.abs(values).mean(1) if self.is_width or values.shape[1] > 1 else values[:, 0])


@dataclass(frozen=True, eq=False)
class Robot:
    """How to read the tool's position (T, 3), rotation (T, 3, 3) and the gripper's opening (T,), each or None.

    Attributes:
        recorded_from_tool: (4, 4), from the tool's tip to the frame whose pose is recorded.
    """

    position: Signal | None = None
    rotation: Signal | None = None
    gripper: GripperSignal | None = None
    recorded_from_tool: Array = field(default_factory=lambda: np.eye(4))

    @property
    def columns(self) -> list[str]:
        """The columns to read from the data file."""
        return [signal.column for signal in (self.position, self.rotation, self.gripper) if signal]

    def poses(self, columns: Mapping[str, Array]) -> Array | None:
        """Return (T, 4, 4) tool poses; without a known rotation they are not turned."""
        if self.position is None:
            return None
        tips = self.position.read(columns)
        out = np.tile(np.eye(4), (len(tips), 1, 1))
        out[:, :3, 3] = tips
        if self.rotation is not None:
            out[:, :3, :3] = self.rotation.read(columns)
        out[~np.isfinite(out).all((1, 2))] = np.nan
        return np.asarray(out @ self.recorded_from_tool)

    def opening(self, columns: Mapping[str, Array]) -> Array | None:
        """Return (T,) 0 closed to 1 open; None where there is no gripper, or its unit is unknown."""
        return None if self.gripper is None else self.gripper.read(columns)


def _taken(take: Sequence[int] | slice, row: int) -> Sequence[int]:
    """Return which of the numbers of a row are taken."""
    return range(row)[take] if isinstance(take, slice) else [i for i in take if i < row]


def _fewest(take: Sequence[int] | slice) -> int:
    """Return how many numbers a row has to have at least, of those that are taken."""
    return 1 if isinstance(take, slice) else len(take)


def robot_of(
    features: Mapping[str, Mapping[str, Any]],
    described: Mapping[str, Any],
    robot_type: str = "",
    extent_of: Callable[[str], tuple[Array, Array] | None] = lambda column: None,
) -> Robot:
    """Return how to read a dataset's robot: from the sidecar's entry, completed by the names of info.json's features.

    Args:
        features: of info.json.
        described: the sidecar's entry about the robot; {} without one.
        robot_type: of info.json.
        extent_of: smallest and largest values (D,) of a column in the dataset, if known.

    Raises:
        ValueError: if the sidecar has an entry that is not understood.
    """
    states = [key for key in features if "action" not in key and "delta" not in key]  # both may be differences
    robot = _by_feature(states, features)
    for key in [*states, *(key for key in features if "action" in key)]:
        if robot.position is None and key in states:
            position, rotation = _by_names(key, feature_names(features[key]))
            robot = replace(robot, position=position, rotation=rotation)
        if robot.gripper is None:
            robot = replace(robot, gripper=_gripper_of(key, features[key]))
    robot = replace(robot, recorded_from_tool=RECORDED_FROM_TOOL.get(_model_of(robot, features, robot_type), np.eye(4)))
    if described:
        robot = _as_described(robot, described)
    if robot.gripper is not None:
        robot = replace(robot, gripper=robot.gripper.scaled(extent_of(robot.gripper.column)))
    return robot


def _by_feature(keys: Sequence[str], features: Mapping[str, Mapping[str, Any]]) -> Robot:
    size = {key: int(np.prod(features[key].get("shape") or (1,))) for key in keys}
    for key in keys:
        if key.endswith(_DROID) and size[key] == 6:
            grip = next((k for k in keys if k == key.replace(_DROID, "gripper_position")), None)
            closed = GripperSignal(grip, slice(None), opens_upwards=False) if grip else None
            return Robot(Signal(key, slice(0, 3), _as_is, 3), Signal(key, slice(3, 6), _euler_xyz, 3), closed)
        if _POSITION.fullmatch(key) and size[key] == 3:
            spins = (k for k in keys if _QUATERNION.fullmatch(k) and size[k] == 4 and _stem(k) == _stem(key))
            spin = next((Signal(k, slice(None), matrix_from_quaternion, 4) for k in spins), None)
            return Robot(Signal(key, slice(None), _as_is, 3), spin)
    return Robot()


def _model_of(robot: Robot, features: Mapping[str, Mapping[str, Any]], robot_type: str) -> str:
    """Return the robot of `RECORDED_FROM_TOOL` that a dataset's feature names point to; "" if none is known.

    The names count, too: what this package exports has other ones, and records the tool's tip.
    """
    if robot.position is None or robot.rotation is None:
        return ""
    names, kind = set(feature_names(features[robot.rotation.column])), robot_type.lower()
    if robot.position.column.endswith(_DROID):
        return "droid"
    if "widowx" in kind and {"roll", "pitch", "yaw"} <= names:
        return "bridge"
    if "google" in kind and {"rx", "ry", "rz", "rw"} <= names:
        return "fractal"
    if robot.gripper is not None and robot.gripper.is_width and {"axis_angle1", "axis_angle2"} <= names:
        return "robosuite"
    return ""


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


def _gripper_of(key: str, feature: Mapping[str, Any]) -> GripperSignal | None:
    names = feature_names(feature) or ([key] if list(feature.get("shape") or ()) == [1] else [])
    for pattern, opens_upwards, is_width in ((_OPEN, True, False), (_CLOSED, False, False), (_WIDTH, True, True)):
        for i, name in enumerate(names):
            if pattern.fullmatch(name) or (len(names) == 1 and pattern.fullmatch(key)):
                return GripperSignal(key, [i], opens_upwards, is_width)
    fingers = [i for i, name in enumerate(names) if name == "gripper"]
    return GripperSignal(key, fingers, is_width=True) if len(fingers) == 2 else None


def feature_names(feature: Mapping[str, Any]) -> list[str]:
    """Return the names of a feature's numbers, given as a list or a list per group; [] unless one each."""
    names = feature.get("names")
    if isinstance(names, Mapping):
        names = [name for group in names.values() if isinstance(group, list) for name in group]
    size = int(np.prod(feature.get("shape") or (1,)))
    if not isinstance(names, list) or len(names) != size or feature.get("dtype") in ("image", "video"):
        return []
    return [str(name).lower() for name in names]


def _as_described(robot: Robot, described: Mapping[str, Any]) -> Robot:
    def signal(name: str, meaning: Callable[[Array], Array], count: int, old: Signal | None) -> Signal | None:
        return old if name not in described else Signal(*column_of(str(described[name])), meaning, count)

    kind = str(described.get("rotation", "quaternion_wxyz"))
    if kind not in ROTATIONS:
        raise ValueError(f"{FILE}: rotation {kind!r}; there are {', '.join(ROTATIONS)}")
    tool = robot.recorded_from_tool
    if "tool_position" in described:
        tool = np.eye(4)  # what the sidecar names is the tool, unless it says what it is a frame of
    if "recorded_from_tool" in described:
        tool = _tool_of(described["recorded_from_tool"])
    return Robot(
        signal("tool_position", _as_is, 3, robot.position),
        signal("tool_rotation", ROTATIONS[kind], 4 if kind.startswith("quaternion") else 3, robot.rotation),
        _described_gripper(robot.gripper, described),
        tool,
    )


def _tool_of(value: Any) -> Array:
    """Return a robot's name or a rigid (4, 4) matrix."""
    if isinstance(value, str) and value in RECORDED_FROM_TOOL:
        return RECORDED_FROM_TOOL[value]
    try:
        matrix = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape != (4, 4) or not np.allclose(matrix[:3, :3] @ matrix[:3, :3].T, np.eye(3), atol=1e-3):
        known = ", ".join(RECORDED_FROM_TOOL)
        raise ValueError(f"{FILE}: recorded_from_tool has to be a rigid 4 x 4 matrix or one of {known}")
    return matrix


def _described_gripper(gripper: GripperSignal | None, described: Mapping[str, Any]) -> GripperSignal | None:
    scale = None
    if "open" in described or "closed" in described:
        try:
            scale = GripperScale(float(described.get("closed", 0.0)), float(described.get("open", 1.0)))
        except (TypeError, ValueError):
            raise ValueError(f"{FILE}: `open` and `closed` have to be numbers") from None
        if not np.isfinite([scale.open, scale.closed]).all() or scale.open == scale.closed:
            raise ValueError(f"{FILE}: `open` and `closed` have to be two different numbers")
    if "gripper" in described:
        column, take = column_of(str(described["gripper"]))
        gripper = GripperSignal(column, take)
    return gripper if gripper is None or scale is None else replace(gripper, scale=scale)


def _as_is(values: Array) -> Array:
    return values


def _euler_xyz(values: Array) -> Array:
    """Return (T, 3) roll, pitch, yaw: turned about the fixed x, then y, then z axis -> (T, 3, 3)."""
    half = values / 2
    about = np.zeros((3, len(values), 4))
    for axis in range(3):
        about[axis, :, 0], about[axis, :, axis + 1] = np.cos(half[:, axis]), np.sin(half[:, axis])
    x, y, z = (matrix_from_quaternion(quaternion) for quaternion in about)
    return np.asarray(z @ y @ x)


def _wxyz(values: Array) -> Array:
    """Return (T, 4) -> (T, 3, 3)."""
    return matrix_from_quaternion(values)


def _xyzw(values: Array) -> Array:
    """Return (T, 4) -> (T, 3, 3)."""
    return matrix_from_quaternion(values[:, [3, 0, 1, 2]])


ROTATIONS: dict[str, Callable[[Array], Array]] = {
    "quaternion_wxyz": _wxyz,
    "quaternion_xyzw": _xyzw,
    "euler_xyz": _euler_xyz,
    "rotvec": matrix_from_rotation_vector,
}
