"""Robots: the interface of a real or remote robot, and the loop that runs a planner and a policy on it."""

from hamster.rollout.robots.base import Robot, RobotError, RobotObservation, RobotSpec
from hamster.rollout.robots.config import RobotLoopConfig
from hamster.rollout.robots.events import EventLog
from hamster.rollout.robots.follower import MotionLimits
from hamster.rollout.robots.loop import ControlStep, RobotLoop, RobotRun, StepRecorder
from hamster.rollout.robots.registry import ROBOTS, make_robot, register_robot

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
