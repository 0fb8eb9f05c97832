"""Tool poses from recorded joints: a source whose episodes lack them gets them from the robot's model.

`hamster label lerobot:DIR --robot so101` wraps the source. Poses are in the frame of the robot's base, in which the
cameras have to be calibrated, too (`hamster calibrate` with the same options). Poses that were recorded are kept.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data.converted import ConvertedObservations, convert_episodes
from hamster.data.records import Episode, JointStates, Observation
from hamster.data.robots import NO_GRIPPER, GripperScale
from hamster.data.source import Source
from hamster.geometry import quaternion_from_matrix
from hamster.geometry.kinematics import (
    ROBOT_PRESETS,
    JointUnit,
    Kinematics,
    UnknownUnitError,
    detect_joint_unit,
    load_kinematics,
    to_radians,
)

Array = NDArray[np.float64]
_AFFIX = re.compile(r"^(?:observation\.state\.|main_|panda_|fr3_)|(?:[._](?:pos|position|rad|deg))+$")
_FINGERS = re.compile(r".*(?:gripper|jaw|finger).*")
LEROBOT_GRIPPER = GripperScale(closed=0.0, open=100.0)
"""LeRobot's calibrated grippers: percent of their range."""


@dataclass(frozen=True)
class RobotModel:
    """A robot whose joints were recorded; arguments as for `load_kinematics`.

    Attributes:
        joint_unit: of the recorded positions; detected if None.
    """

    robot: str = ""
    file: Path | None = None
    tool: str = ""
    tool_offset_m: tuple[float, float, float] | None = None
    joint_unit: JointUnit | None = None

    def kinematics(self) -> Kinematics:
        """Return the robot's kinematics, loaded once in each process; ValueError if it cannot be."""
        return _loaded(replace(self, joint_unit=None))

    @property
    def lerobot_motors(self) -> bool:
        """Whether LeRobot drives it by motors that it calibrates."""
        return self.robot in ROBOT_PRESETS and ROBOT_PRESETS[self.robot].lerobot_motors

    @property
    def full_turn(self) -> tuple[str, ...]:
        """Joints whose calibrated range is the motor's whole turn."""
        return ROBOT_PRESETS[self.robot].full_turn if self.robot in ROBOT_PRESETS else ()

    def facts(self) -> str:
        """Return the text that enters the digests of items: options, and the content of the robot's file."""
        return json.dumps([asdict(self), self.kinematics().sha256()], default=str)


@lru_cache(maxsize=4)
def _loaded(model: RobotModel) -> Kinematics:
    return load_kinematics(model.robot, model.file, model.tool, model.tool_offset_m)


def with_tool_poses(source: Source, model: RobotModel) -> Source:
    """Return the source with tool poses computed from joints where they were not recorded.

    Raises:
        ValueError: if the robot's file cannot be read, or does not say where the tool is.
    """
    convert = partial(tool_poses_from_joints, model=model)
    return convert_episodes(source, source.uri, convert, model.facts(), keeps_advice=False)  # what it lacks is here


def tool_poses_from_joints(episode: Episode, model: RobotModel) -> Episode:
    """Return the episode with tool poses, actions and the gripper that its joints tell; as it is if it has poses.

    Raises:
        ValueError: if the joints are not those of the robot, or their unit is not known; says what to give.
    """
    joints = episode.joints
    if episode.tool_poses_world is not None or joints is None:
        why = "the tool's poses were recorded and are used" if joints else "no joints are recorded"
        return _noted(episode, f"{why}: the robot's model is not needed" if joints else why, {})
    arm = model.kinematics()
    take, in_order = joint_columns(joints.names, joints.positions.shape[1], arm)
    unit = model.joint_unit or _unit(joints, take, arm, model)

    def poses(positions: Array) -> Array:
        return arm.forward(to_radians(positions[:, take], unit, arm.joints, model.lerobot_motors, model.full_turn))

    tool_poses_world = poses(joints.positions)
    gripper = episode.gripper
    if gripper is None and model.lerobot_motors:
        gripper = _lerobot_gripper(joints, joints.positions)
    actions = episode.actions
    if actions is None and joints.commanded is not None:
        actions = _actions(poses(joints.commanded), joints, gripper, model)
    note = f"tool poses by forward kinematics of {arm.file.name}, tool {arm.tool}, joints in {unit}"
    note += ", taken in their order" if in_order else ""
    extra = {"robot_model": {"sha256": arm.sha256(), "file": arm.file.name, "tool": arm.tool, "joint_unit": unit}}
    return _noted(
        replace(
            episode,
            observations=ConvertedObservations(episode.observations, partial(_add_tool, tool_poses_world, gripper)),
            tool_poses_world=tool_poses_world,
            gripper=gripper,
            actions=actions,
        ),
        note,
        extra,
    )


def _noted(episode: Episode, note: str, extra: Mapping[str, Any]) -> Episode:
    old = episode.provenance.extra
    notes = [kept for kept in old.get("notes", ()) if episode.gripper is None or kept != NO_GRIPPER]
    provenance = replace(episode.provenance, extra={**old, **extra, "notes": [*notes, note]})
    return replace(episode, provenance=provenance)


def joint_columns(names: Sequence[str], count: int, arm: Kinematics) -> tuple[list[int], bool]:
    """Return which of a robot's joints are the arm's, in its order; and whether their order is all that tells.

    Args:
        names: of the robot's joints, () if they have none.
        count: of its joints.
        arm: whose joints are meant.

    Raises:
        ValueError: if neither names nor the number tell.
    """
    recorded = [_plain(name) for name in names]
    needed = [_plain(name) for name in arm.joint_names]
    if all(recorded.count(name) == 1 for name in needed):
        return [recorded.index(name) for name in needed], False
    body = [i for i in range(count) if not (recorded and _FINGERS.fullmatch(recorded[i]))]
    if len(body) == len(needed):
        return body, True
    raise ValueError(
        f"the robot has {count} joints ({', '.join(names) or 'without names'}), of which the {len(needed)} of "
        f"{arm.file.name} ({', '.join(arm.joint_names)}) cannot be told"
    )


def _plain(name: str) -> str:
    return re.sub(r"[._ ]", "", _AFFIX.sub("", _AFFIX.sub("", name.lower())))


def _unit(joints: JointStates, take: list[int], arm: Kinematics, model: RobotModel) -> JointUnit:
    if joints.unit in ("rad", "deg"):
        return "rad" if joints.unit == "rad" else "deg"
    names = [joints.names[i] for i in take] if joints.names else []
    try:
        return detect_joint_unit(
            joints.low[take], joints.high[take], arm.joints, names, joints.robot_type, model.lerobot_motors
        )
    except UnknownUnitError as error:
        raise ValueError(f"{error}; say --joint-unit rad, deg or percent (LeRobot's -100 to 100)") from None


def _lerobot_gripper(joints: JointStates, positions: Array) -> Array | None:
    fingers = [i for i, name in enumerate(joints.names) if _FINGERS.fullmatch(name.lower())]
    return LEROBOT_GRIPPER.opening(positions[:, fingers[0]]) if len(fingers) == 1 else None


def _actions(poses: Array, joints: JointStates, gripper: Array | None, model: RobotModel) -> Array:
    """Return (T, 8) commanded position, quaternion and opening; the measured opening where none is commanded."""
    opening = None
    if model.lerobot_motors and joints.commanded is not None:
        opening = _lerobot_gripper(joints, joints.commanded)
    opening = gripper if opening is None else opening
    known = np.isfinite(poses).all((1, 2))
    out = np.full((len(poses), 8), np.nan)
    out[known, :3], out[known, 3:7] = poses[known, :3, 3], quaternion_from_matrix(poses[known, :3, :3])
    out[:, 7] = np.nan if opening is None else opening
    return out


def _add_tool(poses_world: Array, gripper: Array | None, index: int, observation: Observation) -> Observation:
    opening = None if gripper is None else float(gripper[index])
    return replace(observation, tool_pose_world=poses_world[index], gripper=opening)
