from __future__ import annotations

import pytest

from hamster.evaluate import EvalConfig, evaluate
from tests.evaluate.fakes import open_bench


@pytest.fixture(scope="session")
def finished(tmp_path_factory):
    """A finished run of four arms on three scenes: its config and what `evaluate` returned."""
    config = EvalConfig(out=tmp_path_factory.mktemp("eval"), episodes=3, seed=7, workers=1)
    return config, evaluate(config, open_bench=open_bench)
