"""A suite, a planner and a policy whose success depends on the path alone."""

from __future__ import annotations

import numpy as np

from hamster.evaluate.config import EvalConfig
from hamster.evaluate.suites import Suite
from hamster.evaluate.worker import EvalWorker
from hamster.path import Path2D, PlanError
from tests.rollout.fakes import FakeEnv, FakeMotion, FakePlan

HOSTILE = """put <script>alert("1")</script> & 'it' on the "plate" """


class SuiteEnv(FakeEnv):
    """The goal is a function of the seed; the expert's path ends there."""

    def __init__(self, family: str, seed: int) -> None:
        x, y = np.random.default_rng(seed).uniform(0.3, 0.6, 2)
        super().__init__(goal=(x, y - 0.45, 0.1), instruction=f"{HOSTILE}{family} {seed % 1000}", size=64)
        self.gradient = np.linspace(0, 255, 64).astype(np.uint8)

    def front_image(self):
        image = np.tile(self.gradient[None, :, None], (64, 1, 3))
        image[len(self.commands) % 64] = (200, 60, 40)
        return image

    def expert_path(self) -> Path2D:
        return Path2D(np.array([[0.5, 0.2], [self.goal[0], self.goal[1] + 0.45]]), np.array([1, 0]))

    def close(self) -> None:
        pass


class PathPolicy:
    """Goes where the path ends, and half-way anywhere without one."""

    def reset(self) -> None:
        pass

    def act(self, observation, path, instruction):
        from hamster.geometry.keypose_motion import down_pose

        x, y = (0.45, 0.45) if path is None else path.uv[-1]
        return FakeMotion(down_pose((x, y - 0.45, 0.1), 0.0)[None], np.array([False]))


class OddPlanner:
    """Prints nonsense on every second question."""

    def __init__(self) -> None:
        self.asked = 0

    def plan(self, image, instruction):
        if int(instruction.split()[-1]) % 2:
            raise PlanError("no <ans> in the text", raw_text="I cannot help <b>you</b>")
        return FakePlan((Path2D(np.array([[0.5, 0.2], [0.45, 0.45]]), np.array([1, 0])),))


def load_mortal_worker(config: EvalConfig) -> EvalWorker:
    """The first process that asks for a scene dies, as if the kernel had killed it."""
    import dataclasses
    import os

    bench = load_worker(config)

    def make(family: str, seed: int) -> SuiteEnv:
        try:
            (config.out / "died").touch(exist_ok=False)
        except FileExistsError:
            return SuiteEnv(family, seed)
        os._exit(9)

    return dataclasses.replace(bench, suite=dataclasses.replace(bench.suite, make=make))


def open_nothing(config: EvalConfig) -> EvalWorker:
    raise ValueError("no planner 'nono'; there is nano")


def load_worker(config: EvalConfig) -> EvalWorker:
    return EvalWorker(
        suite=Suite(("pick_place", "press", "knock"), SuiteEnv, 40),
        planners={name: OddPlanner() for name in config.planners if name not in ("oracle", "shuffled", "none")},
        policy=PathPolicy(),
        replan=config.replan,
        out=config.out,
        videos=config.videos,
        seed_everything=lambda seed: None,
    )
