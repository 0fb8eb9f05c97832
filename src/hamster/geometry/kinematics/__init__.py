"""Robot arms from URDF and MJCF files: where the tool is, and which joints bring it somewhere. Needs MuJoCo (`sim`)."""

from hamster.geometry.kinematics.arm import IkSolution, Joint, Kinematics
from hamster.geometry.kinematics.presets import ROBOT_PRESETS, RobotPreset, load_kinematics, robot_preset
from hamster.geometry.kinematics.units import (
    JOINT_UNITS,
    JointUnit,
    UnknownUnitError,
    detect_joint_unit,
    from_radians,
    to_radians,
)

__all__ = [
    "JOINT_UNITS",
    "ROBOT_PRESETS",
    "IkSolution",
    "Joint",
    "JointUnit",
    "Kinematics",
    "RobotPreset",
    "UnknownUnitError",
    "detect_joint_unit",
    "from_radians",
    "load_kinematics",
    "robot_preset",
    "to_radians",
]
