from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from hamster.evaluate.comparison.compare import compare, sequences
from hamster.evaluate.comparison.episodes import Folder, read_runs
from hamster.evaluate.comparison.plan import Arm, Plan, Prediction, Scenes, Statistics
from hamster.evaluate.comparison.results import MEAN
from hamster.evaluate.statistics import clopper_pearson
from tests.evaluate.comparison.synthetic import write_arm, write_folder

FEW = Statistics(permutations=2000, resamples=400)


def plan_of(*arms: str, axes=("basic", "visual"), **changes) -> Plan:
    listed = {name: Arm(name, "flow", "nano") for name in arms}
    return Plan(Scenes(tuple(axes), (), 12, 6), FEW, "", listed, contrasts=((arms[0], arms[1]),), **changes)


def test_rates_differences_and_failures_by_hand(tmp_path):
    """Two axes of six scenes: a solves 5 and 3, b 2 and 1; the mean of axes is 8/12 and 3/12."""
    solved = {"a": ([1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]), "b": ([1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1])}
    folders = [
        Folder(write_folder(tmp_path / arm / axis, axis, successes), arm)
        for arm, both in solved.items()
        for axis, successes in zip(("basic", "visual"), both, strict=True)
    ]
    result = compare(read_runs(folders), plan_of("a", "b"))
    assert result.rates["a", "basic"].interval == clopper_pearson(5, 6)
    assert [result.rates[arm, MEAN].mean for arm in "ab"] == pytest.approx([8 / 12, 3 / 12])
    assert result.slopes["a"].mean == pytest.approx(3 / 6 - 5 / 6)
    primary, basic, visual = result.differences
    assert [d.axis for d in result.differences] == [MEAN, "basic", "visual"]
    assert primary.rate.mean == pytest.approx(5 / 12) and primary.rate.n_scenes == 12
    assert basic.mcnemar == (3, 0, 0.25) and visual.mcnemar == (3, 1, 0.625)
    assert primary.p_holm == primary.p  # one primary contrast; those on single axes are corrected among themselves
    assert basic.p_holm == min(1, 2 * min(basic.p, visual.p))
    assert result.failures["a"] == {"success": 8, "wrong goal": 2, "wrong execution": 1, "wrong object": 1}
    assert result.clean["a"] == pytest.approx((4 / 6 + 2 / 6) / 2)


def test_axes_count_the_same_however_many_scenes_they_have(tmp_path):
    folders = [
        Folder(write_folder(tmp_path / axis, axis, [success] * n), "a")
        for axis, success, n in (("basic", 1, 3), ("visual", 0, 30))
    ]
    assert compare(read_runs(folders)).rates["a", MEAN].mean == pytest.approx(0.5)


def test_more_training_seeds_that_differ_widen_an_interval(tmp_path):
    one = [Folder(write_folder(tmp_path / "0", "basic", [1, 0] * 30), "a", 0)]
    other = [Folder(write_folder(tmp_path / "1", "basic", [1] * 54 + [0] * 6), "a", 1)]
    rate = compare(read_runs([*one, *other])).rates["a", "basic"]
    assert (rate.n_seeds, rate.n_scenes, rate.mean) == (2, 60, pytest.approx(0.7))
    assert rate.interval[0] < 0.55 and rate.interval[1] > 0.85  # a seed alone: 0.5 and 0.9


def test_all_failures_still_have_an_interval(tmp_path):
    folders = [Folder(write_folder(tmp_path / str(seed), "basic", [0] * 20), "a", seed) for seed in (0, 1)]
    assert compare(read_runs(folders)).rates["a", "basic"].interval == clopper_pearson(0, 20)


def test_only_scenes_that_all_training_seeds_have_count(tmp_path):
    folders = [Folder(write_folder(tmp_path / str(n), "basic", [1] * n), "a", n) for n in (6, 9)]
    assert compare(read_runs(folders)).rates["a", "basic"].n_scenes == 6


def test_an_arm_without_an_axis_has_no_mean_and_says_so(tmp_path):
    folders = write_arm(tmp_path, "a", {"basic": 0.7, "visual": 0.6}, 1, 12) + write_arm(
        tmp_path, "b", {"basic": 0.7}, 1, 12
    )
    result = compare(read_runs(folders), plan_of("a", "b"))
    assert ("b", MEAN) not in result.rates and [d.axis for d in result.differences] == ["basic"]


def test_predictions_are_judged(tmp_path):
    folders = write_arm(tmp_path, "a", {"basic": 0.95, "visual": 0.9}, 1, 60, 0)
    folders += write_arm(tmp_path, "b", {"basic": 0.3, "visual": 0.2}, 1, 60, 0)
    predictions = (
        Prediction("a - b", "no", at_least=0.3, excludes_0=True),
        Prediction("b - a", "as expected", axis="visual"),
    )
    result = compare(read_runs(folders), plan_of("a", "b", predictions=predictions))
    assert [held for _, _, held in result.predictions] == [True, False]


def test_the_curve_is_over_the_axes_that_all_its_arms_have(tmp_path):
    folders = write_arm(tmp_path, "a", {"basic": 0.9, "visual": 0.0}, 1, 30)
    folders += write_arm(tmp_path, "b", {"basic": 0.5}, 1, 30)
    plan = plan_of("a", "b")
    shares = {"a": 1.0, "b": 0.1}
    plan = replace(plan, arms={name: replace(arm, share=shares[name]) for name, arm in plan.arms.items()})
    result = compare(read_runs(folders), plan)
    assert [(share, arm) for share, arm, _ in result.curve] == [(0.1, "b"), (1.0, "a")]
    assert result.curve[1][2] == result.rates["a", "basic"]


def test_sequences_take_full_blocks_of_as_many_scenes_of_each_axis_and_family(tmp_path):
    folders = [
        Folder(write_folder(tmp_path / arm / axis, axis, [arm == "a"] * n), arm)
        for arm in "ab"
        for axis, n in (("basic", 12), ("visual", 15))
    ]
    sequence = sequences(read_runs(folders), plan_of("a", "b"))["a", "b"]
    assert sequence.n == 24  # two blocks of six scenes of either axis
    assert sequence.interval[0] > 0.2 and sequence.interval[1] == 1


def test_the_result_is_json_and_the_same_in_any_order_of_folders(tmp_path):
    folders = write_arm(tmp_path, "a", {"basic": 0.7, "visual": 0.6}, 2, 12)
    folders += write_arm(tmp_path, "b", {"basic": 0.5, "visual": 0.3}, 2, 12)
    plan = plan_of("a", "b")
    once = json.dumps(compare(read_runs(folders), plan).to_json())
    assert once == json.dumps(compare(read_runs(folders[::-1]), plan).to_json())
    assert np.isfinite(json.loads(once)["rates"]["a"]["mean"]["mean"])
