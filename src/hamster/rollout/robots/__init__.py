"""Robots: the interface of a real or remote robot, and the loop that runs a planner and a policy on it."""

from hamster.rollout.robots.base import Robot, RobotError, RobotObservation, RobotSpec
from hamster.rollout.robots.config import RobotLoopConfig
from hamster.rollout.robots.events import EventLog
from hamster.rollout.robots.follower import MotionLimits
from hamster.rollout.robots.loop import RobotLoop
from hamster.rollout.robots.registry import ROBOTS, make_robot, register_robot
from hamster.rollout.robots.result import ControlStep, RobotRun, StepRecorder

__all__ = [
    "ROBOTS",
    "ControlStep",
    "EventLog",
    "MotionLimits",
    "Robot",
    "RobotError",
    "RobotLoop",
    "RobotLoopConfig",
    "RobotObservation",
    "RobotRun",
    "RobotSpec",
    "StepRecorder",
    "make_robot",
    "register_robot",
]
