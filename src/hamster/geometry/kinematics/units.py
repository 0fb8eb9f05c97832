"""The unit of recorded joint positions: radians, degrees, or percent of the range that LeRobot calibrated.

A dataset rarely states the unit. Evidence is the robot (LeRobot's own motors never report radians), the names of the
columns, and the ranges of the numbers over the whole dataset against the limits of the joints. Where that leaves a
choice, nothing is assumed: the user has to say it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.geometry.kinematics.arm import Joint

Array = NDArray[np.float64]
JointUnit: TypeAlias = Literal["rad", "deg", "percent"]
"""rad; deg; percent: LeRobot's -100 to 100 over the range that was calibrated for a motor. Slides are in metres."""
JOINT_UNITS: tuple[JointUnit, ...] = get_args(JointUnit)
"""The names of all units."""
SLACK_RAD = np.radians(10)  # by which recorded positions exceed the limits of a file: those are rarely exact
LITTLE_RAD = np.radians(10)  # a dataset in which no joint turns farther shows nothing
FULL_PERCENT = 100.5
_LEROBOT = re.compile(r"so_?10[01]|so_(follower|leader)|koch|omx|lekiwi|hope_?jr", re.IGNORECASE)
_NAMED = ((re.compile(r"(?:^|[_.])rad(?:ians)?$"), "rad"), (re.compile(r"(?:^|[_.])deg(?:rees)?$"), "deg"))


class UnknownUnitError(ValueError):
    """The unit of joint positions does not follow from the dataset."""


def detect_joint_unit(
    low: ArrayLike,
    high: ArrayLike,
    joints: Sequence[Joint],
    names: Sequence[str] = (),
    robot_type: str = "",
    lerobot_motors: bool = False,
) -> JointUnit:
    """Return the unit of recorded joint positions.

    Args:
        low, high: (n,) smallest and largest positions over the dataset.
        joints: n, in the same order.
        names: of the columns, n.
        robot_type: as the dataset states it.
        lerobot_motors: whether the robot is driven by motors that LeRobot calibrates.

    Raises:
        UnknownUnitError: if several units are possible, or none is; says why.
    """
    for pattern, unit in _NAMED:
        if names and all(pattern.search(name.lower()) for name in names):
            return "rad" if unit == "rad" else "deg"
    hinges = [i for i, joint in enumerate(joints) if not joint.is_slide]
    low, high = np.asarray(low, np.float64)[hinges], np.asarray(high, np.float64)[hinges]
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise UnknownUnitError("the range of the joints' positions is not known")
    lower, upper = np.array([[joints[i].lower, joints[i].upper] for i in hinges]).T
    motors = lerobot_motors or bool(_LEROBOT.search(robot_type))
    turn = float((high - low).max(initial=0.0))
    fits: list[JointUnit] = []
    if not motors and _within(low, high, lower, upper):
        fits.append("rad")
    hardly_moves = bool(fits) and turn < np.degrees(LITTLE_RAD)  # if the numbers, which may be radians, were degrees
    if not hardly_moves and _within(np.radians(low), np.radians(high), lower, upper, motors):
        fits.append("deg")
    if motors and max(-low.min(initial=0.0), high.max(initial=0.0)) <= FULL_PERCENT:
        fits.append("percent")
    span = f"from {low.min(initial=0.0):.3g} to {high.max(initial=0.0):.3g}"
    if len(fits) == 1:
        if fits == ["rad"] and turn < LITTLE_RAD / 2:
            raise UnknownUnitError(f"the joints' positions go {span} and hardly change: the unit does not show")
        return fits[0]
    if not fits:
        raise UnknownUnitError(f"the joints' positions go {span}, which fits the joints' limits in no unit")
    raise UnknownUnitError(f"the joints' positions go {span}, which fits {' and '.join(fits)}")


def to_radians(
    positions: ArrayLike,
    unit: JointUnit,
    joints: Sequence[Joint],
    lerobot_motors: bool = False,
    full_turn: Sequence[str] = (),
) -> Array:
    """Return joint positions (..., n) in radians (metres of slides), in the robot file's zero.

    LeRobot's motors report zero in the middle of the range that was calibrated: of a joint's mechanical limits, which
    are taken to be those of the file, or of the motor's whole turn.

    Args:
        positions: (..., n) as recorded.
        unit: of the hinges; slides stay as they are.
        joints: n.
        lerobot_motors: whether the motors were calibrated by LeRobot.
        full_turn: joints whose calibrated range is the motor's whole turn, with the file's zero in the middle.

    Raises:
        ValueError: for percent of a joint without limits.
    """
    middle, scale = _middles_and_scales(unit, joints, lerobot_motors, full_turn)
    return np.asarray(middle + scale * np.asarray(positions, np.float64))


def from_radians(
    positions: ArrayLike,
    unit: JointUnit,
    joints: Sequence[Joint],
    lerobot_motors: bool = False,
    full_turn: Sequence[str] = (),
) -> Array:
    """Return joint positions (..., n) in a unit: the inverse of `to_radians`, with the same arguments and errors."""
    middle, scale = _middles_and_scales(unit, joints, lerobot_motors, full_turn)
    return np.asarray((np.asarray(positions, np.float64) - middle) / scale)


def _middles_and_scales(
    unit: JointUnit, joints: Sequence[Joint], lerobot_motors: bool, full_turn: Sequence[str]
) -> tuple[Array, Array]:
    """Return (n,) radians (metres) at the unit's zero, and (n,) radians (metres) to one of the unit."""
    if unit not in JOINT_UNITS:
        raise ValueError(f"joint unit {unit!r}; there are {', '.join(JOINT_UNITS)}")
    middles, scales = np.zeros(len(joints)), np.ones(len(joints))
    for i, joint in enumerate(joints):
        if joint.is_slide or unit == "rad":
            continue
        whole = joint.name in full_turn
        if unit == "percent" and not whole and not np.isfinite(joint.upper - joint.lower):
            raise ValueError(f"joint {joint.name} has no limits in the robot's file: percent of what is not known")
        middle = 0.0 if whole or (unit == "deg" and not lerobot_motors) else (joint.lower + joint.upper) / 2
        half = np.pi if whole else (joint.upper - joint.lower) / 2
        middles[i] = middle if np.isfinite(middle) else 0.0
        scales[i] = half / 100 if unit == "percent" else np.pi / 180
    return middles, scales


def _within(low: Array, high: Array, lower: Array, upper: Array, about_middle: bool = False) -> bool:
    """Return whether positions (n,) in radians respect the limits, by about `SLACK_RAD`; unlimited joints turn twice.

    Args:
        low, high: smallest and largest positions.
        lower, upper: limits.
        about_middle: whether zero is the middle of the limits.
    """
    known = np.isfinite(lower) & np.isfinite(upper)
    middle = np.where(known & about_middle, (lower + upper) / 2, 0.0)
    middle = np.where(np.isfinite(middle), middle, 0.0)
    lower = np.where(known, lower - middle, -4 * np.pi)
    upper = np.where(known, upper - middle, 4 * np.pi)
    return bool((low >= lower - SLACK_RAD).all() and (high <= upper + SLACK_RAD).all())
