"""The scenes that runs share, as tables of scores by scene and training seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import reduce

import numpy as np
from numpy.typing import NDArray

from hamster.evaluate.comparison.episodes import Run, SceneKey
from hamster.evaluate.journal import Record

Scene = tuple[str, SceneKey]
"""An axis, and a scene of it."""


def full_blocks(scenes: Sequence[Scene], block: int) -> list[list[int]]:
    """Return the indices of the scenes of each full block: `block` scenes of each axis, as many of each family."""
    strata: dict[tuple[str, str], list[int]] = {}
    for i, (axis, (family, _)) in enumerate(scenes):
        strata.setdefault((axis, family), []).append(i)
    n_families = len({family for _, family in strata})
    if not strata or block % n_families:
        return []
    n = block // n_families
    n_blocks = min(len(index) for index in strata.values()) // n
    return [[i for index in strata.values() for i in index[k * n : (k + 1) * n]] for k in range(n_blocks)]


def shared_scenes(by_seed: Mapping[int, Run], axes: Sequence[str]) -> list[Scene]:
    """Return the scenes that every training seed has, axis by axis in the order of their numbers."""
    scenes: list[Scene] = []
    for axis in axes:
        tables = [run.records.get(axis, {}) for run in by_seed.values()]
        shared = reduce(lambda keys, table: keys & table.keys(), tables[1:], set(tables[0]))
        scenes += [(axis, key) for key in sorted(shared, key=lambda key: int(tables[0][key]["scene"]))]
    return scenes


def scenes_of_both(a: Mapping[int, Run], b: Mapping[int, Run], axes: Sequence[str]) -> list[Scene]:
    """Return the scenes that every training seed of both arms has."""
    of_b = set(shared_scenes(b, axes))
    return [scene for scene in shared_scenes(a, axes) if scene in of_b]


def success_of(record: Record) -> float:
    """Return 1 for a success, else 0."""
    return float(record["success"])


def score_table(
    by_seed: Mapping[int, Run], scenes: Sequence[Scene], score: Callable[[Record], float] = success_of
) -> NDArray[np.float64]:
    """Return (scenes, training seeds) scores."""
    runs = by_seed.values()
    return np.array([[score(run.records[axis][key]) for run in runs] for axis, key in scenes]).reshape(-1, len(runs))


def strata_of(scenes: Sequence[Scene]) -> list[tuple[str, str]]:
    """Return the axis and the task family of each scene."""
    return [(axis, family) for axis, (family, _) in scenes]


def mean_weights(scenes: Sequence[Scene]) -> NDArray[np.float64]:
    """Return the weight of each scene in the mean of its axes' means."""
    counts = Counter(axis for axis, _ in scenes)
    return np.array([1 / (len(counts) * counts[axis]) for axis, _ in scenes])
