"""What holds for every head, schedule and way to look."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hamster.data import Observation, View
from hamster.path import Path2D
from hamster.policy.actor import Target
from hamster.policy.actor_policy import ActorPolicy
from hamster.policy.flow.config import FlowConfig
from hamster.policy.flow.inputs import FlowInputs
from hamster.policy.flow.model import FlowActor, self_attend
from hamster.policy.layers import EncoderBlock, Tokens, attend, rope_3d
from hamster.policy.rotation import angle_between

from .learned import CASES, overfitted

pytestmark = pytest.mark.slow

Moment = tuple[Observation, Path2D]
SMALL = FlowConfig(width=32, heads=2, crop_px=24, encoder_layers=1, decoder_layers=2, path_waypoints=6)
DENSE = replace(
    SMALL,
    cameras=("front", "side"),
    conditioners=("tokens", "channels", "cloud", "overlay"),
    crop_px=0,
    image_px=64,
    max_instruction_tokens=6,
    n_obs_history=3,
    cross_attention_layers=1,
    token_keep_ratio=0.25,
    encoder_layers=2,
)
FORMS = {
    "foveas": SMALL,
    "dense": DENSE,
    "both": replace(DENSE, crop_px=24, conditioners=("foveas", "channels"), visual_self_attention_layers=2),
    "trajectory": replace(DENSE, action_type="trajectory", horizon=5, position_scale_m=0.1),
    "chunk": replace(SMALL, action_type="chunk", horizon=8, position_scale_m=0.1),
    "ddim": replace(SMALL, schedule="ddim"),
    "ddpm": replace(SMALL, schedule="ddpm", steps=20),
}


def _random_actor(config: FlowConfig) -> FlowActor:
    """An untrained actor with all weights random, also those that start at zero."""
    torch.manual_seed(0)
    actor = FlowActor(config).eval()
    with torch.no_grad():
        for parameter in actor.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
        actor.done.bias.fill_(-100.0)
    return actor


def _both_views(observation: Observation, by: np.ndarray) -> Observation:
    """Seen by two cameras, the second one a little aside; all of it moved."""
    view, tool = observation.views["front"], np.array(observation.tool_pose_world)
    views = {}
    for name, aside in (("front", 0.0), ("side", 0.1)):
        assert view.camera is not None
        camera_pose = view.camera.world_from_camera.copy()
        camera_pose[:3, 3] += by + np.array([0, aside, 0])
        views[name] = View(view.rgb, view.depth_m, replace(view.camera, world_from_camera=camera_pose))
    tool[:3, 3] += by
    return replace(observation, views=views, tool_pose_world=tool)


def _inputs(actor: FlowActor, moment: Moment) -> FlowInputs:
    scene = ActorPolicy(actor).make_input(_both_views(moment[0], np.zeros(3)), moment[1], "put the cube down")
    return FlowInputs.stack([actor.preprocess(scene)])


@pytest.mark.parametrize("form", FORMS)
def test_moving_scene_path_and_tool_moves_all_poses_with_them(form: str, moment: Moment) -> None:
    actor, by = _random_actor(FORMS[form]), np.array([0.31, -0.57, 0.22])
    chunks = []
    for moved in (np.zeros(3), by):
        policy = ActorPolicy(actor)
        policy.act(_both_views(moment[0], moved), moment[1], "put it down")
        chunks.append(policy.act(_both_views(moment[0], moved + np.array([0.02, 0, 0])), moment[1], "put it down"))
    here, there = chunks
    assert len(here.poses) == actor.config.horizon
    np.testing.assert_allclose(there.poses[:, :3, 3], here.poses[:, :3, 3] + by, atol=1e-4)
    np.testing.assert_allclose(there.poses[:, :3, :3], here.poses[:, :3, :3], atol=1e-3)
    np.testing.assert_array_equal(there.gripper_open, here.gripper_open)


@pytest.mark.parametrize("form", FORMS)
def test_every_form_learns_with_every_weight(form: str, moment: Moment) -> None:
    """A gradient reaches whatever is there, but for the ages and words of a past that is not, and frozen backbones."""
    actor, horizon = _random_actor(FORMS[form]).train(), FORMS[form].horizon
    inputs = _inputs(actor, moment)
    eye = torch.eye(3).expand(1, horizon, 3, 3)
    target = Target(
        torch.full((1, horizon, 3), 0.05), eye, torch.ones(1, horizon), torch.zeros(1), torch.ones(1, horizon)
    )
    losses = actor.compute_loss(inputs, target, torch.Generator().manual_seed(0))
    torch.stack(list(losses.values())).sum().backward()
    untouched = [name for name, p in actor.named_parameters() if p.grad is None]
    assert not untouched and all(torch.isfinite(value) for value in losses.values())


@pytest.mark.parametrize("form", ["dense", "trajectory"])
def test_cached_keys_and_values_are_those_of_encoding_anew_in_every_step(form: str, moment: Moment) -> None:
    actor = _random_actor(FORMS[form])
    inputs, steps = _inputs(actor, moment), actor.config.steps
    noise = torch.randn(1, 3, actor.config.horizon, 9)
    with torch.inference_mode():
        x = noise
        for step in range(steps):
            x = x + actor.predict_velocity(x, torch.full((1, 3), step / steps), actor.encode(inputs)) / steps
        torch.testing.assert_close(actor.sample_actions(noise, actor.encode(inputs), torch.Generator()), x)


def test_poses_of_a_trajectory_see_each_other_but_samples_do_not(moment: Moment) -> None:
    actor = _random_actor(FORMS["trajectory"])
    noise, time = torch.randn(1, 3, 5, 9), torch.full((1, 3), 0.5)
    with torch.inference_mode():
        encoded = actor.encode(_inputs(actor, moment))
        before = actor.predict_velocity(noise, time, encoded)
        noise[0, 1, 4] += 1
        change = (actor.predict_velocity(noise, time, encoded) - before).abs().amax(-1)[0]
    assert change[0].max() < 1e-5 and change[2].max() < 1e-5 and change[1].min() > 1e-5


def test_pruned_tokens_take_no_part_and_stay_as_they_were(moment: Moment) -> None:
    """Self-attention with all tokens kept is plain self-attention; invalid tokens are pruned first."""
    torch.manual_seed(0)
    actor = FlowActor(replace(SMALL, encoder_layers=2, visual_self_attention_layers=2)).eval()
    x, positions, valid = torch.randn(2, 40, 32), torch.rand(2, 40, 3), torch.rand(2, 40) > 0.2
    valid[:, 0] = True
    valid[:, 15:] = torch.arange(25) < 20
    tokens, plain = Tokens(x, positions, valid), [block for block in actor.encoder if isinstance(block, EncoderBlock)]
    kept, prunable = tokens.part(slice(15)), tokens.part(slice(15, None))
    with torch.inference_mode():
        expected = self_attend(plain, x, rope_3d(positions, 16), valid, 10, 2)
        torch.testing.assert_close(actor._self_attend(kept, prunable, 10).features, expected)
        actor.config = replace(actor.config, token_keep_ratio=20 / 25)
        pruned = actor._self_attend(kept, prunable, 10).features
    torch.testing.assert_close(pruned[valid], expected[valid], atol=1e-5, rtol=1e-5)
    assert torch.equal(pruned[:, 35:], x[:, 35:])


def test_attention_is_the_same_fused_and_written_out() -> None:
    query, key, value = torch.randn(2, 3, 5, 16), torch.randn(2, 3, 7, 16), torch.randn(2, 3, 7, 16)
    on = torch.tensor([[True] * 7, [True, False] * 3 + [True]])
    logits = (query @ key.mT / 4).masked_fill(~on[:, None, None], -torch.inf)
    torch.testing.assert_close(attend(query, key, value, on), logits.softmax(-1) @ value)
    half = attend(query.bfloat16(), key.bfloat16(), value.bfloat16(), on).float()
    torch.testing.assert_close(half, logits.softmax(-1) @ value, atol=0.05, rtol=0.05)


def test_the_order_of_cameras_and_words_matters_and_idle_words_do_not(moment: Moment) -> None:
    actor = _random_actor(FORMS["dense"])
    observation = _both_views(moment[0], np.zeros(3))

    def anchor(words: str) -> torch.Tensor:
        scene = ActorPolicy(actor).make_input(observation, moment[1], words)
        with torch.inference_mode():
            return actor.encode(FlowInputs.stack([actor.preprocess(scene)])).anchor

    assert torch.equal(anchor("press the button"), anchor("  Press the button "))
    assert not torch.allclose(anchor("press the button"), anchor("press the lever"), atol=1e-6)
    assert not torch.allclose(anchor(""), anchor("press"), atol=1e-6)


@pytest.mark.parametrize("name", ["channels", "cloud", "tokens", "overlay"])
def test_a_conditioner_is_silent_until_it_has_learned(name: str, moment: Moment) -> None:
    torch.manual_seed(0)
    plain = FlowActor(replace(DENSE, conditioners=())).eval()
    conditioned = FlowActor(replace(DENSE, conditioners=(name,))).eval()
    missing = conditioned.load_state_dict(plain.state_dict(), strict=False).missing_keys
    assert all(key.startswith("conditioners.") for key in missing)
    with torch.inference_mode():
        added = [conditioned.conditioners[name].image_features(_inputs(conditioned, moment))]
        tokens = conditioned.conditioners[name].tokens(_inputs(conditioned, moment))
    added += [] if tokens is None else [tokens.features]
    assert all(part is None or not part.any() for part in added)


@pytest.mark.parametrize("form", ["foveas", "both"])
def test_whoever_has_no_conditioner_cannot_tell_one_path_from_another(form: str, moment: Moment) -> None:
    observation, path = moment
    other = Path2D(path.uv[::-1], path.gripper)
    blind, conditioned = _random_actor(replace(FORMS[form], conditioners=())), _random_actor(FORMS[form])
    with torch.inference_mode():
        ways = [
            [actor.encode(_inputs(actor, (observation, p))).anchor for p in (path, other)]
            for actor in (blind, conditioned)
        ]
    assert torch.equal(*ways[0]) and not torch.equal(*ways[1])


@pytest.mark.parametrize("case", CASES)
def test_an_episode_is_learned_by_heart(case: str) -> None:
    actor, inputs, target = overfitted(case)
    with torch.inference_mode():
        prediction = actor.predict(inputs, torch.Generator().manual_seed(1))
    distance = (prediction.position - target.position).norm(dim=-1)
    assert distance.median() < 0.01 and distance.max() < 0.03
    assert angle_between(prediction.rotation, target.rotation).median() < 0.2
    assert torch.equal(prediction.is_open > 0.5, target.is_open > 0.5)


@pytest.mark.parametrize("case", CASES)
def test_bfloat16_moves_a_waypoint_by_less_than_a_millimetre(case: str) -> None:
    actor, inputs, _ = overfitted(case)
    with torch.inference_mode():
        exact = actor.predict(inputs, torch.Generator().manual_seed(1))
        with torch.autocast("cpu", torch.bfloat16):
            rough = actor.predict(inputs, torch.Generator().manual_seed(1))
    assert rough.position.dtype == torch.float32
    assert not torch.equal(rough.position, exact.position)
    assert (rough.position - exact.position).norm(dim=-1).max() < 1e-3


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"crop_px": 30}, "multiples of 8"),
        ({"crop_px": 0, "image_px": 0}, "needs image input"),
        ({"width": 36}, "multiple of 8"),
        ({"steps": 0}, "1 <= steps <= 100"),
        ({"crop_px": 0, "image_px": 32}, "foveas"),
    ],
)
def test_what_cannot_be_built_says_why(change: dict[str, int], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        replace(SMALL, **change)  # type: ignore[arg-type]
