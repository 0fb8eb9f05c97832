"""The typed result of an evaluation."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hamster.evaluate.journal import MEDIA_FOLDERS
from hamster.files import write_atomic
from hamster.rollout.baselines import BASELINES


@dataclass(frozen=True)
class SuccessRate:
    """A success rate with its interval.

    Attributes:
        n_success: episodes in which the task was done.
        n_episodes: episodes that were measured.
        interval: 95 % Wilson score interval, (low, high) in [0, 1].
    """

    n_success: int
    n_episodes: int
    interval: tuple[float, float]

    @property
    def success_rate(self) -> float:
        """The share of successes, in [0, 1]."""
        return self.n_success / self.n_episodes

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.n_success}/{self.n_episodes} = {self.success_rate:.0%} ({low:.0%}-{high:.0%})"


@dataclass(frozen=True)
class ConditionResult(SuccessRate):
    """One row of the table: a planner or a baseline on all scenes.

    Attributes:
        condition: name of the planner or baseline.
        per_task: the same by task family.
        outcomes: episodes by how they ended, see `hamster.rollout.Outcome`.
        scenes: scenes all of whose tasks were done, in suites with several tasks a scene; else None.
        latency_ms: {"p50", "p95"} of "planner" and "policy"; None for a model that was never called.
    """

    condition: str = ""
    per_task: Mapping[str, SuccessRate] = field(default_factory=dict)
    outcomes: Mapping[str, int] = field(default_factory=dict)
    scenes: SuccessRate | None = None
    latency_ms: Mapping[str, Mapping[str, float] | None] = field(default_factory=dict)


@dataclass(frozen=True)
class PairedTest:
    """The exact McNemar test of two conditions on the same scenes.

    Attributes:
        a: name of a condition.
        b: name of another one.
        n_scenes: scenes that both were measured on.
        n_only_a: of these, scenes that only `a` solved.
        n_only_b: of these, scenes that only `b` solved.
        p: two-sided p-value.
    """

    a: str
    b: str
    n_scenes: int
    n_only_a: int
    n_only_b: int
    p: float


@dataclass(frozen=True, eq=False)
class EvalResult:
    """The result of `evaluate`.

    Attributes:
        info: the content of eval_info.json: all numbers, settings, versions and digests, as plain JSON values.
        episodes: one record per episode, as in rollouts.jsonl: condition, scene, seed, outcome, paths, latencies.
        out: the result folder; None if nothing was written.
    """

    info: Mapping[str, Any]
    episodes: Sequence[Mapping[str, Any]]
    out: Path | None = None

    @property
    def rows(self) -> tuple[ConditionResult, ...]:
        """The table, a row per condition, in the order in which they were given."""
        return tuple(_row(name, record) for name, record in self.info["conditions"].items())

    @property
    def paired(self) -> tuple[PairedTest, ...]:
        """A test of every pair of conditions."""
        return tuple(
            PairedTest(pair["a"], pair["b"], pair["n_scenes"], pair["n_only_a"], pair["n_only_b"], pair["p_mcnemar"])
            for pair in self.info["paired"]
        )

    @property
    def unavailable(self) -> Mapping[str, Any]:
        """Episodes that could not be measured, by condition: {"n", "reasons"}; they count in no rate."""
        unavailable: Mapping[str, Any] = self.info["unavailable"]
        return unavailable

    def __getitem__(self, condition: str) -> ConditionResult:
        """Return the row of a condition; KeyError lists the conditions there are."""
        if condition not in self.info["conditions"]:
            raise KeyError(f"no condition {condition!r}; there are: {', '.join(self.info['conditions'])}")
        return _row(condition, self.info["conditions"][condition])

    @property
    def success_rate(self) -> float:
        """The success rate, in [0, 1], of the planner that was evaluated; ValueError if there were several."""
        return self._only.success_rate

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % Wilson score interval of `success_rate`."""
        return self._only.interval

    @property
    def _only(self) -> ConditionResult:
        names = list(self.info["conditions"])
        planners = [name for name in names if name not in BASELINES]
        if len(names) > 1 and len(planners) != 1:
            raise ValueError(f"there are several conditions: take one of them, result[{names[0]!r}].success_rate")
        return self[(planners or names)[0]]

    def save(self, folder: Path | str) -> Path:
        """Write eval_info.json and rollouts.jsonl into a folder, with videos and report where there are any.

        Args:
            folder: created if missing.

        Returns:
            The folder.
        """
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "eval_info.json", json.dumps(dict(self.info), indent=2) + "\n")
        write_atomic(folder / "rollouts.jsonl", "".join(json.dumps(dict(record)) + "\n" for record in self.episodes))
        if self.out is not None and self.out.resolve() != folder.resolve():
            for name in MEDIA_FOLDERS:
                if (self.out / name).is_dir():
                    shutil.copytree(self.out / name, folder / name, dirs_exist_ok=True)
            if (self.out / "report.html").is_file():
                shutil.copyfile(self.out / "report.html", folder / "report.html")
        return folder

    def __str__(self) -> str:
        return "\n".join(f"{row.condition}: {row}" for row in self.rows)


def _rate(record: Mapping[str, Any]) -> SuccessRate:
    return SuccessRate(record["n_success"], record["n_episodes"], _interval(record))


def _interval(record: Mapping[str, Any]) -> tuple[float, float]:
    low, high = record["pc_success_ci95"]
    return low / 100, high / 100


def _row(name: str, record: Mapping[str, Any]) -> ConditionResult:
    return ConditionResult(
        record["n_success"],
        record["n_episodes"],
        _interval(record),
        condition=name,
        per_task={task: _rate(rate) for task, rate in record["per_task"].items()},
        outcomes=record["outcomes"],
        scenes=_rate(record["scenes"]) if "scenes" in record else None,
        latency_ms=record["latency_ms"],
    )
