"""A planner whose numbers are no numbers has no path, and says so."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from hamster.cli import main
from hamster.nano import tokens
from hamster.nano.confidence import confidence
from hamster.path import PlanError
from hamster.planner import load_planner
from hamster.planner.backend import Completion
from hamster.planner.calibration import Calibration, fit, refusal_threshold
from hamster.planner.load import BUNDLED
from hamster.planner.self_consistency import likelihood, probability, probability_of_log
from tests.second_device import THERE, Elsewhere, second_device

IMAGE = np.full((64, 64, 3), 90, np.uint8)
BAD = [float("nan"), float("inf"), float("-inf")]


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A copy of the bundled planner with one number in one weight replaced."""

    def made(value):
        folder = tmp_path_factory.mktemp("nano")
        for file in (BUNDLED / "nano").iterdir():
            if file.name != "model.safetensors":
                (folder / file.name).write_bytes(file.read_bytes())
        weights = load_file(BUNDLED / "nano" / "model.safetensors")
        name = sorted(weights)[len(weights) // 2]
        weights[name] = weights[name].clone()
        weights[name].view(-1)[7] = value
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
        return folder

    return made


@pytest.mark.parametrize("value", BAD)
def test_weights_with_one_number_that_is_none_are_not_loaded(value, broken):
    with pytest.raises(ValueError, match="no finite numbers"):
        load_planner(broken(value))


def test_the_command_says_so_in_one_line(broken, tmp_path, capsys):
    from PIL import Image

    Image.fromarray(IMAGE).save(tmp_path / "image.png")
    folder = broken(float("nan"))
    assert main(["plan", str(tmp_path / "image.png"), "go", "--planner", str(folder), "--out", str(tmp_path)]) == 2
    said = capsys.readouterr().err.splitlines()
    assert "no finite numbers" in said[-1] and not (tmp_path / "path.json").exists()


@pytest.mark.parametrize("temperature", [0.0, 0.7])
@pytest.mark.parametrize("value", BAD)
def test_logits_that_are_no_numbers_are_a_plan_error(value, temperature, monkeypatch):
    planner = load_planner("nano", device="cpu", samples=1 if temperature == 0 else 3, temperature=temperature or 1.0)
    with torch.no_grad():
        for weight in planner.backend.model.parameters():
            weight.fill_(value)
    with pytest.raises(PlanError, match="no number"):
        planner.plan(IMAGE, "press the red button")


def test_a_certainty_of_nan_logits_is_nan_and_no_likelihood():
    said = [tokens.ANS, tokens.PATCHES, tokens.OFFSETS, tokens.PATCHES + 1, tokens.OFFSETS, tokens.END]
    sure = confidence(said, torch.full((len(said), tokens.OFFSETS + 100), torch.nan))
    assert math.isnan(sure)
    with pytest.raises(PlanError):
        likelihood(Completion("", confidence=sure))


@pytest.mark.parametrize(
    "log_probs", [(float("nan"),), (-1.0, float("nan"), -2.0), (float("inf"),), (-1.0, float("inf"))]
)
def test_log_probabilities_of_a_server_that_are_no_numbers_are_an_error(log_probs):
    with pytest.raises(PlanError, match="no numbers"):
        likelihood(Completion("", log_probs))


def test_what_is_impossible_is_zero_and_what_rounding_made_of_one_is_one():
    assert probability_of_log(-math.inf) == 0 and probability_of_log(1e-9) == 1 and probability(1 + 1e-7) == 1
    assert likelihood(Completion("", (-math.inf, -1.0))) == 0


def test_no_calibration_makes_a_number_of_nan():
    with pytest.raises(ValueError, match="raw score"):
        Calibration().apply(math.nan)
    with pytest.raises(ValueError, match="no numbers"):
        refusal_threshold([0.1, math.nan], 0.5)
    with pytest.raises(ValueError, match=r"scores in \[0, 1\]"):
        fit([0.1, math.nan], [0, 1])


def test_the_planner_computes_where_its_weights_are():
    planner = load_planner("nano", device="cpu")
    model, request = planner.backend.model, planner._prepare(IMAGE, "press the red button", None).request
    inputs = planner.backend.inputs([request])
    with torch.no_grad():
        here = model(**inputs).logits
        with second_device():
            model.to(THERE)
            assert all(isinstance(weight, Elsewhere) for weight in model.parameters())
            there = model(**inputs.to(model.device)).logits
            assert isinstance(there, Elsewhere)
            torch.testing.assert_close(there.here, here, atol=1e-3, rtol=1e-3)
