"""Options of commands that compute tool poses from recorded joints."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from hamster.data import Source


@dataclass(frozen=True)
class RobotOptions:
    """The robot whose joints were recorded."""

    robot: str | None = None
    """Robot whose joints were recorded (so101, so100, franka, ur5e, xarm7, widowx), to compute the tool's poses where
    these are not recorded."""
    robot_model: Path | None = None
    """URDF or MJCF file of the robot; if not given, that of the installed package that carries one."""
    tool: str = ""
    """Body, link or site of that file that the tool's tip is fixed to; if not given, that of --robot."""
    tool_offset: tuple[float, float, float] | None = None
    """From there to the tip between the fingers, metres, along its axes."""
    joint_unit: Literal["rad", "deg", "percent"] | None = None
    """Unit of the recorded joints (percent: LeRobot's -100 to 100); if not given, detected where the data decide."""

    def wrap(self, source: Source) -> Source:
        """Return the source with tool poses from joints, or as it is if no robot is given."""
        if self.robot is None and self.robot_model is None:
            given = {"--tool": self.tool, "--tool-offset": self.tool_offset, "--joint-unit": self.joint_unit}
            if stray := [name for name, value in given.items() if value]:
                raise ValueError(f"{stray[0]} needs --robot NAME or --robot-model FILE")
            return source
        from hamster.data.joint_source import RobotModel, with_tool_poses

        model = RobotModel(self.robot or "", self.robot_model, self.tool, self.tool_offset, self.joint_unit)
        return with_tool_poses(source, model)
