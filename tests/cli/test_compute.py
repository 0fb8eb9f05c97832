from __future__ import annotations

import pytest

from hamster.cli.compute import Compute


@pytest.mark.parametrize("device", ["meta", "meta:0"])
def test_a_device_without_numbers_is_refused(device):
    with pytest.raises(ValueError, match="use --device cpu"):
        _ = Compute(device=device).computed


def test_what_is_given_is_passed_on():
    assert Compute(device="cpu", dtype="float16").computed == {"device": "cpu", "dtype": "float16"}
