"""The bundled planner is fine-tuned on a few drawings."""

import json

import numpy as np
import pytest

from hamster.path import Path2D
from hamster.planner import load_planner
from hamster.planner.load import BUNDLED
from hamster.studio import taught_planner
from hamster.studio.examples import Examples

pytestmark = pytest.mark.slow


def test_the_planner_learns_from_what_was_kept_and_goes_on_where_it_was(tmp_path, monkeypatch):
    monkeypatch.setattr(taught_planner, "N_KNOWN", 4)
    examples, rng = Examples(tmp_path / "examples"), np.random.default_rng(0)
    for _ in range(10):
        rgb = np.repeat(np.repeat(rng.integers(0, 255, (8, 8, 3), np.uint8), 24, 0), 24, 1)
        path = Path2D([[0.2, 0.2], [0.3, 0.7], [0.8, 0.4]], [-1, 0, 1])
        examples.keep(rgb, "put the pen into the drawer", path, "drawn")
    folder = tmp_path / "planners" / "nano-taught-1"
    taught_planner.Recipe(str(BUNDLED / "nano"), str(examples.folder), 2).write(folder)
    taught_planner.fine_tune(folder)
    planner = load_planner(str(folder / "model"))
    [path, *_] = planner.without_refusals().plan(rgb, "put the pen into the drawer").paths
    assert len(path) >= 1
    held_out = [json.loads(line) for line in (folder / "held_out.jsonl").read_text().splitlines()]
    assert held_out[0]["step"] == 0 and held_out[-1]["step"] == 2
    assert {"kept/path", "known/path"} <= held_out[0].keys()
    examples.keep(255 - rgb, "one more", path, "drawn")  # is for the next one
    before = (folder / "train.jsonl").read_text()
    taught_planner.fine_tune(folder)
    assert (folder / "train.jsonl").read_text() == before
