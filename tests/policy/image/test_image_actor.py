import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch

from hamster.data import Observation, View
from hamster.path import Path2D
from hamster.policy.actor import Target
from hamster.policy.actor_policy import ActorPolicy
from hamster.policy.checkpoint import load, save
from hamster.policy.config import ActorConfig
from hamster.policy.image.actor import ImageActor
from hamster.policy.image.config import ImageConfig
from hamster.policy.image.inputs import ImageInputs
from hamster.policy.image.vision import soft_argmax
from hamster.policy.registry import build_actor
from hamster.policy.training.packed_dataset import load_packed_dataset
from hamster.policy.training.presets import PRESETS, TrainConfig
from hamster.policy.training.train import Run
from tests.label_sets import write_manifest

pytestmark = pytest.mark.slow

Moment = tuple[Observation, Path2D]
SMALL = ImageConfig(image_px=32, width=32, heads=2, encoder_layers=1, decoder_layers=1, points=8)


def _actor(**changes: object) -> ImageActor:
    torch.manual_seed(0)
    return ImageActor(replace(SMALL, **changes)).eval()  # type: ignore[arg-type]


def _inputs(actor: ImageActor, observation: Observation, path: Path2D | None) -> ImageInputs:
    return ImageInputs.stack([actor.preprocess(ActorPolicy(actor).make_input(observation, path))])


def _answer(actor: ImageActor, inputs: ImageInputs) -> torch.Tensor:
    with torch.inference_mode():
        return torch.cat([part.flatten() for part in actor.predict_chunk(inputs)])


def test_a_chunk_is_executed_in_part_and_streamed(moment: Moment) -> None:
    motion = ActorPolicy(_actor()).act(*moment)
    assert motion.poses.shape == (4, 4, 4) and motion.gripper_open.shape == (4,) and motion.step_s == 0.2
    turns = motion.poses[:, :3, :3]
    np.testing.assert_allclose(turns @ turns.transpose(0, 2, 1), np.tile(np.eye(3), (4, 1, 1)), atol=1e-5)


def test_the_last_command_is_the_last_that_was_executed(moment: Moment, monkeypatch: pytest.MonkeyPatch) -> None:
    actor, commands = _actor(), torch.tensor([[1.0, 1, 1, 0, 1, 1, 1, 1]])
    answer = actor.predict
    monkeypatch.setattr(actor, "predict", lambda inputs, noise: replace(answer(inputs, noise), is_open=commands))
    policy = ActorPolicy(actor)
    assert policy.act(*moment).gripper_open.tolist() == [True, True, True, False]
    assert policy.make_input(*moment).robot.is_open is False


def test_neither_depth_nor_calibration_are_needed_or_looked_at(moment: Moment) -> None:
    actor, (observation, path) = _actor(conditioners=("overlay", "channels", "tokens")), moment
    bare = replace(observation, views={"front": View(observation.views["front"].rgb)})
    with_all, without = (_inputs(actor, observed, path) for observed in (observation, bare))
    assert all(torch.equal(*pair) for pair in zip(with_all.flatten().values(), without.flatten().values(), strict=True))
    assert np.isfinite(ActorPolicy(actor).act(bare, path).poses).all()


@pytest.mark.parametrize("conditioner", ["overlay", "channels", "tokens"])
def test_the_path_gets_in_and_learned_conditioners_are_silent_at_first(moment: Moment, conditioner: str) -> None:
    actor, (observation, path) = _actor(conditioners=(conditioner,)), moment
    inputs = [_inputs(actor, observation, drawn) for drawn in (path, None)]
    with_path, without = (_answer(actor, batch) for batch in inputs)
    if conditioner != "overlay":
        torch.testing.assert_close(with_path, without, atol=1e-6, rtol=0)
        with torch.no_grad():
            for parameter in actor.conditioners.parameters():
                parameter.normal_(0, 0.1)
        with_path, without = (_answer(actor, batch) for batch in inputs)
    assert (with_path - without).abs().max() > 1e-5


def test_a_checkpoint_loads_in_a_process_that_has_loaded_a_planner(tmp_path: Path) -> None:
    """In a process of its own, as torch remembers what transformers had replaced at the first use of a device."""
    save(tmp_path, _actor(conditioners=()))
    script = "import sys; from hamster.planner import load_planner; from hamster.policy import load_policy; "
    script += "load_planner('nano'); load_policy(sys.argv[1])"
    subprocess.run([sys.executable, "-c", script, str(tmp_path)], check=True, timeout=300)


def test_a_checkpoint_without_paths_loads_with_every_conditioner(moment: Moment, tmp_path: Path) -> None:
    plain = _actor(conditioners=())
    save(tmp_path, plain)
    conditioned = load(tmp_path, conditioners=("channels", "tokens"))
    assert isinstance(conditioned, ImageActor) and set(conditioned.conditioners) == {"channels", "tokens"}
    answers = [_answer(actor, _inputs(actor, *moment)) for actor in (plain, conditioned)]
    torch.testing.assert_close(*answers, atol=1e-5, rtol=0)  # float32; processors round differently


def test_two_cameras_are_looked_through_and_the_path_is_on_the_first(moment: Moment) -> None:
    observation, path = moment
    both = replace(observation, views=dict.fromkeys(("front", "wrist"), observation.views["front"]))
    actor = _actor(cameras=("front", "wrist"), conditioners=("overlay", "channels"))
    inputs = _inputs(actor, both, path)
    assert inputs.rgb.shape == (1, 2, 32, 32, 3) and not torch.equal(inputs.rgb[0, 0], inputs.rgb[0, 1])
    assert torch.equal(inputs.rgb[0, 1], _inputs(actor, both, None).rgb[0, 0])
    assert torch.isfinite(_answer(actor, inputs)).all()


def test_where_it_goes_itself_there_is_nothing_to_learn(moment: Moment) -> None:
    actor = _actor()
    inputs = _inputs(actor, *moment)
    with torch.inference_mode():
        prediction = actor.predict(inputs, torch.Generator())
        target = Target(
            prediction.position,
            prediction.rotation,
            (prediction.is_open > 0.5).float(),
            prediction.done,
            prediction.contact_prob,
        )
        losses = actor.compute_loss(inputs, target, torch.Generator())
    assert losses["position"] < 1e-5 and losses["gripper"] > 0


def test_soft_argmax_finds_a_peak_between_pixels() -> None:
    v, u = torch.meshgrid(torch.linspace(-1, 1, 24), torch.linspace(-1, 1, 32), indexing="ij")
    maps = -200 * ((u - 0.31) ** 2 + (v + 0.52) ** 2)
    torch.testing.assert_close(soft_argmax(maps[None, None])[0, 0], torch.tensor([0.31, -0.52]), atol=2e-3, rtol=0)


def test_what_makes_no_sense_is_refused_in_one_line() -> None:
    with pytest.raises(ValueError, match="it can use: tokens, overlay, channels"):
        ImageConfig(conditioners=("cloud",))
    with pytest.raises(ValueError, match="multiple of 16"):
        ImageConfig(image_px=100)
    with pytest.raises(ValueError, match="n_action_steps <= horizon"):
        ImageConfig(n_action_steps=9)


def _demos(folder: Path) -> Path:
    return synthetic.write(folder, {"pick_place": 1, "press": 1}, size=64, between=2, one_scene=True)


def test_one_scene_is_learnt_and_the_path_decides(tmp_path: Path) -> None:
    preset = PRESETS["image"]
    augment = replace(
        preset.augment,
        path_dropout_prob=0.0,
        mirror_prob=0.0,
        color_jitter=0.0,
        drop_gripper_prob=0.0,
        tool_noise_std_m=0.001,
    )
    train = {
        "steps": 160,
        "batch_size": 8,
        "lr": 3e-3,
        "warmup_steps": 5,
        "ema_decay": 0.9,
    }
    config: TrainConfig = replace(
        preset,
        actor=replace(SMALL, step_s=0.6, horizon=2, n_action_steps=2),
        augment=augment,
        held_out_every=0,
        bf16=False,
        **train,
    )
    pack = load_packed_dataset(_demos(tmp_path / "demos"), config.actor, tmp_path / "pack")
    assert not pack.depth and len(pack.paths) == len(pack.tracks["open"])  # no depth, and every frame
    run = Run(config, pack, tmp_path)
    for _ in range(config.steps):
        run.advance()
    starts = np.flatnonzero(pack.meta["frame"] == 0)
    pairs = [
        run.samples.sample(int(row), int(row), replace(augment, first_frame_path_prob=0.0), np.random.default_rng(0))
        for row in starts
    ]
    inputs, target = (type(part[0]).stack(part) for part in zip(*pairs, strict=True))
    with torch.inference_mode():
        guess = run.average.predict(inputs, torch.Generator()).position
    goals = target.position[:, -1]
    assert (goals[0] - goals[1]).norm() > 0.1  # one scene, two paths, two ends
    assert (guess[:, -1] - goals).norm(dim=-1).max() < 0.5 * (goals[0] - goals[1]).norm()


def test_demonstrations_without_depth_or_calibration_are_for_this_policy(tmp_path: Path) -> None:
    demos = _demos(tmp_path / "demos")
    for file in demos.glob("*.npz"):
        with np.load(file) as stored:
            kept = {
                name: stored[name] for name in stored.files if name.split("_")[0] in ("rgb", "tool", "gripper", "time")
            }
            kept |= {name: stored[name] for name in stored.files if name.startswith("key")}
        np.savez(file, **kept)
    write_manifest(demos, "episodes", *([f"ep-{i:05d}.npz", f"ep-{i:05d}.json"] for i in range(2)))
    with pytest.raises(ValueError, match="no depth, which the flow policy needs; `image` and `monolithic` do without"):
        load_packed_dataset(demos, PRESETS["debug"].actor, tmp_path / "flow")
    pack = load_packed_dataset(demos, SMALL, tmp_path / "pack")
    run = Run(replace(PRESETS["image"], actor=SMALL, batch_size=2, held_out_every=0, bf16=False), pack, tmp_path)
    assert np.isfinite(list(run.advance().values())).all() and pack.views(0, ["front"])["front"].camera is None


def test_every_family_builds_from_its_own_defaults() -> None:
    assert isinstance(build_actor(SMALL), ImageActor) and issubclass(ImageConfig, ActorConfig)
