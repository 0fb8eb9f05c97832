"""Replanning, a simulated latency and end conditions, from the settings of an evaluation to its records."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from hamster.evaluate import EvalConfig, Suite, evaluate
from hamster.evaluate.identity import run_identity
from tests.evaluate.fakes import PathPolicy, SuiteEnv

SUITE = Suite(("pick", "press"), SuiteEnv, 100)


def outcomes(**settings):
    result = evaluate("oracle", PathPolicy(), episodes=2, workers=1, **{"suite": SUITE, **settings})
    timeless = [{k: v for k, v in r.items() if k not in ("planner_s", "policy_s", "wall_s")} for r in result.episodes]
    return result, timeless


def test_a_latency_costs_control_steps_and_every_record_counts_kept_paths():
    _, quick = outcomes(replan=1)
    result, slow = outcomes(replan=1, planner_latency_s=1.0)
    for before, after in zip(quick, slow, strict=True):
        assert after["success"] and after["n_steps"] == before["n_steps"] + 20 * len(after["paths"])
        assert before["n_kept_paths"] == 0 and before["path_steps"][0] == 0
    assert result.info["meta"]["replan"] == 1 and result.info["meta"]["planner_latency_s"] == 1.0
    json.dumps(result.info)


def test_an_asynchronous_evaluation_gives_the_same_results_again():
    runs = [outcomes(replan="async", planner_latency_s=0.2)[1] for _ in range(2)]
    assert runs[0] == runs[1] and all(record["success"] for record in runs[0])


def test_async_needs_a_latency():
    with pytest.raises(ValueError, match="--planner-latency-s 1"):
        outcomes(replan="async")


def test_a_suite_sets_when_episodes_end():
    _, before = outcomes()
    _, held = outcomes(suite=replace(SUITE, hold_steps=10))
    assert all(a["n_steps"] == b["n_steps"] + 10 and a["success"] for a, b in zip(held, before, strict=True))
    with pytest.raises(ValueError, match="idle_steps needs positions_world"):
        outcomes(suite=replace(SUITE, idle_steps=25))
    with pytest.raises(ValueError, match="hold_steps must be >= 0"):
        replace(SUITE, hold_steps=-1)


def test_runs_without_a_latency_keep_their_identity(tmp_path):
    config = EvalConfig(out=tmp_path, planners=("oracle",))
    assert "planner latency" not in run_identity(config)
    assert run_identity(replace(config, planner_latency_s=0.2)).items() > run_identity(config).items()
