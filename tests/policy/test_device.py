"""Where policies compute: weights, inputs and noise, of all four families, on a device that is not the CPU."""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch

from hamster.devices import choose_device
from hamster.policy import PolicyError, bundled_policies, checkpoint, load_policy
from hamster.policy.actor import Target
from hamster.policy.actor_policy import ActorPolicy
from hamster.policy.registry import build_actor
from hamster.policy.training.presets import PRESETS
from tests.second_device import THERE, Elsewhere, second_device

WORDS = "pick up the red cube"
DDPM = replace(PRESETS["debug"].actor, schedule="ddpm", steps=3)  # draws noise at every step
CONFIGS = {
    "flow": PRESETS["debug"].actor,
    "ddpm": DDPM,
    "dense": PRESETS["flow-dense"].actor,
    "views": PRESETS["views"].actor,
    "image": PRESETS["image"].actor,
    "monolithic": PRESETS["monolithic"].actor,
}


@pytest.fixture(params=CONFIGS, scope="module")
def built(request):
    torch.manual_seed(0)
    return build_actor(CONFIGS[request.param]).eval()


@pytest.fixture
def made(built):
    return copy.deepcopy(built)


def test_a_policy_on_another_device_moves_there_what_it_needs_and_answers_the_same(made, moment):
    here = ActorPolicy(made).act(*moment, WORDS)
    with second_device():
        policy = ActorPolicy(made.to(THERE))
        assert policy.device == THERE
        assert all(isinstance(weight, Elsewhere) for weight in made.state_dict(keep_vars=True).values())
        there = policy.act(*moment, WORDS)
    np.testing.assert_allclose(there.poses, here.poses, atol=1e-4)
    assert (there.gripper_open == here.gripper_open).all()


def test_training_prepares_samples_while_the_network_is_elsewhere(made, moment):
    poses = made.config.horizon
    target = Target(
        position=torch.zeros(1, poses, 3), rotation=torch.eye(3).expand(1, poses, 3, 3), done=torch.zeros(1),
        is_open=torch.ones(1, poses), contact=torch.zeros(1, poses),
    )  # fmt: skip
    with second_device(), torch.no_grad():
        scene = ActorPolicy(made).make_input(*moment, WORDS)
        inputs = made.to(THERE).preprocess(scene)
        batch = type(inputs).stack([inputs]).to(THERE)
        losses = made.compute_loss(batch, target.to(THERE), torch.Generator().manual_seed(0))
        values = [float(loss) for loss in losses.values()]
    assert np.isfinite(values).all()


def test_a_policy_is_loaded_where_it_is_told(tmp_path):
    checkpoint.save(tmp_path, build_actor(CONFIGS["flow"]))
    assert load_policy(tmp_path, device="meta").device.type == "meta"
    assert load_policy(tmp_path, device="cpu").device.type == "cpu"


def test_a_gpu_is_used_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert choose_device().type == "cuda"
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device().type == "cpu"


@pytest.mark.parametrize("device", ["cuda:77", "gpu", "", "mps:3", "hpu", 3.5])
def test_a_device_that_is_not_there_is_one_line_with_those_that_are(device):
    with pytest.raises(ValueError, match="there are: cpu"):
        load_policy(device=device)


def test_an_unknown_dtype_names_the_known_ones():
    with pytest.raises(ValueError, match="there are: auto, float32, bfloat16, float16"):
        load_policy(dtype="int8")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_a_policy_computes_in_the_dtype_it_is_told(dtype, moment):
    exact = load_policy("nano", device="cpu").act(*moment)
    other = load_policy("nano", device="cpu", dtype=dtype).act(*moment)
    moved_mm = np.linalg.norm(exact.poses[:, :3, 3] - other.poses[:, :3, 3], axis=-1).max() * 1000
    assert moved_mm == 0 if dtype == "float32" else moved_mm < 20


def test_weights_stay_as_they_are_in_half_precision():
    policy = load_policy("nano", device="cpu", dtype="bfloat16")
    assert {weight.dtype for weight in policy.actor.parameters()} == {torch.float32}


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_an_answer_that_is_not_finite_is_an_error_and_no_motion(value, moment, made):
    with torch.no_grad():
        for weight in made.parameters():
            weight.fill_(value)
    with pytest.raises(PolicyError, match="not finite"):
        ActorPolicy(made).act(*moment, WORDS)


def test_the_bundled_policy_is_whole():
    for folder in bundled_policies().values():
        checkpoint.load(folder)
