"""The episodes of a table: each condition on each scene."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePath
from urllib.parse import urlsplit

import numpy as np

from hamster.evaluate.config import EvalConfig
from hamster.evaluate.suites import suite_of
from hamster.planner.load import is_address


@dataclass(frozen=True)
class Trial:
    """One condition on one scene.

    Attributes:
        scene: index of the scene in this run, the same for all conditions.
        condition: name of the planner or baseline.
        family: task family of the scene.
        seed: of the scene.
        other_family: task family of the next scene, from which the condition "shuffled" takes its path; for
            "shuffled-same", of the next one of the same family.
        other_seed: seed of that scene.
    """

    scene: int
    condition: str
    family: str
    seed: int
    other_family: str
    other_seed: int

    @property
    def key(self) -> str:
        """Key of the trial within a run, and stem of its file names."""
        return f"{self.scene:04d}-{file_name(self.condition)}"


def trials(config: EvalConfig) -> list[Trial]:
    """Return all trials, conditions interleaved: an interrupted run still has its conditions on the same scenes."""
    listed, tasks = [], suite_of(config).tasks
    for scene in range(config.episodes):
        family_seed = _scene(config, scene, tasks)
        for condition in config.planners:
            ahead = len(config.families) if condition == "shuffled-same" else 1
            listed.append(Trial(scene, condition, *family_seed, *_scene(config, scene + ahead * tasks, tasks)))
    return listed


def scene_seed(seed: int, scene: int) -> int:
    """Return a 62-bit seed for scene number `scene` of a run, which no other scene of any run shares."""
    [bits] = np.random.SeedSequence([seed, scene]).generate_state(1, np.uint64)
    return int(bits >> 2)


def _scene(config: EvalConfig, number: int, tasks: int) -> tuple[str, int]:
    scene, task = divmod(number, tasks)
    of_suite, (rank, family) = suite_of(config).scene_seed, divmod(scene, len(config.families))
    seed = scene_seed(config.seed, scene) if of_suite is None else of_suite(config.seed, rank)
    return config.families[family], seed * tasks + task


def short_name(condition: str) -> str:
    """Return a short name of a condition: the checkpoint folder's name without its path, or HOST:PORT#MODEL."""
    if is_address(condition):
        url, mark, model = condition.partition("#")
        return f"{urlsplit(url).netloc}{mark}{model}"
    parts = [part for part in PurePath(condition).parts if part != "/"]
    return "/".join(parts[-2:] if parts[-1:] == ["model"] else parts[-1:]) or condition


def file_name(condition: str) -> str:
    """Return the name of a condition or policy with only characters that are safe in file names."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in condition).strip("_")[-60:]
