from __future__ import annotations

import pytest

from hamster.evaluate import EvalConfig
from hamster.evaluate.run import evaluate_config
from tests.evaluate.fakes import load_worker


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished run of four conditions on three scenes: its config and what `evaluate` returned."""
    config = EvalConfig(out=tmp_path_factory.mktemp("eval"), episodes=3, seed=7, workers=1)
    return config, evaluate_config(config, load_worker=load_worker)
