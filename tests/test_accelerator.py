import pytest

from hamster import accelerator
from hamster.accelerator import start_accelerator


@pytest.mark.parametrize(("first", "then", "precision"), [(True, False, "no"), (False, True, "bf16")])
def test_a_process_trains_in_one_precision_after_the_other(first, then, precision, monkeypatch):
    monkeypatch.setattr(accelerator, "computes_bfloat16", lambda device: True)
    start_accelerator(first)
    assert start_accelerator(then).mixed_precision == precision


def test_where_bfloat16_is_emulated_a_training_runs_in_float32(monkeypatch):
    monkeypatch.setattr(accelerator, "computes_bfloat16", lambda device: False)
    assert start_accelerator(True).mixed_precision == "no"
