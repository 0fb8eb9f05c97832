import pytest

from hamster.accelerator import start_accelerator


@pytest.mark.parametrize(("first", "then", "said"), [(True, False, "no"), (False, True, "bf16")])
def test_a_process_trains_in_one_precision_after_the_other(first, then, said):
    start_accelerator(first)
    assert start_accelerator(then).mixed_precision == said
