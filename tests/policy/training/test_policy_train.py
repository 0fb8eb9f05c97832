import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import synthetic
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from hamster import training_state
from hamster.label.dataset import content_digest
from hamster.policy.actor import Target
from hamster.policy.flow.inputs import FlowInputs
from hamster.policy.registry import build_actor
from hamster.policy.training.augment import NONE, AugmentConfig
from hamster.policy.training.packed_dataset import PackedDataset, load_packed_dataset
from hamster.policy.training.presets import PRESETS, TrainConfig, adapted, preset
from hamster.policy.training.samples import Samples, batches, collate
from hamster.policy.training.train import Run, train_policy
from hamster.stopped import RunStoppedError
from tests import forks
from tests.label_sets import write_manifest
from tests.modes import unusual
from tests.policy.training import two_processes

pytestmark = pytest.mark.slow

DEBUG = PRESETS["debug"]


@pytest.fixture(scope="session")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two picks and a knock, all in one scene: only the path tells which is meant."""
    return synthetic.write(tmp_path_factory.mktemp("demos"), {"pick_place": 2, "knock": 1}, size=64, one_scene=True)


def test_frames_are_packed_with_the_keypose_that_follows_them(demonstrations: Path, tmp_path: Path) -> None:
    pack = load_packed_dataset(demonstrations, DEBUG.actor, tmp_path, frames_between=1)
    assert pack.families == ["pick_place", "knock"]
    keys = pack.meta["key"].astype(bool)
    assert keys.sum() == 2 * 6 + 2
    assert pack.meta["phase"][keys].tolist() == [*range(6), *range(6), 0, 1]
    rows = np.flatnonzero(keys)[1:6]
    # At a keypose the tool is where the keypose before it was, and so is the gripper.
    np.testing.assert_allclose(pack.meta["tool"][rows], pack.meta["target"][np.flatnonzero(keys)[:5]])
    np.testing.assert_array_equal(pack.meta["open"][rows], pack.meta["target_open"][np.flatnonzero(keys)[:5]])


def test_what_a_policy_would_remember_are_the_keyposes_before(demonstrations: Path, tmp_path: Path) -> None:
    pack = load_packed_dataset(demonstrations, DEBUG.actor, tmp_path, frames_between=1)
    keys = np.flatnonzero(pack.meta["key"])[:6]  # of the first episode
    assert pack.previous_state(int(keys[0]), 3) is None
    for place, row in enumerate(keys[1:], 1):
        before = pack.previous_state(int(row), 3)
        assert before is not None
        past = [before, *before.history()]
        assert len(past) == min(place, 3)
        assert pack.previous_state(int(row), 3, since=int(row)) is None, "with a path that comes there"
        since_first = pack.previous_state(int(row), 3, since=int(keys[0]))
        assert since_first is not None
        np.testing.assert_array_equal(since_first.tool_pose_world, before.tool_pose_world)
        for body, then in zip(past, keys[:place][::-1], strict=False):
            np.testing.assert_array_equal(body.tool_pose_world, pack.meta["tool"][then])
            assert body.is_open == pack.meta["open"][then]


def test_packing_is_done_once_and_again_for_other_data(demonstrations: Path, tmp_path: Path) -> None:
    load_packed_dataset(demonstrations, DEBUG.actor, tmp_path, frames_between=1)
    stamp = (tmp_path / "rgb_front.npy").stat().st_mtime_ns
    load_packed_dataset(demonstrations, DEBUG.actor, tmp_path, frames_between=1)
    assert (tmp_path / "rgb_front.npy").stat().st_mtime_ns == stamp
    load_packed_dataset(demonstrations, DEBUG.actor, tmp_path, frames_between=0)
    assert (again := (tmp_path / "rgb_front.npy").stat().st_mtime_ns) != stamp
    other = synthetic.write(tmp_path / "others", {"press": 1}, size=64)
    load_packed_dataset(other, DEBUG.actor, tmp_path, frames_between=0)
    assert (tmp_path / "rgb_front.npy").stat().st_mtime_ns != again


def test_episodes_that_lack_a_camera_are_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = synthetic.write(tmp_path / "demos", {"pick_place": 2, "knock": 1}, size=64)
    shards = [json.loads(line) for line in (data / "journal.jsonl").read_text().splitlines()[1:]]
    for number, shard in enumerate(shards):
        (npz,) = [data / file["file"] for file in shard["files"] if file["file"].endswith(".npz")]
        with np.load(npz) as stored:
            arrays = dict(stored)
        if number != 1:  # the second episode has no side camera
            arrays |= {name.replace("front", "side"): arrays[name] for name in arrays if name.endswith("_front")}
        np.savez(npz, **arrays)
    write_manifest(data, "episodes", *([file["file"] for file in shard["files"]] for shard in shards))
    both = replace(DEBUG.actor, cameras=("front", "side"))
    pack = load_packed_dataset(data, both, tmp_path / "pack", frames_between=1)
    assert set(pack.meta["episode"].tolist()) == {0, 1} and len(pack.instructions) == 2
    assert pack.left_out == {"the demonstrations have no view 'side'; there are: front": 1}
    assert "left out: 1 of 3 episodes: the demonstrations have no view 'side'" in capsys.readouterr().err
    assert load_packed_dataset(data, both, tmp_path / "pack", frames_between=1).left_out == pack.left_out
    assert pack.rgb["side"].shape == pack.rgb["front"].shape
    everything = load_packed_dataset(data, DEBUG.actor, tmp_path / "front", frames_between=1)
    assert len(everything.instructions) == 3 and everything.left_out == {}


def test_wrong_folders_are_named(demonstrations: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"manifest\.json"):
        load_packed_dataset(tmp_path, DEBUG.actor, tmp_path / "pack")
    with pytest.raises(ValueError, match="no view 'left'; there are: front"):
        load_packed_dataset(demonstrations, replace(DEBUG.actor, cameras=("left",)), tmp_path / "pack")
    (tmp_path / "shard.npz").write_bytes(b"")
    write_manifest(tmp_path, "annotated", ["shard.npz"])
    with pytest.raises(ValueError, match="kind annotated, not 'episodes'"):
        load_packed_dataset(tmp_path, DEBUG.actor, tmp_path / "pack")
    with pytest.raises(ValueError, match="Did you mean 'flow'"):
        preset("flo")


def test_an_interrupted_run_goes_on_as_if_nothing_had_been(demonstrations: Path, tmp_path: Path) -> None:
    pack = load_packed_dataset(demonstrations, DEBUG.actor, tmp_path / "pack", DEBUG.frames_between_keyposes)
    straight = Run(DEBUG, pack, tmp_path / "a")
    expected = [straight.advance() for _ in range(4)]
    broken = Run(DEBUG, pack, tmp_path / "b")
    for _ in range(2):
        broken.advance()
    broken.save()
    broken.advance()  # lost by the interruption
    resumed = Run(DEBUG, pack, tmp_path / "b")
    assert [resumed.advance() for _ in range(2)] == expected[2:]
    for a, b in zip(straight.average.parameters(), resumed.average.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_run_of_another_configuration_is_not_resumed(demonstrations: Path, tmp_path: Path) -> None:
    pack = load_packed_dataset(demonstrations, DEBUG.actor, tmp_path / "pack", DEBUG.frames_between_keyposes)
    Run(DEBUG, pack, tmp_path).save()
    with pytest.raises(ValueError, match="another configuration"):
        Run(replace(DEBUG, lr=1e-4), pack, tmp_path)


def test_one_scene_is_learnt_and_the_path_decides(demonstrations: Path, tmp_path: Path) -> None:
    calm = replace(
        DEBUG.augment,
        mirror_prob=0.0,
        yaw_range_rad=0.0,
        tool_noise_std_m=0.001,
        waypoint_noise_std=0.002,
        path_drift_std=0.0,
    )
    config = replace(DEBUG, augment=calm, lr=3e-3, steps=140, ema_decay=0.97)
    pack = load_packed_dataset(demonstrations, DEBUG.actor, tmp_path / "pack", config.frames_between_keyposes)
    run = Run(config, pack, tmp_path)
    for _ in range(config.steps):
        run.advance()
    rows = np.flatnonzero(pack.meta["key"] & (pack.meta["phase"] == 0))
    inputs, target = _gather(pack, rows, config, calm)
    with torch.inference_mode():
        guess = run.average.predict(inputs, torch.Generator().manual_seed(0)).position
    goals = pack.meta["target"][rows][:, :3, 3]
    assert np.linalg.norm(goals[0] - goals[-1]) > 0.3  # from the first pick to the knock
    assert (guess - target.position).norm(dim=-1).max() < 0.06


def test_training_leaves_a_checkpoint_with_its_provenance(demonstrations: Path, tmp_path: Path) -> None:
    config = replace(DEBUG, steps=2, evaluate_every=2, save_every=2)
    folder = train_policy(config, demonstrations, tmp_path / "out")
    assert {"config.json", "model.safetensors", "train_info.json", "metrics.json"} <= {p.name for p in folder.iterdir()}
    info = json.loads((folder / "train_info.json").read_text())
    assert info["seed"] == 0 and info["train"]["steps"] == 2 and "torch" in info["versions"]
    assert info["digests"] == {"data": content_digest(demonstrations)}
    assert unusual(tmp_path / "out") == []
    assert train_policy(config, demonstrations, tmp_path / "out") == folder  # nothing left to do


def test_a_full_disk_stops_a_training_that_goes_on_later(
    demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(DEBUG, steps=2, evaluate_every=2, save_every=1)
    real, saves = training_state.save_file, list[Path]()

    def save_file(tensors: dict[str, torch.Tensor], file: Path, facts: dict[str, str]) -> None:
        saves.append(file)
        if len(saves) == 2:
            raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
        real(tensors, file, facts)

    monkeypatch.setattr(training_state, "save_file", save_file)
    with pytest.raises(RunStoppedError, match="the disk is full"):
        train_policy(config, demonstrations, tmp_path / "out")
    assert not list((tmp_path / "out").rglob("*.part"))
    assert training_state.read_metadata(saves[0].parent / "state.safetensors")["step"] == 1
    train_policy(config, demonstrations, tmp_path / "out")
    assert len(saves) == 3  # it went on from the first step


def _gather(
    pack: PackedDataset, rows: np.ndarray, config: TrainConfig, augment: AugmentConfig, other: int | None = None
) -> tuple[FlowInputs, Target]:
    samples, rng = Samples(pack, config, build_actor(config.actor)), np.random.default_rng(0)
    return collate([samples.sample(int(row), int(row if other is None else other), augment, rng) for row in rows])


def test_batches_are_a_function_of_seed_and_step_however_many_prepare_them(
    demonstrations: Path, tmp_path: Path
) -> None:
    pack = load_packed_dataset(demonstrations, DEBUG.actor, tmp_path, DEBUG.frames_between_keyposes)
    samples = Samples(pack, DEBUG, build_actor(DEBUG.actor))
    whole, again = (batches(samples, 3, 0, 1, 0) for _ in range(2))
    third, fourth = next(whole)[0], next(whole)[0]
    assert torch.equal(next(again)[0].crops.points, third.crops.points) and not torch.equal(
        fourth.crops.points, third.crops.points
    )
    halves = [next(batches(samples, 3, part, 2, 0))[0].crops.points for part in range(2)]
    assert torch.equal(torch.stack(halves, 1).flatten(0, 1), third.crops.points)
    assert torch.equal(next(batches(samples, 3, 0, 1, 1))[0].crops.points, third.crops.points)


def test_at_the_end_of_the_last_motion_all_is_done(demonstrations: Path, tmp_path: Path) -> None:
    pack = load_packed_dataset(demonstrations, DEBUG.actor, tmp_path, DEBUG.frames_between_keyposes)
    rows = np.flatnonzero(pack.meta["key"])
    inputs, target = _gather(pack, rows, DEBUG, replace(NONE, completed_prob=1.0))
    done = target.done > 0
    np.testing.assert_array_equal(done, pack.meta["last"][rows])
    assert target.position[done].norm(dim=-1).max() < 1e-6  # the tool is already there
    assert inputs.robot.previous_positions[done].norm(dim=-1).min() > 0.05  # and came from the previous call


def test_a_transplanted_path_keeps_its_keyposes(demonstrations: Path, tmp_path: Path) -> None:
    pack = load_packed_dataset(demonstrations, DEBUG.actor, tmp_path, DEBUG.frames_between_keyposes)
    rows = np.flatnonzero(pack.meta["key"])
    other = int(pack.meta["first"][-1])
    here, there = (_gather(pack, rows[:3], DEBUG, replace(NONE, swap_image_prob=t), other) for t in (0.0, 1.0))
    assert torch.equal(there[1].position, here[1].position) and torch.equal(
        there[0].robot.tool_rotation, here[0].robot.tool_rotation
    )
    assert not torch.equal(there[0].crops.rgb, here[0].crops.rgb)


@pytest.mark.parametrize("name", [name for name, config in PRESETS.items() if config.actor.conditioners])
def test_a_policy_without_a_path_is_never_trained_on_another_image_or_after_the_end(name: str) -> None:
    base = preset(name)
    config = adapted(base, conditioners=())
    assert config.augment.swap_image_prob == config.augment.completed_prob == 0 and config.augment.color_jitter <= 0.06
    assert config.augment.path_dropout_prob == 1 and adapted(base).augment == base.augment


def test_images_without_a_path_are_those_of_their_own_scene(demonstrations: Path, tmp_path: Path) -> None:
    config = adapted(preset("flow-dense"), conditioners=())
    config = replace(config, augment=replace(config.augment, mirror_prob=0.0))
    pack = load_packed_dataset(demonstrations, config.actor, tmp_path, config.frames_between_keyposes)
    rows = np.flatnonzero(pack.meta["key"])
    other = int(pack.meta["first"][-1])
    samples = Samples(pack, config, build_actor(config.actor))
    for augment in (config.augment, replace(config.augment, swap_image_prob=1.0)):
        drawn = [samples.policy_input(int(row), other, augment, np.random.default_rng(0))[0] for row in rows[:3]]
        assert all(policy_input.prompt is None for policy_input in drawn)
        own = [
            np.array_equal(policy_input.unaugmented_rgb, pack.views(int(row), config.actor.cameras)["front"].rgb)
            for policy_input, row in zip(drawn, rows, strict=False)
        ]
        assert own == [augment.swap_image_prob == 0] * 3


def test_turning_keeps_the_target_where_it_was_in_the_scene(demonstrations: Path, tmp_path: Path) -> None:
    pack = load_packed_dataset(demonstrations, DEBUG.actor, tmp_path, DEBUG.frames_between_keyposes)
    rows = np.flatnonzero(pack.meta["key"])
    inputs, target = _gather(pack, rows, DEBUG, NONE)
    moved, new = _gather(pack, rows, DEBUG, replace(NONE, yaw_range_rad=1.0))
    here, there = (
        sample.crops.points - goal.position[:, :, None, None] for sample, goal in ((inputs, target), (moved, new))
    )
    assert not torch.allclose(here, there, atol=0.05)
    torch.testing.assert_close(there.norm(dim=-1), here.norm(dim=-1), atol=1e-4, rtol=0)
    torch.testing.assert_close(new.rotation[..., 2, :], target.rotation[..., 2, :])  # about the vertical only
    mirrored = _gather(pack, rows, DEBUG, replace(NONE, mirror_prob=1.0))[1]
    torch.testing.assert_close(mirrored.position, target.position * torch.tensor([1.0, -1.0, 1.0]))
    torch.testing.assert_close(torch.linalg.det(mirrored.rotation), torch.ones(mirrored.rotation.shape[:2]))


def test_a_share_of_the_demonstrations_is_part_of_every_larger_share(demonstrations: Path, tmp_path: Path) -> None:
    pack = load_packed_dataset(demonstrations, DEBUG.actor, tmp_path, DEBUG.frames_between_keyposes)
    some, everything = pack.used(0.5), pack.used(1.0)
    assert everything.all() and some.any() and not some.all()
    assert set(np.unique(pack.meta["family"][some])) == {0, 1}  # of each family


def test_two_processes_learn_the_same_weights(demonstrations: Path, tmp_path: Path) -> None:
    load_packed_dataset(demonstrations, DEBUG.actor, tmp_path / "pack", DEBUG.frames_between_keyposes)
    port = forks.free_port()
    members = [(forks.environment(rank, 2, port), demonstrations, tmp_path) for rank in range(2)]
    assert forks.run(two_processes.train, members) == [0, 0]
    first, second = (load_file(tmp_path / f"rank{rank}.safetensors") for rank in range(2))
    untrained = build_actor(DEBUG.actor).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not all(torch.equal(first[name], untrained[name]) for name in first)
