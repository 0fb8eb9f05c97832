import json
import os
from dataclasses import replace

import pytest
from safetensors.torch import load_file

from hamster.planner.nano_training.config import PRESETS
from hamster.planner.nano_training.train import train_planner
from tests import forks
from tests.planner import drawn

pytestmark = pytest.mark.slow

TINY = replace(PRESETS["debug"], steps=4, log_every=1, evaluate_every=4, evaluate_on=2)


def _work(place, data, out):
    os.environ.update(place)
    train_planner(TINY, [data], out)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return drawn.write(tmp_path_factory.mktemp("drawn"), 12, seed=7, each=5)


def _told(out):
    return [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]


def test_two_processes_train_one_model(data, tmp_path):
    """Their gradients become the mean, their clocks that of the first; they leave one model and one log."""
    port = forks.free_port()
    members = [(forks.environment(rank, 2, port), data, tmp_path / "two") for rank in range(2)]
    assert forks.run(_work, members) == [0, 0]
    train_planner(TINY, [data], tmp_path / "one")
    told = [_told(tmp_path / name) for name in ("one", "two")]
    assert [line["step"] for line in told[1]] == [1, 2, 3, 4]
    assert abs(told[0][-1]["answer"] - told[1][-1]["answer"]) < 0.5
    one, two = (load_file(tmp_path / name / "state.safetensors") for name in ("one", "two"))
    assert one.keys() == two.keys()
