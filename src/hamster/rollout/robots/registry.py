"""The registry of robots."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hamster.registry import Registry, call_factory
from hamster.rollout.robots.base import Robot, check_robot

ROBOTS: Registry[Callable[..., Robot]] = Registry(
    "robot",
    "hamster.robots",
    {
        "sim-remote": "hamster.rollout.robots.sim_remote:SimRemote",
        "lerobot": "hamster.rollout.robots.lerobot:LeRobotRobot",
        "gymnasium": "hamster.rollout.robots.gymnasium:GymnasiumRobot",
    },
)
"""The robots by name: classes or functions that return a `Robot` that is not connected yet."""
register_robot = ROBOTS.register
"""Add a robot under a name, as a decorator of its class or of a function that makes it."""


def make_robot(name: str, /, **options: Any) -> Robot:
    """Return the robot that is registered under a name, not connected yet.

    Args:
        name: in `ROBOTS`.
        options: keywords of its class or function.

    Raises:
        ValueError: if there is no such robot, it takes no such option, or lacks a method of `Robot`.
    """
    robot = call_factory("robot", name, ROBOTS.get(name), {}, **options)
    check_robot(robot)
    return robot
