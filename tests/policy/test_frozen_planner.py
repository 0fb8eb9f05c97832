"""Policies that contain a planner: its states instead of its path, or its word embeddings instead of random codes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import synthetic
import torch

from hamster.data import View
from hamster.identity import checkpoint_digest
from hamster.label.dataset import content_digest
from hamster.nano import HamsterNanoConfig, HamsterNanoForConditionalGeneration, build_processor
from hamster.policy import checkpoint
from hamster.policy.actor_policy import ActorPolicy
from hamster.policy.flow.latent import MAX_TOKENS, peak_tokens, pointed_uv
from hamster.policy.frozen_planner import FrozenPlanner
from hamster.policy.policy_input import PolicyInput, RobotState
from hamster.policy.registry import build_actor
from hamster.policy.training.check_actor import check_actor
from hamster.policy.training.packed_dataset import load_packed_dataset
from hamster.policy.training.presets import adapted, preset
from hamster.policy.training.samples import Samples
from hamster.policy.training.train import train_policy
from tests.policy.conftest import WORDS

ARMS = ("flow-latent", "flow-language", "views-language")


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    return synthetic.write(tmp_path_factory.mktemp("labels"), {"pick_place": 1, "press": 1}, size=64, between=0)


def small(name: str, planner, steps: int = 2):
    """A preset as tiny as can be."""
    config = adapted(preset(name), steps=steps, planner=str(planner))
    changes = {"width": 32, "heads": 2}
    if config.actor.type == "flow":
        changes |= {"crop_px": 16, "encoder_layers": 1, "decoder_layers": 1}
    else:
        changes |= {"view_px": 16, "layers": 2, "points_px": 32, "head_width": 16, "stem_width": 16}
    return replace(
        config, actor=replace(config.actor, **changes), batch_size=2, warmup_steps=1, held_out_every=0, num_workers=0,
        bf16=False, save_every=1, evaluate_every=100, frames_between_keyposes=1,
    )  # fmt: skip


def lively(actor):
    """With all weights random, also those that start at zero."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in actor.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.1)
    return actor.eval()


@pytest.fixture
def scene(moment) -> PolicyInput:
    observation, _ = moment
    return PolicyInput(
        observation.views, RobotState(observation.tool_pose_world, observation.gripper, True), None, WORDS[0]
    )


def test_states_are_those_of_the_planner(planner, moment):
    rgb = moment[0].views["front"].rgb
    states = FrozenPlanner(str(planner), {}, whole=True).states(rgb, WORDS[0], MAX_TOKENS)
    model = HamsterNanoForConditionalGeneration.from_pretrained(planner)
    from hamster.nano import HamsterNanoProcessor

    inputs = HamsterNanoProcessor.from_pretrained(planner)(
        images=[rgb], text=[f"<image>{WORDS[0]}"], return_tensors="pt"
    )
    ids = inputs["input_ids"][:, 256:]
    with torch.inference_mode():
        output = model.read_blocks(inputs["pixel_values"], ids[:, None])
    assert states.words.shape == (ids.shape[1], 32) and states.patches.shape == (256, 32)
    expected = output.pointers[0, 0].softmax(-1).numpy()
    assert np.allclose(states.pointers, expected, atol=2e-3)  # features are kept in half precision


def test_what_is_kept_of_an_image_changes_nothing(planner, moment):
    frozen, fresh = (FrozenPlanner(str(planner), {}, whole=True) for _ in range(2))
    rgb = moment[0].views["front"].rgb
    first, again = frozen.states(rgb, WORDS[0], 8), frozen.states(rgb, WORDS[0], 8)
    frozen.states(rgb[:, ::-1], WORDS[1], 8)
    assert len(frozen._features) == 2
    for other in (again, frozen.states(rgb, WORDS[0], 8), fresh.states(rgb, WORDS[0], 8)):
        assert all(np.array_equal(a, b) for a, b in zip(vars(first).values(), vars(other).values(), strict=True))
    assert first.words.shape == (8, 32)


def test_words_have_the_planners_embeddings(planner):
    words = FrozenPlanner(str(planner), {}, whole=False)
    embedded = words.word_embeddings("press the red the", 6)
    assert embedded.shape == (6, 32) and np.array_equal(embedded[1], embedded[3]) and not embedded[4:].any()
    assert not np.allclose(embedded[0], embedded[1])
    whole = FrozenPlanner(str(planner), {}, whole=True)
    assert len(words.weights) < len(whole.weights)
    assert np.array_equal(embedded, whole.word_embeddings("press the red the", 6))


@pytest.mark.parametrize("whole", [False, True])
def test_words_that_only_have_a_vector_are_embedded_too(tmp_path, whole):
    processor = build_processor(WORDS, listed_words=["teacup"])
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "tower_channels": (8, 8, 16)}
    learned = processor.tokenizer.init_kwargs["learned_words"]
    config = HamsterNanoConfig(learned + 1, **sizes, word_vector_size=4, learned_words=learned)
    model = HamsterNanoForConditionalGeneration(config).eval()
    model.words.vectors.random_(1, 127)
    model.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    with torch.inference_mode():
        expected = model.words.embed(torch.tensor([learned]))
    state = torch.get_rng_state()
    planner = FrozenPlanner(str(tmp_path), {}, whole)
    assert whole or torch.equal(state, torch.get_rng_state())
    assert np.allclose(planner.word_embeddings("teacup", 1), expected, atol=1e-6) and expected.any()


def test_tokens_point_finer_than_a_patch_and_peaks_lie_apart():
    pointers = np.full((4, 256), 1e-4, np.float32)
    pointers[0, 16 * 3 + 5], pointers[0, 16 * 3 + 6] = 0.4, 0.4  # half-way between two patches
    pointers[1, 16 * 4 + 6] = 0.7  # next to it
    pointers[2, 16 * 10 + 12] = 0.3
    pointers[3, 0] = 0.1
    uv, sharpness = pointed_uv(pointers)
    assert np.allclose(uv[0], [6.0 / 16, 3.5 / 16], atol=0.01) and np.allclose(sharpness, [0.4, 0.7, 0.3, 0.1])
    assert peak_tokens(pointers).tolist() == [1, 2]
    assert peak_tokens(pointers[:1]).tolist() == [0, 0]


@pytest.mark.parametrize("name", ARMS)
def test_what_to_do_comes_from_the_words(name, planner, scene):
    actor = lively(build_actor(small(name, planner).actor))

    def predicted(policy_input):
        inputs = actor.preprocess(policy_input)
        with torch.inference_mode():
            return actor.predict(type(inputs).stack([inputs]), torch.Generator().manual_seed(0)).position

    other = predicted(replace(scene, instruction=WORDS[1]))
    assert torch.equal(predicted(scene), predicted(scene)) and not torch.allclose(predicted(scene), other, atol=1e-4)


def test_foveas_are_where_the_planner_points(planner, scene):
    actor = build_actor(small("flow-latent", planner).actor)
    inputs = actor.preprocess(scene)
    peaks = inputs.latent.peaks.positions
    assert torch.allclose(inputs.crops.centres[2:], peaks) and len(peaks) == 2 and inputs.crops.valid.all()
    view = scene.views["front"]
    states = actor.planner.states(view.rgb, scene.instruction, MAX_TOKENS)
    px, _ = view.camera.project(peaks.numpy() + scene.robot.tool_pose_world[:3, 3])
    uv, _ = pointed_uv(states.pointers[peak_tokens(states.pointers)])
    assert np.allclose(px / view.camera.size_px, uv, atol=1e-4)


def test_each_token_of_a_crop_gets_the_patch_it_lies_in(planner, scene):
    """The first crop is of the whole image: its tokens lie in a regular part of the 16 x 16 patches."""
    config = small("flow-latent", planner).actor
    patch = build_actor(replace(config, crop_px=128)).preprocess(scene).latent.crop_patch
    assert torch.equal(patch[0], torch.arange(256))


def test_colours_of_augmentation_do_not_reach_the_planner(planner, scene):
    actor = build_actor(small("flow-latent", planner).actor)
    view = scene.views["front"]
    darker = {"front": View(view.rgb // 2, view.depth_m, view.camera)}
    plain = actor.preprocess(scene)
    augmented = actor.preprocess(replace(scene, views=darker, unaugmented_rgb=view.rgb))
    assert torch.equal(plain.latent.words.features, augmented.latent.words.features)
    assert not torch.equal(plain.crops.rgb, augmented.crops.rgb)
    mirrored = replace(scene, unaugmented_rgb=view.rgb).mirrored()
    assert np.array_equal(mirrored.unaugmented_rgb, mirrored.views["front"].rgb)


@pytest.mark.parametrize("name", ARMS)
def test_it_is_checked_trained_saved_and_acts_without_the_planners_folder(name, planner, labels, moment, tmp_path):
    config = small(name, planner)
    pack = load_packed_dataset(labels, config.actor, tmp_path / "pack", 1)
    torch.manual_seed(0)
    check_actor(actor := build_actor(config.actor), Samples(pack, config, actor))
    folders = [train_policy(config, labels, tmp_path / part, tmp_path / "pack") for part in ("a", "b")]
    assert (folders[0] / "model.safetensors").read_bytes() == (folders[1] / "model.safetensors").read_bytes()
    info = json.loads((folders[0] / "train_info.json").read_text())
    assert info["digests"] == {"data": content_digest(labels), "planner weights": checkpoint_digest(planner)}
    (folders[0] / "config.json").write_text((folders[0] / "config.json").read_text().replace(str(planner), "gone"))
    loaded = checkpoint.load(folders[0])
    assert torch.equal(loaded.planner.weights, actor.planner.weights)
    chunks = [ActorPolicy(checkpoint.load(f)).act(moment[0], None, WORDS[0]) for f in folders]
    assert np.array_equal(chunks[0].poses, chunks[1].poses)
    if name == "flow-latent":
        with pytest.raises(ValueError, match="needs an instruction"):
            ActorPolicy(loaded).act(moment[0], None, "")


def test_a_damaged_planner_inside_a_checkpoint_is_one_line(planner, tmp_path):
    actor = build_actor(small("flow-language", planner).actor)
    actor.planner.weights = actor.planner.weights[:-40]
    checkpoint.save(tmp_path, actor)
    with pytest.raises(ValueError, match="the planner inside this policy is damaged"):
        checkpoint.load(tmp_path)


def test_the_planner_of_a_configuration_can_be_chosen_where_there_is_one(planner):
    assert adapted(preset("monolithic"), planner=str(planner)).actor.planner == str(planner)
    with pytest.raises(ValueError, match="no planner is part of this configuration"):
        adapted(preset("flow"), planner=str(planner))
