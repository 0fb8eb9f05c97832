from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch

from hamster.policy.actor import Prediction
from hamster.policy.image.config import ImageConfig
from hamster.policy.image.inputs import ImageInputs
from hamster.policy.registry import build_actor
from hamster.policy.training.evaluate import evaluate
from hamster.policy.training.packed_dataset import load_packed_dataset
from hamster.policy.training.presets import PRESETS
from hamster.policy.training.samples import Samples


def test_errors_are_those_of_the_prediction_by_family_and_phase(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An actor that always stays where it is, with an open gripper, errs by the way to the last pose of the goal."""
    demonstrations = synthetic.write(tmp_path / "demos", {"pick_place": 2, "press": 1}, size=32)
    config = ImageConfig(image_px=32, width=32, heads=2)
    actor, dataset = build_actor(config), load_packed_dataset(demonstrations, config, tmp_path, frames_between=1)

    def stay(inputs: ImageInputs, generator: torch.Generator) -> Prediction:
        tool_rotation = inputs.tool_rotation[:, None]
        one = torch.ones(len(tool_rotation), 1)
        return Prediction(torch.zeros(len(one), 1, 3), tool_rotation, one, one[:, 0], one, one[:, 0])

    monkeypatch.setattr(actor, "predict", stay)
    samples = Samples(dataset, replace(PRESETS["debug"], actor=config, held_out_every=0), actor)
    meta = dataset.meta
    table = evaluate(samples, np.arange(len(meta["key"])))

    keys = np.flatnonzero(meta["key"])
    goals = [dataset.goal(int(row), config) for row in keys]
    goal_positions = np.array([goal.poses_world[-1, :3, 3] for goal in goals])
    is_open = np.array([goal.is_open[-1] for goal in goals])
    way_mm = 1000 * np.linalg.norm(goal_positions - meta["tool"][keys, :3, 3], axis=-1)
    names = np.array([f"{dataset.families[meta['family'][row]]}/{meta['phase'][row]}" for row in keys])
    assert table.keys() == {"all", *names}
    for name, row in table.items():
        of_name = np.full(len(keys), True) if name == "all" else names == name
        assert row["n"] == of_name.sum()
        assert row["position_mm"] == pytest.approx(np.median(way_mm[of_name]), abs=0.02)
        assert row["position_mm_p90"] == pytest.approx(np.quantile(way_mm[of_name], 0.9), abs=0.02)
        assert row["gripper_pc"] == pytest.approx(100 * is_open[of_name].mean(), abs=0.01)
        assert 0 <= row["yaw_deg"] <= row["yaw_deg_p90"] <= 180
