from __future__ import annotations

import shutil
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from hamster.policy import checkpoint
from hamster.policy.actor import Target
from hamster.policy.monolithic.config import MonolithicConfig
from hamster.policy.policy_input import mirrored_instruction
from hamster.policy.registry import build_actor
from hamster.policy.training.presets import adapted, preset


def batch(*inputs):
    return type(inputs[0]).stack(inputs)


def ask(actor, scene):
    with torch.inference_mode():
        return actor.predict(batch(actor.preprocess(scene)), torch.Generator())


def goal(x: float, is_open: float = 0.0) -> Target:
    position, rotation = torch.tensor([[[x, -0.1, -0.2]]]), torch.eye(3)[None, None]
    return Target(position, rotation, torch.tensor([[is_open]]), torch.zeros(1), torch.full((1, 1), torch.nan))


def test_it_starts_from_the_planners_weights(small, planner):
    weights = load_file(str(planner / "model.safetensors"))
    assert torch.equal(small.token.weight, weights["words.token.weight"])
    assert torch.equal(small.tower.stem.weight, weights["tower.stem.weight"])
    assert small.config.backbone["hidden_size"] == 32


def test_it_starts_from_the_bundled_planner_if_not_told_otherwise():
    actor = build_actor(preset("monolithic").actor)
    assert actor.tokenizer.get_vocab_size() == len(actor.token.weight) > 500


def test_it_needs_neither_depth_nor_calibration_nor_a_path(small, scene, without_depth):
    one, other = ask(small, scene), ask(small, without_depth)
    assert torch.equal(one.position, other.position) and torch.equal(one.is_open, other.is_open)
    assert torch.allclose(one.rotation[0, 0] @ one.rotation[0, 0].T, torch.eye(3), atol=1e-5)


def test_it_learns_to_point_where_the_goal_is_in_the_image(small, scene, without_depth):
    """As far as calibration tells where that is; elsewhere there is no loss."""
    there, view = goal(0.1), scene.views["front"]
    px, _ = view.camera.project(scene.robot.tool_pose_world[:3, 3] + np.array([0.1, -0.1, -0.2]))
    targets = []
    small.pointer.pointing_loss = lambda logits, uv: targets.append(uv) or logits.sum() * 0
    for policy_input in (scene, without_depth):
        small.compute_loss(batch(small.preprocess(policy_input)), there, torch.Generator())
    assert np.allclose(targets[0][0], px / view.camera.size_px, atol=1e-4)
    assert torch.isnan(targets[1]).all()


def test_it_needs_words(small, without_depth):
    with pytest.raises(ValueError, match="needs an instruction"):
        small.preprocess(replace(without_depth, instruction=""))
    with pytest.raises(ValueError, match="a shorter instruction"):
        small.preprocess(replace(without_depth, instruction="red " * 100))


def test_a_checkpoint_needs_nothing_but_itself(small, planner, without_depth, tmp_path):
    config = replace(small.config, planner=str(tmp_path / "gone"))
    small.config = config
    checkpoint.save(tmp_path / "saved", small)
    again = checkpoint.load(tmp_path / "saved")
    before, after = ask(small, without_depth), ask(again, without_depth)
    assert torch.equal(before.position, after.position) and torch.equal(before.score, after.score)


def test_a_number_is_said_before_the_ones_that_follow(small, without_depth):
    inputs = batch(small.preprocess(without_depth))
    action = torch.full((1, 7), 100)
    later = action.clone()
    later[:, 4:] = 7
    one, other = (
        small.predict_bins(small.encode_image(inputs.pixels), small._with_action(inputs, bins), inputs.n_words)[0]
        for bins in (action, later)
    )
    assert torch.allclose(one[:, :5], other[:, :5], atol=1e-5) and not torch.allclose(
        one[:, 5:], other[:, 5:], atol=1e-3
    )


def one_pass_per_number(actor, inputs):
    """The bins as they are defined: each from a whole pass over all that comes before."""
    features, bins = actor.encode_image(inputs.pixels), torch.zeros(len(inputs.n_words), 7, dtype=torch.long)
    probability = torch.zeros(len(inputs.n_words), 7)
    for i in range(7):
        logits, _ = actor.predict_bins(features, actor._with_action(inputs, bins), inputs.n_words)
        probability[:, i], bins[:, i] = logits[:, i].softmax(-1).max(-1)
    return bins, probability


def test_keeping_keys_and_values_changes_no_action(lively, without_depth):
    shorter = replace(without_depth, instruction="press the button")
    inputs = batch(*(lively.preprocess(scene) for scene in (without_depth, shorter)))
    with torch.inference_mode():
        (bins, probability), expected = lively.decode_bins(inputs), one_pass_per_number(lively, inputs)
    assert torch.equal(bins, expected[0]) and torch.allclose(probability, expected[1], atol=1e-5)
    assert len(bins.unique()) > 4  # they are no constants


def test_a_batch_is_its_members(small, without_depth):
    shorter = replace(without_depth, instruction="press the button")
    both = [small.preprocess(scene) for scene in (without_depth, shorter)]
    with torch.inference_mode():
        together = small.predict(batch(*both), torch.Generator())
    alone = [ask(small, scene) for scene in (without_depth, shorter)]
    assert torch.allclose(together.position, torch.cat([prediction.position for prediction in alone]), atol=1e-5)


def test_it_learns_that_words_say_where_to(small, without_depth):
    """The same picture, two instructions, two goals: half a centimetre apart they are not."""
    scenes = [without_depth, replace(without_depth, instruction="press the button")]
    inputs = batch(*(small.preprocess(scene) for scene in scenes))
    target = Target.stack([Target(*(value[0] for value in vars(goal(x, x > 0)).values())) for x in (0.3, -0.3)])
    optimiser = torch.optim.AdamW(small.train().parameters(), lr=3e-3)
    for _ in range(60):
        optimiser.zero_grad()
        torch.stack(list(small.compute_loss(inputs, target, torch.Generator()).values())).sum().backward()
        optimiser.step()
    with torch.inference_mode():
        prediction = small.eval().predict(inputs, torch.Generator())
    assert (prediction.position - target.position).abs().max() < 0.01
    assert (prediction.is_open > 0.5).tolist() == [[True], [False]]


def test_from_scratch_keeps_only_sizes_and_words(planner):
    torch.manual_seed(0)
    actor = build_actor(MonolithicConfig(planner=str(planner), pretrained=False))
    weights = load_file(str(planner / "model.safetensors"))
    assert actor.config.backbone["hidden_size"] == 32 and actor.tokenizer.get_vocab_size() == len(actor.token.weight)
    assert not torch.allclose(actor.token.weight[500:], weights["words.token.weight"][500:])
    assert not torch.allclose(actor.tower.stem.weight, weights["tower.stem.weight"])
    torch.manual_seed(0)
    same = build_actor(MonolithicConfig(planner=str(planner), pretrained=False))
    assert torch.equal(same.tower.stem.weight, actor.tower.stem.weight)


def test_unknown_planners_and_heads_are_one_line(planner, tmp_path):
    with pytest.raises(ValueError, match=r"no planner 'gone'.*nano"):
        build_actor(MonolithicConfig(planner="gone"))
    other = tmp_path / "llava"
    shutil.copytree(planner, other)
    (other / "config.json").write_text('{"model_type": "llava"}')
    with pytest.raises(ValueError, match="is no nano planner"):
        build_actor(MonolithicConfig(planner=str(other)))
    with pytest.raises(ValueError, match="no action_type 'chunk'"):
        MonolithicConfig(action_type="chunk", horizon=8)
    with pytest.raises(ValueError, match="gets no path"):
        adapted(preset("monolithic"), conditioners=("tokens",))


def test_words_are_mirrored_with_the_picture(scene):
    assert (
        mirrored_instruction("Put the Leftmost cube right of the bright one")
        == "Put the rightmost cube left of the bright one"
    )
    mirrored = scene.mirrored()
    assert (
        mirrored.instruction == "put the red cube on the right plate"
        and mirrored.mirrored().instruction == scene.instruction
    )
    assert np.array_equal(mirrored.views["front"].rgb[:, ::-1], scene.views["front"].rgb)
