"""A point robot with faults on demand, and a clock that a test turns."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field

import numpy as np

from hamster.data import Observation, View
from hamster.geometry.keypose_motion import down_pose
from hamster.rollout.robots import RobotObservation, RobotSpec

START = down_pose((0.4, 0.0, 0.3), 0.0)


@dataclass
class Clock:
    now_s: float = 100.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class PointRobot:
    """The tool is wherever it is commanded to be. `change` is called with each observation, and may raise or block."""

    clock: object = time.monotonic
    control_hz: float = 100.0
    joint_limits: object = None
    change: object = None
    pose: np.ndarray = field(default_factory=lambda: START.copy())
    gripper_open: bool = True
    commands: list = field(default_factory=list)  # (time, pose, gripper)
    stops: list = field(default_factory=list)  # times
    calls: list = field(default_factory=list)
    in_command: object = None
    in_stop: object = None
    observe_every_s: float = 0.01
    n_frames: int = 0
    frozen: bool = False

    def connect(self):
        self.calls.append("connect")
        names = () if self.joint_limits is None else ("j0", "j1")
        return RobotSpec(("front",), self.control_hz, names, self.joint_limits, "move the dot")

    def observe(self):
        if self.clock is time.monotonic:
            time.sleep(self.observe_every_s)
        if not self.frozen:
            self.n_frames += 1
        rgb = np.full((8, 8, 3), self.n_frames % 251, np.uint8)
        observation = Observation({"front": View(rgb)}, self.pose.copy(), float(self.gripper_open), 0.0)
        reading = RobotObservation(observation, self.clock(), None if self.joint_limits is None else np.zeros(2))
        return reading if self.change is None else self.change(reading)

    def command(self, tool_pose_world, gripper_open):
        if self.in_command is not None:
            self.in_command()
        self.commands.append((self.clock(), np.array(tool_pose_world), gripper_open))
        self.pose, self.gripper_open = np.array(tool_pose_world), gripper_open

    def stop(self):
        self.stops.append(self.clock())
        if self.in_stop is not None:
            self.in_stop()

    def disconnect(self):
        self.calls.append("disconnect")


class Forever:
    """Blocks until a test ends."""

    def __init__(self):
        self._event = threading.Event()

    def __call__(self, *args):
        self._event.wait(60)

    def end(self):
        self._event.set()


def wait_for(condition, timeout_s=10.0):
    """Wait until a condition holds; fail if it does not within a time that only a hang takes."""
    until = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < until, "it has not come true"
        time.sleep(0.002)
