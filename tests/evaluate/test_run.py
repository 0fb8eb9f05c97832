from __future__ import annotations

import json
from dataclasses import replace

import av
import pytest

from hamster.evaluate import EvalConfig
from hamster.evaluate.run import evaluate_config
from hamster.evaluate.statistics import wilson
from hamster.evaluate.trials import scene_seed, trials
from tests.evaluate.fakes import load_mortal_worker, load_worker, open_nothing

pytestmark = pytest.mark.slow

# What may differ between two runs of the same thing: clocks.
CLOCKS = ("planner_s", "policy_s", "wall_s")


def lines(folder) -> list[dict]:
    records = [json.loads(line) for line in (folder / "rollouts.jsonl").read_text().splitlines()]
    return [{k: v for k, v in record.items() if k not in CLOCKS} for record in records]


def test_every_arm_meets_the_same_distinct_scenes(finished):
    config, _ = finished
    by_condition = {
        condition: [r for r in lines(config.out) if r["condition"] == condition] for condition in config.planners
    }
    scenes = [
        [(r["scene"], r["seed"], r["family"], r["instruction"]) for r in by_condition[condition]]
        for condition in by_condition
    ]
    assert len(scenes) == 4 and all(s == scenes[0] for s in scenes)
    assert len({seed for _, seed, _, _ in scenes[0]}) == 3
    assert [family for _, _, family, _ in scenes[0]] == ["pick_place", "press", "knock"]


def test_seeds_do_not_collide_and_a_longer_run_contains_a_shorter_one():
    seeds = [scene_seed(run, scene) for run in range(3) for scene in range(1000)]
    assert len(set(seeds)) == len(seeds)
    assert scene_seed(0, 1) == 1459132311362927889
    short, long = (trials(EvalConfig(out="x", episodes=n)) for n in (5, 9))
    assert long[: len(short)] == short


def test_eval_info_has_the_agreed_names_and_right_numbers(finished):
    config, returned = finished
    info = json.loads((config.out / "eval_info.json").read_text())
    assert info == returned
    assert set(info["conditions"]) == set(config.planners)
    for name, condition in info["conditions"].items():
        episodes = [r for r in lines(config.out) if r["condition"] == name]
        won = sum(r["success"] for r in episodes)
        assert (condition["n_success"], condition["n_episodes"]) == (won, 3)
        assert condition["pc_success"] == pytest.approx(100 * won / 3, abs=0.01)
        assert condition["pc_success_ci95"] == pytest.approx([100 * x for x in wilson(won, 3)], abs=0.01)
        assert sum(condition["outcomes"].values()) == 3
        assert sum(task["n_success"] for task in condition["per_task"].values()) == won
        for task in condition["per_task"].values():
            assert {"pc_success", "n_episodes", "n_success", "pc_success_ci95"} <= set(task)
    assert {"seed", "versions", "git_commit", "command", "started", "finished", "hardware"} <= set(info["meta"])


def test_the_arms_differ_as_their_paths_do(finished):
    _, info = finished
    assert info["conditions"]["oracle"]["pc_success"] == 100
    assert info["conditions"]["shuffled"]["pc_success"] == info["conditions"]["none"]["pc_success"] == 0


def test_a_plan_error_is_counted_as_one_and_keeps_its_text(finished):
    config, info = finished
    failed = [r for r in lines(config.out) if r["outcome"] == "plan_error"]
    assert failed and info["conditions"]["nano"]["outcomes"]["plan_error"] == len(failed)
    for record in failed:
        assert record["raw_texts"] == ["I cannot help <b>you</b>"] and record["paths"] == []


def test_pairs_are_counted_on_the_same_scenes(finished):
    _, info = finished
    [pair] = [p for p in info["paired"] if (p["a"], p["b"]) == ("oracle", "none")]
    assert (pair["n_only_a"], pair["n_only_b"], pair["n_scenes"]) == (3, 0, 3)
    assert pair["p_mcnemar"] == pytest.approx(2 / 8)


@pytest.mark.parametrize("condition", ["oracle", "nano", "none"])
def test_every_film_plays_and_has_all_frames(finished, condition):
    config, _ = finished
    for record in lines(config.out):
        if record["condition"] == condition:
            with av.open(str(config.out / record["video"])) as video:
                assert video.streams.video[0].codec_context.name == "h264"
                n = sum(1 for _ in video.decode(video=0))
            recorded = len({*range(0, record["n_steps"] + 1, 2), record["n_steps"]})
            assert n == recorded - 1 + 10  # the last frame stays for a second, ten frames


def test_an_interrupted_run_goes_on_and_ends_as_if_nothing_had_happened(finished, tmp_path):
    config, _ = finished
    again = replace(config, out=tmp_path / "again")
    ran = []

    def dying_progress(records, n_done, n_all):
        for record in records:
            yield record
            ran.append(record["key"])
            if len(ran) == 5:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate_config(again, dying_progress, load_worker)
    assert not (again.out / "eval_info.json").exists()
    with (again.out / "rollouts.jsonl").open("a") as stream:
        stream.write('{"key": "0001-sh')  # killed in the middle of a line

    def counting_progress(records, n_done, n_all):
        assert (n_done, n_all) == (5, 12)
        for record in records:
            assert record["key"] not in ran
            yield record

    evaluate_config(again, counting_progress, load_worker)
    assert lines(again.out) == lines(config.out)


def test_the_number_of_workers_changes_nothing(finished, tmp_path):
    config, one = finished
    two = evaluate_config(replace(config, out=tmp_path, workers=2), load_worker=load_worker)
    assert lines(tmp_path) == lines(config.out)
    assert [a["per_task"] for a in two["conditions"].values()] == [a["per_task"] for a in one["conditions"].values()]


@pytest.mark.parametrize("workers", [1, 2])
def test_a_model_that_is_not_there_is_one_clear_error(tmp_path, workers):
    with pytest.raises(ValueError, match="there is nano"):
        evaluate_config(EvalConfig(out=tmp_path, episodes=2, workers=workers), load_worker=open_nothing)


def test_a_worker_that_is_killed_costs_time_and_nothing_else(finished, tmp_path):
    config, _ = finished
    evaluate_config(replace(config, out=tmp_path, workers=2), load_worker=load_mortal_worker)
    assert (tmp_path / "died").exists() and lines(tmp_path) == lines(config.out)


def test_more_episodes_and_arms_can_be_added(tmp_path):
    small = EvalConfig(out=tmp_path, planners=("oracle",), episodes=2, workers=1)
    evaluate_config(small, load_worker=load_worker)
    before = lines(tmp_path)
    info = evaluate_config(replace(small, planners=("oracle", "none"), episodes=3), load_worker=load_worker)
    assert info["meta"]["n_resumed"] == 2 and all(record in lines(tmp_path) for record in before)


def test_a_folder_of_another_run_is_refused(finished):
    config, _ = finished
    with pytest.raises(ValueError, match=r"another run \(seed was 7, is 4\)"):
        evaluate_config(replace(config, seed=4), load_worker=load_worker)


def test_restart_replaces_a_finished_run(tmp_path):
    config = EvalConfig(out=tmp_path, planners=("oracle",), episodes=1, workers=1, restart=True)
    assert evaluate_config(config, load_worker=load_worker)["meta"]["n_resumed"] == 0
    assert evaluate_config(config, load_worker=load_worker)["meta"]["n_resumed"] == 0
    other = replace(config, seed=5)
    assert evaluate_config(other, load_worker=load_worker)["meta"]["seed"] == 5 and len(lines(tmp_path)) == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"episodes": 0}, "episodes must be >= 1"),
        ({"seed": -1}, "seed must be >= 0"),
        ({"planners": ()}, "planners must be at least one"),
        ({"planners": ("nano", "nano")}, "only once"),
        ({"workers": 0}, "workers must be >= 1"),
        ({"engine": "spark"}, "no engine 'spark'; there are local, ray"),
    ],
)
def test_senseless_numbers_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        EvalConfig(out="x", **change)


def test_unknown_names_list_what_there_is(tmp_path):
    with pytest.raises(ValueError, match=r"unknown suite 'moon'\. There are: tabletop"):
        evaluate_config(EvalConfig(out=tmp_path, suite="moon"))


def test_the_shuffled_arm_gets_the_next_scenes_path(finished):
    config, _ = finished
    paths = {
        condition: [r["paths"] for r in lines(config.out) if r["condition"] == condition]
        for condition in ("oracle", "shuffled")
    }
    assert paths["shuffled"][:-1] == paths["oracle"][1:]
    assert paths["shuffled"][-1] not in paths["oracle"]
