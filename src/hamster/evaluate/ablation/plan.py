"""The cells of an ablation: one evaluation per policy and column of scenes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from hamster.evaluate.config import DEFAULT_CONDITIONS, EvalConfig
from hamster.evaluate.identity import conditions_of, run_identity
from hamster.evaluate.journal import read_identity, read_records
from hamster.evaluate.suites import DEFAULT_FAMILIES
from hamster.evaluate.trials import file_name, short_name, trials
from hamster.policy import find_policy
from hamster.policy.checkpoint import read_config
from hamster.provenance import usable_cores

CAMERAS = {"training": "tabletop", "moved": "tabletop-moved"}
COUNTERFACTUAL = "counterfactual"  # a column of its own: two paths in the same scene
SECONDS_PER_EPISODE = 1.5  # on one core of an EPYC


@dataclass(frozen=True)
class AblationConfig:
    """The settings of an ablation.

    Attributes:
        out: result folder: ablation.json, ablation.md, ablation.png, and cells/ with the episodes.
        policies: bundled names or checkpoint folders. Those without a path input run in the condition "none" only.
        planners: conditions, as in `EvalConfig`.
        cameras: names in `CAMERAS`.
        episodes: scenes per column, the same for all policies.
        seed: as in `EvalConfig`.
        families: as in `EvalConfig`.
        workers: as in `EvalConfig`.
        counterfactual: scenes in which two paths have to lead to two outcomes; 0 for none.
        restart: delete what other code, policies or planners left in a cell's folder.
        dialect: as in `EvalConfig`.
        device: as in `EvalConfig`.
        dtype: as in `EvalConfig`.

    Raises:
        ValueError: if a name is unknown, or two policies have the same one.
    """

    out: Path
    policies: tuple[str, ...]
    planners: tuple[str, ...] = DEFAULT_CONDITIONS
    cameras: tuple[str, ...] = tuple(CAMERAS)
    episodes: int = 60
    seed: int = 0
    families: tuple[str, ...] = DEFAULT_FAMILIES
    workers: int | None = None
    counterfactual: int = 0
    restart: bool = False
    dialect: str | None = None
    device: str | None = None
    dtype: str = "auto"

    def __post_init__(self) -> None:
        if unknown := [name for name in self.cameras if name not in CAMERAS]:
            raise ValueError(f"unknown camera {unknown[0]!r}; there are: {', '.join(CAMERAS)}")
        names = [short_name(policy) for policy in self.policies]
        if not names or len(set(names)) != len(names):
            raise ValueError(f"policies must be at least one, each with a name of its own, got {', '.join(names)}")


@dataclass(frozen=True)
class Cell:
    """One policy in one column of scenes: an evaluation of its own."""

    policy: str
    column: str
    config: EvalConfig


def cells(config: AblationConfig, untrained: Mapping[str, bool] | None = None) -> list[Cell]:
    """Return all cells; those of one policy are consecutive.

    Args:
        config: the ablation.
        untrained: for policies whose folder does not exist yet, whether they will see paths.
    """
    out, untrained = [], untrained or {}
    for policy in config.policies:
        sees = untrained[policy] if policy in untrained else sees_paths(policy)
        conditions = config.planners if sees else ("none",)
        out += [_cell(config, policy, camera, conditions) for camera in config.cameras]
        if config.counterfactual and sees:
            out.append(_cell(config, policy, COUNTERFACTUAL, ("oracle",)))
    return out


def seconds_left(config: AblationConfig, untrained: Mapping[str, bool]) -> list[tuple[str, int, float]]:
    """Return each cell's name, number of episodes and estimated remaining seconds; `untrained` as in `cells`."""
    processes = config.workers or usable_cores()
    out = []
    for cell in cells(config, untrained):
        n = cell.config.episodes * len(cell.config.planners)
        left = 0 if cell.policy not in untrained and is_complete(cell.config) else n
        out.append((cell.config.out.name, n, left * SECONDS_PER_EPISODE / processes))
    return out


def is_complete(config: EvalConfig) -> bool:
    """Return whether a folder holds all episodes, measured by the same code, policy and planners as today's."""
    if not (config.out / "eval_info.json").is_file():
        return False
    done = read_records(config.out / "rollouts.jsonl")
    return all(trial.key in done for trial in trials(config)) and is_same(config)


def is_same(config: EvalConfig) -> bool:
    """Return whether a folder's episodes have today's identity; ValueError if there is no such policy."""
    stored = read_identity(config.out)
    conditions = stored.pop("conditions", {})
    return stored == run_identity(config) and all(
        conditions.get(name) == now for name, now in conditions_of(config).items()
    )


def sees_paths(policy: str) -> bool:
    """Return whether a policy has a path conditioner; ValueError if there is no such policy."""
    return bool(read_config(find_policy(policy))["actor"].get("conditioners"))


def _cell(config: AblationConfig, policy: str, column: str, conditions: tuple[str, ...]) -> Cell:
    pairs = column == COUNTERFACTUAL
    cell = EvalConfig(
        out=config.out / "cells" / f"{file_name(short_name(policy))}-{column}",
        suite=CAMERAS.get(column, column),
        planners=conditions,
        policy=policy,
        episodes=2 * config.counterfactual if pairs else config.episodes,
        seed=config.seed,
        families=config.families,
        workers=config.workers,
        videos=False,
        restart=config.restart,
        dialect=config.dialect,
        device=config.device,
        dtype=config.dtype,
    )
    return Cell(policy, column, cell)
