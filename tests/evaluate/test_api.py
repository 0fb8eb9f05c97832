"""`hamster.evaluate` with objects as well as names; nothing here loads a model."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

import hamster
from hamster.evaluate import EvalConfig, Suite, evaluate, register_suite
from hamster.evaluate.statistics import wilson
from hamster.evaluate.suites import SUITES
from hamster.planner import Plan
from hamster.planner.registry import PLANNERS, register_planner
from tests.evaluate.fakes import OddPlanner, PathPolicy, SuiteEnv
from tests.rollout.fakes import FakeEnv

SUITE = Suite(("pick", "press"), SuiteEnv, 40)


class GoalPlanner:
    """Draws the right path for the even scenes."""

    def plan(self, image, instruction):
        return Plan([(0.5, 0.2), (0.45, 0.45)])


class PlainEnv(FakeEnv):
    """An environment with neither an expert nor anything to close."""

    def __init__(self, seed: int) -> None:
        super().__init__(goal=(0.45, 0.0, 0.1), instruction=f"reach {seed % 100}", size=64)


@pytest.fixture
def registered():
    names = dict(SUITES._entries), dict(PLANNERS._entries)
    yield
    SUITES._entries, PLANNERS._entries = names
    SUITES._loaded.clear()
    PLANNERS._loaded.clear()


def test_a_planner_a_policy_and_a_suite_as_objects():
    result = evaluate([GoalPlanner(), "oracle", "none"], PathPolicy(), suite=SUITE, episodes=4, workers=1)
    assert [row.condition for row in result.rows] == ["GoalPlanner", "oracle", "none"]
    assert result["oracle"].success_rate == 1 and result["oracle"].n_episodes == 4
    assert result["oracle"].interval == pytest.approx(wilson(4, 4), abs=1e-4)
    assert set(result["oracle"].per_task) == {"pick", "press"}
    assert result.success_rate == result["GoalPlanner"].success_rate and result.interval[0] <= result.success_rate
    assert len(result.episodes) == 12 and len(result.paired) == 3
    with pytest.raises(KeyError, match="GoalPlanner, oracle, none"):
        result["nano"]


def test_an_environment_needs_neither_expert_nor_close():
    result = evaluate(GoalPlanner(), PathPolicy(), env=PlainEnv, episodes=2, max_steps=40, workers=1)
    assert result.success_rate == 1 and result.info["meta"]["suite"] == "PlainEnv"


@pytest.mark.parametrize("condition", ["oracle", "shuffled"])
def test_a_baseline_that_needs_an_expert_says_so_before_anything_runs(condition, tmp_path):
    with pytest.raises(ValueError, match=rf"{condition} needs an expert's path, and PlainEnv .*--planner GoalPlanner"):
        evaluate({"GoalPlanner": GoalPlanner(), condition: condition}, PathPolicy(), env=PlainEnv, out=tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_two_processes_measure_what_one_does(tmp_path):
    planners = {"odd": OddPlanner(), "goal": GoalPlanner()}
    one = evaluate(planners, PathPolicy(), suite=SUITE, episodes=4, workers=1)
    two = evaluate(planners, PathPolicy(), suite=SUITE, episodes=4, workers=2, out=tmp_path, videos=False)
    assert two.info["meta"]["workers"] == 2
    assert [row.outcomes for row in one.rows] == [row.outcomes for row in two.rows]


def test_what_cannot_be_sent_to_another_process_runs_in_this_one(tmp_path):
    planner = GoalPlanner()
    planner.lock = __import__("threading").Lock()
    with pytest.warns(UserWarning, match="in this process alone: the planner GoalPlanner cannot be pickled"):
        result = evaluate(planner, PathPolicy(), env=PlainEnv, episodes=2, max_steps=40)
    assert result.info["meta"]["workers"] == 1 and result.success_rate == 1


def test_a_result_is_saved_with_what_was_recorded(tmp_path):
    result = evaluate(GoalPlanner(), PathPolicy(), env=PlainEnv, episodes=1, workers=1, out=tmp_path / "run")
    folder = result.save(tmp_path / "kept")
    assert json.loads((folder / "eval_info.json").read_text()) == result.info
    assert len((folder / "rollouts.jsonl").read_text().splitlines()) == 1
    assert (folder / "report.html").is_file() and list((folder / "videos").glob("*.mp4"))
    bare = evaluate(GoalPlanner(), PathPolicy(), env=PlainEnv, episodes=1, workers=1)
    assert bare.out is None and {f.name for f in bare.save(tmp_path / "b").iterdir()} == {
        "eval_info.json",
        "rollouts.jsonl",
    }


def test_a_run_goes_on_with_the_same_objects_only(tmp_path):
    class Other(GoalPlanner):
        pass

    run = {"policy": PathPolicy(), "env": PlainEnv, "out": tmp_path, "max_steps": 40, "workers": 1, "videos": False}
    evaluate({"mine": GoalPlanner()}, episodes=1, **run)
    assert evaluate({"mine": GoalPlanner()}, episodes=2, **run).info["meta"]["n_resumed"] == 1
    with pytest.raises(ValueError, match="mine's class was"):
        evaluate({"mine": Other()}, episodes=3, **run)


def test_registered_names_are_found(registered):
    register_planner("goal", GoalPlanner)
    register_suite("plain", lambda: Suite.of_environment(PlainEnv, 40))
    result = evaluate("goal", PathPolicy(), suite="plain", episodes=2, workers=1)
    assert result.success_rate == 1
    assert (
        result.info["meta"]["identity"]["conditions"]["goal"]["code"] and result.info["meta"]["identity"]["suite code"]
    )


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"planner": [GoalPlanner(), GoalPlanner()]}, "two planners are called 'GoalPlanner'"),
        ({"planner": {"oracle": GoalPlanner()}}, "the name of a baseline"),
        ({"planner": {"a": PathPolicy()}}, "'a' has no method plan"),
        ({"planner": "none", "suite": "tabletop", "env": PlainEnv}, "not both"),
        ({"planner": "none", "suite": "moon"}, "unknown suite 'moon'"),
        ({"planner": "none", "suite": SUITE, "families": ["fly"]}, "unknown family 'fly'"),
    ],
)
def test_what_makes_no_sense_is_one_line(arguments, words):
    with pytest.raises(ValueError, match=words):
        evaluate(**{"policy": PathPolicy(), "workers": 1, **arguments})


def test_several_planners_have_no_single_success_rate():
    result = evaluate({"a": GoalPlanner(), "b": OddPlanner()}, PathPolicy(), suite=SUITE, episodes=2, workers=1)
    with pytest.raises(ValueError, match=r"result\['a'\]\.success_rate"):
        _ = result.success_rate


def test_the_package_is_the_function(monkeypatch):
    assert callable(hamster.evaluate) and callable(hamster.rollout)
    assert inspect.signature(hamster.evaluate) == inspect.signature(evaluate)
    assert hamster.evaluate("none", PathPolicy(), env=PlainEnv, max_steps=1, episodes=1, workers=1).success_rate == 0


def test_the_old_way_in_still_works(tmp_path):
    config = EvalConfig(out=tmp_path, suite="moon", families=("a",))
    with pytest.warns(DeprecationWarning), pytest.raises(ValueError, match="unknown suite 'moon'"):
        evaluate(config)


def test_a_script_without_a_guard_evaluates_what_it_defines(tmp_path):
    script = textwrap.dedent("""
        import numpy as np
        import hamster
        from hamster.evaluate import Suite, evaluate, register_suite
        from hamster.planner.registry import register_planner
        from tests.evaluate.test_api import PlainEnv, PathPolicy, Plan

        @register_planner("mine")
        class Mine:
            def plan(self, image, instruction):
                return Plan([(0.5, 0.2), (0.45, 0.45)])

        print(evaluate("mine", PathPolicy(), env=PlainEnv, episodes=3, max_steps=40).success_rate)
        import torch  # not before: evaluating in this process must give back the threads that torch begins with
        print(torch.get_num_threads())
    """)
    (tmp_path / "script.py").write_text(script)
    paths = os.pathsep.join([*sys.path, str(Path(__file__).parents[2])])
    env = {**os.environ, "PYTHONPATH": paths, "OMP_NUM_THREADS": "2", "MKL_NUM_THREADS": "2"}
    command = [sys.executable, str(tmp_path / "script.py")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=200, check=False)
    assert done.stdout == "1.0\n2\n", done.stderr
    assert "registered by the script" in done.stderr


def test_global_generators_are_seeded_by_the_scene():
    drawn = []

    class Drawing(GoalPlanner):
        def plan(self, image, instruction):
            drawn.append(np.random.rand())
            return super().plan(image, instruction)

    for _ in range(2):
        evaluate(Drawing(), PathPolicy(), env=PlainEnv, episodes=2, max_steps=40, workers=1)
    assert drawn[:2] == drawn[2:] and drawn[0] != drawn[1]
