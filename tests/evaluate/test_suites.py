"""Suites with inputs withheld, and which scene a shuffled path comes from."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest

from hamster.evaluate import EvalConfig, Suite
from hamster.evaluate.suites import SUITES, episode_metrics, find_suite
from hamster.evaluate.trials import trials
from hamster.planner.registry import PLANNERS
from hamster.rollout.baselines import BASELINES
from tests.evaluate.fakes import SuiteEnv


@pytest.fixture
def toys(monkeypatch):
    suite = Suite(("press", "knock"), SuiteEnv, 40)
    monkeypatch.setattr(SUITES, "get", {"toys": lambda: suite}.__getitem__)
    return suite


def test_a_suffix_withholds_the_images(toys):
    env = find_suite("toys+blind").make("press", 3)
    assert not env.front_image().any() and env.expert_path() == toys.make("press", 3).expert_path()


def test_wrong_words_are_another_scenes_and_always_the_same_ones(toys):
    plain, wrong, again = (find_suite(name).make("press", 3) for name in ("toys", *["toys+wrong-words"] * 2))
    assert plain.instruction != wrong.instruction == again.instruction and "press" in wrong.instruction
    assert np.array_equal(plain.goal, wrong.goal)


def test_an_unknown_suffix_lists_those_there_are(toys):
    with pytest.raises(ValueError, match=r"unknown suffix of a suite 'blnd'. Did you mean 'blind'.*wrong-words"):
        find_suite("toys+blnd")


@pytest.mark.parametrize("metrics", [{"force_n": float("nan")}, {"force_n": np.float32(1)}, 3])
def test_metrics_that_json_cannot_hold_are_refused_with_the_environments_name(metrics):
    env = SuiteEnv("press", 3)
    assert episode_metrics(env, SimpleNamespace(is_measured=True)) == {}
    env.episode_metrics = lambda rollout: metrics
    assert episode_metrics(env, SimpleNamespace(is_measured=False)) == {}
    with pytest.raises(ValueError, match=r"episode_metrics\(\) of SuiteEnv must return a mapping of JSON values"):
        episode_metrics(env, SimpleNamespace(is_measured=True))
    env.episode_metrics = lambda rollout: {"force_n": None, "touched": ["thing0"]}
    assert episode_metrics(env, SimpleNamespace(is_measured=True))["metrics"]["touched"] == ["thing0"]


def test_step_limits_by_family_need_one_for_each():
    suite = Suite(("press", "knock"), SuiteEnv, {"press": 40, "knock": 60})
    assert [suite.end_conditions(family)["max_steps"] for family in suite.families] == [40, 60]
    with pytest.raises(ValueError, match="max_steps has no 'knock'; it needs a number for each of press, knock"):
        Suite(("press", "knock"), SuiteEnv, {"press": 40})


@pytest.mark.parametrize("families", [("press", "knock"), ("press", "knock", "pick_place")])
def test_shuffled_same_takes_the_next_scene_of_the_same_family(families):
    listed = trials(
        EvalConfig(out="x", episodes=9, planners=("oracle", "shuffled", "shuffled-same"), families=families)
    )
    by_condition = {
        name: [t for t in listed if t.condition == name] for name in ("oracle", "shuffled", "shuffled-same")
    }
    scenes = [(t.family, t.seed) for t in by_condition["oracle"]]
    others = {name: [(t.other_family, t.other_seed) for t in by_condition[name]] for name in by_condition}
    assert others["shuffled"][:-1] == scenes[1:]
    ahead = len(families)
    assert others["shuffled-same"][:-ahead] == scenes[ahead:]
    assert all(t.family == t.other_family for t in by_condition["shuffled-same"])


def test_no_planner_can_take_a_baselines_name():
    for name in BASELINES:
        with pytest.raises(ValueError, match="a baseline's"):
            PLANNERS.register(name, partial(dict))
