"""The content of ablation.json: rates with intervals, and comparisons scene by scene."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hamster.evaluate.ablation.plan import AblationConfig, Cell
from hamster.evaluate.journal import Record, read_records
from hamster.evaluate.statistics import mcnemar
from hamster.evaluate.summary import summarize
from hamster.evaluate.trials import short_name, trials
from hamster.provenance import run_info


def tabulate(config: AblationConfig, planned: Sequence[Cell]) -> dict[str, Any]:
    """Return `rows`, one per policy, column and condition; `paired`; `meta`. All cells must be complete."""
    infos = [_summary(cell) for cell in planned]
    rows = [row for cell, info in zip(planned, infos, strict=True) for row in _rows(cell, info)]
    commits = sorted({str(info["meta"]["git_commit"]) for info in infos})
    meta = {**run_info(config.seed), "commits": commits, "episodes": config.episodes}
    return {"rows": rows, "paired": _paired(planned), "meta": meta | {"families": list(config.families)}}


def _summary(cell: Cell) -> dict[str, Any]:
    """Summarize the episodes of a cell; its folder may hold more."""
    meta = json.loads((cell.config.out / "eval_info.json").read_text())["meta"]
    return summarize(_records(cell), cell.config.planners, meta)


def _rows(cell: Cell, info: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a row per condition: the success rate, of scenes with two tasks that of doing both."""
    where = {"policy": short_name(cell.policy), "column": cell.column}
    keys = ("pc_success", "n_episodes", "n_success", "pc_success_ci95")
    rates = {
        condition: rate.get("scenes", rate)
        for condition, rate in info["conditions"].items()
        if condition in cell.config.planners
    }
    return [{**where, "condition": name, **{key: rate[key] for key in keys}} for name, rate in rates.items()]


def _paired(planned: Sequence[Cell]) -> list[dict[str, Any]]:
    """Compare scene by scene.

    Each policy with the first one of the same column and condition, each moved camera with the same policy's
    training camera.
    """
    done = {
        (cell.policy, cell.column, condition): outcomes for cell in planned for condition, outcomes in _outcomes(cell)
    }
    pairs = []
    for key in done:
        policy, column, condition = key
        first = next(other for other in done if other[1:] == key[1:])
        pairs += [(first, key)] if first != key else []
        pairs += (
            [((policy, "training", condition), key)]
            if column == "moved" and (policy, "training", condition) in done
            else []
        )
    return [_compared(a, b, done[a], done[b]) for a, b in pairs]


def _outcomes(cell: Cell) -> list[tuple[str, dict[str, bool]]]:
    records, conditions = _records(cell), cell.config.planners
    return [
        (condition, {str(r["scene"]): bool(r["success"]) for r in records if r["condition"] == condition})
        for condition in conditions
    ]


def _records(cell: Cell) -> list[Record]:
    done = read_records(cell.config.out / "rollouts.jsonl")
    return [done[trial.key] for trial in trials(cell.config)]


def _compared(
    a: tuple[str, str, str], b: tuple[str, str, str], done_a: Mapping[str, bool], done_b: Mapping[str, bool]
) -> dict[str, Any]:
    shared = [scene for scene in done_a if scene in done_b]
    only_a, only_b, p = mcnemar([done_a[s] for s in shared], [done_b[s] for s in shared])
    names = [
        {"policy": short_name(policy), "column": column, "condition": condition} for policy, column, condition in (a, b)
    ]
    return {"a": names[0], "b": names[1], "n": len(shared), "n_only_a": only_a, "n_only_b": only_b, "p_mcnemar": p}
