"""A point robot, a planner and a policy that do exactly what a test needs."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hamster.data import Observation, View
from hamster.geometry.keypose_motion import down_pose
from hamster.path import Path2D, PlanError

START = down_pose((0.4, 0.0, 0.3), 0.0)


def a_path(u: float = 0.5) -> Path2D:
    return Path2D(np.array([[0.1, 0.1], [u, 0.9]]), np.array([1, 0], np.int8), score=0.5)


class FakeEnv:
    """Succeeds when the closed gripper is within 1 cm of `goal`."""

    dt_s = 0.05

    def __init__(self, goal=(0.5, 0.1, 0.1), instruction="move the dot", size=32):
        self.goal, self.instruction, self.size = np.array(goal), instruction, size
        self.pose, self.commands = START.copy(), []

    def observe(self) -> Observation:
        return Observation({"front": View(self.front_image())}, self.pose, 1.0, len(self.commands) * self.dt_s)

    def tool_pose_world(self):
        return self.pose

    def front_image(self):
        return np.full((self.size, self.size, 3), len(self.commands) % 256, np.uint8)

    def step(self, tool_pose_world, gripper_open) -> bool:
        self.pose = np.array(tool_pose_world)
        self.commands.append((self.pose, gripper_open))
        return bool(not gripper_open and np.linalg.norm(self.pose[:3, 3] - self.goal) < 0.01)


@dataclass
class FakePlan:
    paths: tuple[Path2D, ...]
    raw_text: str = "<ans>fake</ans>"


@dataclass
class FakePlanner:
    """Fails at the questions whose numbers are in `fails`."""

    fails: tuple[int, ...] = ()
    error: type[PlanError] = PlanError
    seen: list = field(default_factory=list)

    def plan(self, image, instruction):
        self.seen.append((image, instruction))
        if len(self.seen) - 1 in self.fails:
            raise self.error("no closing tag", raw_text="<ans>[(0.1,")
        return FakePlan((a_path(len(self.seen) / 10),))


@dataclass
class FakeMotion:
    poses: np.ndarray
    gripper_open: np.ndarray
    step_s: float | None = None


@dataclass
class FakePolicy:
    """Goes to `targets` one after the other, then stays; closes the gripper at the last."""

    targets: tuple = ((0.5, 0.1, 0.1),)
    seen: list = field(default_factory=list)
    resets: int = 0

    def reset(self):
        self.resets += 1
        self.seen.clear()

    def act(self, observation, path, instruction):
        index = min(len(self.seen), len(self.targets) - 1)
        self.seen.append((observation, path, instruction))
        pose = (
            np.array(self.targets[index])
            if np.shape(self.targets[index]) == (4, 4)
            else down_pose(self.targets[index], 0.0)
        )
        return FakeMotion(pose[None], np.array([index < len(self.targets) - 1]))
