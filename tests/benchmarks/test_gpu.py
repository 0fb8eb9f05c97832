"""On the CPU: what is timed there is the same code, at tiny sizes."""

from dataclasses import replace

import pytest
import torch

from hamster.benchmarks.gpu import measure, peak_tflops
from hamster.policy.flow.model import FlowActor
from hamster.policy.training.presets import PRESETS
from hamster.policy.views.actor import ViewsActor
from hamster.policy.views.config import ViewsConfig

VIEWS = ViewsConfig(points_px=32, view_px=16, width=32, heads=2, layers=2, stages=1)


def _eagerly(predict):
    return torch.compile(predict, backend="eager")


@pytest.mark.parametrize(
    ("kind", "config", "compiled"),
    [(FlowActor, PRESETS["debug"].actor, lambda predict: predict), (ViewsActor, VIEWS, _eagerly)],
)
def test_a_step_is_timed_and_counted(kind, config, compiled):
    found = measure(kind(config).eval(), "cpu", peak=1.0, px=48, n=2, compiled=compiled)
    assert found["eager_ms"] > 0 and found["compiled_ms"] > 0 and found["gflop"] > 0
    fastest = min(found["eager_ms"], found["compiled_ms"])
    assert abs(found["roofline"] - found["gflop"] / fastest) < 0.01


def test_twice_the_layers_are_more_work():
    sizes = (replace(VIEWS, width=128, layers=layers) for layers in (2, 8))
    few, many = (measure(ViewsActor(c).eval(), "cpu", 1.0, 48, 1, lambda predict: predict)["gflop"] for c in sizes)
    assert few < many


def test_the_peak_is_that_of_a_matrix_product():
    assert 0 < peak_tflops("cpu", side=128) < 1000
