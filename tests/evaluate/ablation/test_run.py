"""One table of many policies: what is in it, and that it survives being interrupted."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from hamster.evaluate.ablation.plan import AblationConfig, cells, is_complete, seconds_left
from hamster.evaluate.ablation.run import ablate
from hamster.evaluate.config import EvalConfig
from hamster.evaluate.statistics import wilson
from hamster.evaluate.suites import Suite
from hamster.evaluate.trials import trials
from hamster.registry import Registry
from tests.evaluate import fakes


def folder(where, name: str, conditioners: list[str]) -> str:
    (where / name).mkdir()
    (where / name / "config.json").write_text(json.dumps({"family": "flow", "actor": {"conditioners": conditioners}}))
    return str(where / name)


@pytest.fixture(autouse=True)
def suites(monkeypatch):
    """Fakes of the three kinds of scenes; in the last, scenes have two tasks."""
    families = ("pick_place", "press", "knock")
    named = {"tabletop": 1, "tabletop-moved": 1, "counterfactual": 2}
    made = {name: (lambda n=n: Suite(families, fakes.SuiteEnv, 40, n)) for name, n in named.items()}
    registry = Registry("suite", "hamster.test_none", made)
    for module in ("suites", "identity", "pool"):
        monkeypatch.setattr(f"hamster.evaluate.{module}.SUITES", registry)


@pytest.fixture
def config(tmp_path):
    sees, blind = folder(tmp_path, "follows", ["tokens"]), folder(tmp_path, "blind", [])
    planners = ("oracle", "shuffled", "none")
    return AblationConfig(tmp_path / "out", (sees, blind), planners, episodes=3, workers=1, counterfactual=2)


def rates(table):
    return {
        (row["policy"], row["column"], row["condition"]): (row["n_success"], row["n_episodes"]) for row in table["rows"]
    }


def test_the_table_has_each_policy_in_each_column(config):
    table = ablate(config, load_worker=fakes.load_worker)
    found = rates(table)
    for camera in ("training", "moved"):
        assert found["follows", camera, "oracle"] == (3, 3) and found["follows", camera, "none"] == (0, 3)
        assert ("blind", camera, "none") in found and ("blind", camera, "oracle") not in found
    assert found["follows", "counterfactual", "oracle"] == (2, 2)  # scenes, of four episodes
    row = next(row for row in table["rows"] if row["n_success"] == 3)
    assert row["pc_success_ci95"] == [round(100 * x, 2) for x in wilson(3, 3)]
    text = (config.out / "ablation.md").read_text()
    assert "| follows | **100** [44, 100] 3/3 |" in text and "counterfactual |" in text
    with Image.open(config.out / "ablation.png") as image:
        assert image.width > 1000
    assert json.loads((config.out / "ablation.json").read_text()) == table


def test_all_policies_meet_the_same_scenes_and_are_compared_on_them(config):
    table = ablate(config, load_worker=fakes.load_worker)
    scenes = {}
    for cell in cells(config):
        lines = (cell.config.out / "rollouts.jsonl").read_text().splitlines()
        scenes.setdefault(cell.column, set()).add(frozenset(json.loads(line)["seed"] for line in lines))
    assert all(len(sets) == 1 for sets in scenes.values()) and scenes["training"] == scenes["moved"]
    pair = next(p for p in table["paired"] if p["b"]["policy"] == "blind" and p["b"]["column"] == "training")
    assert pair["a"] == {"policy": "follows", "column": "training", "condition": "none"} and pair["n"] == 3
    moved = [p for p in table["paired"] if p["b"]["column"] == "moved" and p["a"]["column"] == "training"]
    assert {p["a"]["policy"] for p in moved} == {"follows", "blind"}


def test_an_interrupted_one_ends_like_an_undisturbed_one(config, tmp_path):
    whole = ablate(replace(config, out=tmp_path / "whole"), load_worker=fakes.load_worker)

    def dying(records, n_done, n_all):
        for n, record in enumerate(records):
            if n == 7:
                raise KeyboardInterrupt
            yield record

    with pytest.raises(KeyboardInterrupt):
        ablate(config, dying, fakes.load_worker)
    assert sum(is_complete(cell.config) for cell in cells(config)) < len(cells(config))
    again = ablate(config, load_worker=fakes.load_worker)
    assert again["rows"] == whole["rows"] and again["paired"] == whole["paired"]


def test_what_is_complete_is_not_done_again(config):
    ablate(config, load_worker=fakes.load_worker)
    assert all(left == 0 for _, _, left in seconds_left(config, {}))

    def nothing_to_do(config: EvalConfig):
        raise AssertionError("nothing is left to do")

    ablate(config, load_worker=nothing_to_do)
    longer = replace(config, episodes=4)
    assert [left > 0 for _, _, left in seconds_left(longer, {})] == [True, True, False, True, True]


def test_a_cell_whose_last_episode_was_its_last_word_is_not_done_again(config):
    """Killed between the last episode of a cell and its summary."""
    ablate(config, load_worker=fakes.load_worker)
    lost = config.out / "cells" / "follows-training"
    (lost / "eval_info.json").unlink()

    def nothing_is_left(*_):
        raise AssertionError("an episode was done twice")

    ablate(config, load_worker=nothing_is_left)
    assert (lost / "eval_info.json").is_file()


def test_a_cell_that_holds_more_episodes_counts_those_asked_for(config):
    ablate(replace(config, episodes=6), load_worker=fakes.load_worker)
    assert rates(ablate(config, load_worker=fakes.load_worker))["follows", "training", "oracle"] == (3, 3)


def test_cells_of_other_code_or_weights_are_refused_or_measured_anew(config, monkeypatch):
    ablate(config, load_worker=fakes.load_worker)
    record = {"type": "flow", "actor": {"conditioners": [], "width": 9}}
    (Path(config.policies[1]) / "config.json").write_text(json.dumps(record))
    with pytest.raises(ValueError, match=r"blind-training holds another run \(policy weights was \w{12}, is \w{12}\)"):
        ablate(config, load_worker=fakes.load_worker)
    asked = []

    def noting(config: EvalConfig):
        asked.append(config.out.name)
        return fakes.load_worker(config)

    ablate(replace(config, restart=True), load_worker=noting)
    assert asked == ["blind-training", "blind-moved"]
    ablate(config, load_worker=noting)
    assert len(asked) == 2
    monkeypatch.setattr("hamster.evaluate.identity.code_digests", lambda: {"scene code": "1" * 64})
    with pytest.raises(
        ValueError, match=r"follows-training holds another run \(scene code was \w{12}, is 111111111111"
    ):
        ablate(config, load_worker=fakes.load_worker)


def test_scenes_with_two_tasks_have_neighbouring_seeds(tmp_path):
    pairs = trials(EvalConfig(tmp_path, suite="counterfactual", planners=("oracle",), episodes=6))
    seeds = [trial.seed for trial in pairs]
    assert all(a + 1 == b and a % 2 == 0 for a, b in zip(seeds[::2], seeds[1::2], strict=True))
    assert [trial.family for trial in pairs] == ["pick_place"] * 2 + ["press"] * 2 + ["knock"] * 2
    assert all(trial.other_seed not in seeds[i : i + 2] for i, trial in enumerate(pairs))


def test_mistakes_are_one_line(config, tmp_path):
    with pytest.raises(ValueError, match=r"unknown camera 'above'; there are: training, moved"):
        replace(config, cameras=("above",))
    with pytest.raises(ValueError, match="a name of its own"):
        replace(config, policies=("a/x", "b/x"))
    with pytest.raises(ValueError, match="no policy 'gone'"):
        ablate(replace(config, policies=("gone",)), load_worker=fakes.load_worker)
