"""From episodes to `eval_info.json`: every number of the report is computed from the episodes' records."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hamster.evaluate.statistics import mcnemar, wilson

Record = Mapping[str, Any]


def summarize(records: Sequence[Record], conditions: Sequence[str], meta: Mapping[str, Any]) -> dict[str, Any]:
    """Return the content of `eval_info.json`; the names inside a condition are LeRobot's.

    Args:
        records: finished episodes, of any conditions.
        conditions: in the order of the table; a condition without an episode is left out.
        meta: seed, versions, commit, command, times.
    """
    by_condition = {condition: [r for r in records if r["condition"] == condition] for condition in conditions}
    by_condition = {condition: episodes for condition, episodes in by_condition.items() if episodes}
    return {
        "conditions": {
            condition: _condition(episodes, meta.get("tasks_per_scene", 1))
            for condition, episodes in by_condition.items()
        },
        "paired": [_pair(a, b, by_condition) for i, a in enumerate(by_condition) for b in list(by_condition)[i + 1 :]],
        "meta": dict(meta),
    }


def _condition(episodes: Sequence[Record], tasks: int) -> dict[str, Any]:
    families = sorted({r["family"] for r in episodes})
    return {
        **_rate(episodes),
        **({"scenes": _rate(_scenes(episodes, tasks))} if tasks > 1 else {}),
        **_path_task(episodes),
        "per_task": {family: _rate([r for r in episodes if r["family"] == family]) for family in families},
        "outcomes": dict(sorted(Counter(r["outcome"] for r in episodes).items())),
        "latency_ms": {
            "planner": _latency([s for r in episodes for s in r["planner_s"]]),
            "policy": _latency([s for r in episodes for s in r["policy_s"]]),
        },
    }


def _path_task(episodes: Sequence[Record]) -> dict[str, Any]:
    """Return how often the path's task was done, of episodes whose path was not that of their instruction's task."""
    done = [{"success": r["path_task_success"]} for r in episodes if "path_task_success" in r]
    return {"path_task": _rate(done)} if done else {}


def _scenes(episodes: Sequence[Record], tasks: int) -> list[Record]:
    """Return one record per scene all of whose tasks were tried: a success if all were done."""
    by_scene: dict[int, list[bool]] = {}
    for r in episodes:
        by_scene.setdefault(r["scene"] // tasks, []).append(bool(r["success"]))
    return [{"success": all(done)} for done in by_scene.values() if len(done) == tasks]


def _rate(episodes: Sequence[Record]) -> dict[str, Any]:
    n, n_success = len(episodes), sum(bool(r["success"]) for r in episodes)
    low, high = wilson(n_success, n)
    return {
        "pc_success": round(100 * n_success / n, 2),
        "n_episodes": n,
        "n_success": n_success,
        "pc_success_ci95": [round(100 * low, 2), round(100 * high, 2)],
    }


def _latency(seconds: Sequence[float]) -> dict[str, float] | None:
    if not seconds:
        return None
    return {f"p{q}": round(1000 * float(np.percentile(seconds, q)), 1) for q in (50, 95)}


def _pair(a: str, b: str, by_condition: Mapping[str, Sequence[Record]]) -> dict[str, Any]:
    done_a, done_b = ({r["scene"]: bool(r["success"]) for r in by_condition[condition]} for condition in (a, b))
    shared = sorted(done_a.keys() & done_b.keys())
    only_a, only_b, p = mcnemar([done_a[s] for s in shared], [done_b[s] for s in shared])
    return {"a": a, "b": b, "n_scenes": len(shared), "n_only_a": only_a, "n_only_b": only_b, "p_mcnemar": p}
