"""The chain as it ships: bundled planner, bundled policy, built-in tabletop."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hamster.cli import main
from hamster.evaluate import EvalConfig
from hamster.evaluate.journal import read_records
from hamster.evaluate.run import evaluate_all, evaluate_config
from hamster.evaluate.worker import WorkerLoader
from hamster.path import Path2D
from hamster.rollout.tabletop import TabletopEnvironment
from hamster.sim.build import _compile
from hamster.sim.tabletop.axes.sample import sample

CLOCKS = ("planner_s", "policy_s", "wall_s")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    config = EvalConfig(out=tmp_path_factory.mktemp("bundled"), planners=("oracle", "nano"), episodes=2, workers=1)
    return config, evaluate_config(config)


def test_a_path_moves_the_robot(table):
    _, info = table
    won = {name: condition["n_success"] for name, condition in info["conditions"].items()}
    assert won["oracle"] + won["nano"] >= 2


def test_the_planner_was_asked_once_an_episode_and_the_policy_often(table):
    config, _ = table
    for line in (config.out / "rollouts.jsonl").read_text().splitlines():
        record = json.loads(line)
        assert len(record["planner_s"]) == 1
        assert len(record["policy_s"]) == record["n_keyposes"] >= 2
        if record["condition"] == "nano":
            assert record["raw_texts"][0] and Path2D.from_json(record["paths"][0]).score is not None


def without_times(config):
    records = read_records(config.out / "rollouts.jsonl").values()
    return [{name: value for name, value in record.items() if name not in CLOCKS} for record in records]


def test_tables_share_models_scenes_and_plans_and_their_episodes_are_those_of_each_alone(tmp_path):
    first = EvalConfig(
        tmp_path / "once", "axes-basic", ("nano",), episodes=1, families=("press",), workers=1, videos=False
    )
    replanned = replace(first, out=tmp_path / "replanned", replan=1)
    oracle = replace(first, out=tmp_path / "oracle", planners=("oracle", "shuffled-same"))
    tables, loader = [first, replanned, oracle], WorkerLoader()
    evaluate_all(tables, load_worker=loader)
    assert len(loader.planners) == len(loader.policies) == 1
    for config in tables:
        _compile.cache_clear()
        sample.cache_clear()
        alone = replace(config, out=tmp_path / "alone" / config.out.name)
        evaluate_config(alone)
        assert without_times(config) == without_times(alone) != []


def test_plan_writes_a_path_and_the_image_with_the_path_on_it(tmp_path, capsys):
    env = TabletopEnvironment("press", 5)
    rgb = env.front_image()
    Image.fromarray(rgb).save(tmp_path / "table.png")
    assert main(["plan", str(tmp_path / "table.png"), env.instruction, "--out", str(tmp_path / "out")]) == 0
    env.close()
    record = json.loads((tmp_path / "out" / "path.json").read_text())
    assert set(record) == {"uv", "gripper", "depth_m", "score"} and len(Path2D.from_json(record)) >= 2
    drawn = np.asarray(Image.open(tmp_path / "out" / "drawn.png"))
    assert drawn.shape == rgb.shape and 0 < (drawn != rgb).any(-1).mean() < 0.1
    assert capsys.readouterr().out.split() == [str(tmp_path / "out" / name) for name in ("path.json", "drawn.png")]
