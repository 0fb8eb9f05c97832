"""Which episodes a table consists of."""

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
        scene: number of the scene in this run, the same for all conditions.
        family, seed: make the scene.
        other_family, other_seed: make another scene, from which the shuffled condition takes its path.
    """

    scene: int
    condition: str
    family: str
    seed: int
    other_family: str
    other_seed: int

    @property
    def key(self) -> str:
        """Identifies the trial within a run, and names its files."""
        return f"{self.scene:04d}-{file_name(self.condition)}"


def trials(config: EvalConfig) -> list[Trial]:
    """All trials, conditions interleaved: an interrupted run has its conditions on the same scenes still."""
    out, tasks = [], suite_of(config).tasks
    for scene in range(config.episodes):
        here, there = (_scene(config, number, tasks) for number in (scene, scene + tasks))
        out += [Trial(scene, condition, *here, *there) for condition in config.planners]
    return out


def scene_seed(seed: int, scene: int) -> int:
    """A seed of 62 bits for scene number `scene` of a run: no two scenes, of any runs, share one."""
    [bits] = np.random.SeedSequence([seed, scene]).generate_state(1, np.uint64)
    return int(bits >> 2)


def _scene(config: EvalConfig, number: int, tasks: int) -> tuple[str, int]:
    scene, task = divmod(number, tasks)
    return config.families[scene % len(config.families)], scene_seed(config.seed, scene) * tasks + task


def short_name(condition: str) -> str:
    """Return what people call a condition: a checkpoint folder's name instead of its path, HOST:PORT#MODEL."""
    if is_address(condition):
        url, mark, model = condition.partition("#")
        return f"{urlsplit(url).netloc}{mark}{model}"
    parts = [part for part in PurePath(condition).parts if part != "/"]
    return "/".join(parts[-2:] if parts[-1:] == ["model"] else parts[-1:]) or condition


def file_name(condition: str) -> str:
    """What files of a condition, or of a policy, may be called."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in condition).strip("_")[-60:]
