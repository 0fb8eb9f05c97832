import json
from dataclasses import replace
from pathlib import Path as FilePath

import numpy as np
import pytest
import synthetic
import torch

from hamster.policy.batches import NO_NOISE, Batches, gather
from hamster.policy.flow_policy import predict
from hamster.policy.pack import load_pack
from hamster.policy.presets import PRESETS, preset
from hamster.policy.train import Run, train_policy
from tests.label_sets import write_manifest

DEBUG = PRESETS["debug"]


@pytest.fixture(scope="session")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    """Two picks and a knock, all in one scene: only the path tells which is meant."""
    return synthetic.write(tmp_path_factory.mktemp("demos"), {"pick_place": 2, "knock": 1}, size=64, one_scene=True)


def test_frames_are_packed_with_the_keypose_that_follows_them(demonstrations: FilePath, tmp_path: FilePath) -> None:
    pack = load_pack(demonstrations, "front", tmp_path, between=1)
    assert pack.families == ["pick_place", "knock"]
    keys = pack.meta["key"].astype(bool)
    assert keys.sum() == 2 * 6 + 2
    assert pack.meta["phase"][keys].tolist() == [*range(6), *range(6), 0, 1]
    rows = np.flatnonzero(keys)[1:6]
    # At a keypose the tool is where the keypose before it was, and so is the gripper.
    np.testing.assert_allclose(pack.meta["tool"][rows], pack.meta["target"][np.flatnonzero(keys)[:5]])
    np.testing.assert_array_equal(pack.meta["open"][rows], pack.meta["target_open"][np.flatnonzero(keys)[:5]])


def test_packing_is_done_once_and_again_for_other_data(demonstrations: FilePath, tmp_path: FilePath) -> None:
    load_pack(demonstrations, "front", tmp_path, between=1)
    stamp = (tmp_path / "rgb.npy").stat().st_mtime_ns
    load_pack(demonstrations, "front", tmp_path, between=1)
    assert (tmp_path / "rgb.npy").stat().st_mtime_ns == stamp
    load_pack(demonstrations, "front", tmp_path, between=0)
    assert (again := (tmp_path / "rgb.npy").stat().st_mtime_ns) != stamp
    (demonstrations / "ep-00000.json").touch()  # labelled anew
    load_pack(demonstrations, "front", tmp_path, between=0)
    assert (tmp_path / "rgb.npy").stat().st_mtime_ns != again


def test_wrong_folders_are_named(demonstrations: FilePath, tmp_path: FilePath) -> None:
    with pytest.raises(ValueError, match=r"manifest\.json"):
        load_pack(tmp_path, "front", tmp_path / "pack")
    with pytest.raises(ValueError, match="no view 'left'; there are: front"):
        load_pack(demonstrations, "left", tmp_path / "pack")
    (tmp_path / "shard.npz").write_bytes(b"")
    write_manifest(tmp_path, "annotated", ["shard.npz"])
    with pytest.raises(ValueError, match="kind annotated, not 'episodes'"):
        load_pack(tmp_path, "front", tmp_path / "pack")
    with pytest.raises(ValueError, match="Did you mean 'nano'"):
        preset("nanno")


def test_an_interrupted_run_goes_on_as_if_nothing_had_been(demonstrations: FilePath, tmp_path: FilePath) -> None:
    pack = load_pack(demonstrations, "front", tmp_path / "pack", DEBUG.between)
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


def test_a_run_of_another_configuration_is_not_resumed(demonstrations: FilePath, tmp_path: FilePath) -> None:
    pack = load_pack(demonstrations, "front", tmp_path / "pack", DEBUG.between)
    Run(DEBUG, pack, tmp_path).save()
    with pytest.raises(ValueError, match="another configuration"):
        Run(replace(DEBUG, lr=1e-4), pack, tmp_path)


def test_one_scene_is_learnt_and_the_path_decides(demonstrations: FilePath, tmp_path: FilePath) -> None:
    calm = replace(DEBUG.augment, mirror=0.0, turn_rad=0.0, tool_noise_m=0.001, waypoint_noise=0.002, path_shift=0.0)
    config = replace(DEBUG, augment=calm, lr=3e-3, steps=140, ema=0.97)
    pack = load_pack(demonstrations, "front", tmp_path / "pack", config.between)
    run = Run(config, pack, tmp_path)
    for _ in range(config.steps):
        run.advance()
    rows = np.flatnonzero(pack.meta["key"] & (pack.meta["phase"] == 0))
    inputs, (position, *_) = gather(pack, rows, config, calm, np.random.default_rng(0))
    with torch.inference_mode():
        guess, *_ = predict(run.average, inputs, torch.Generator().manual_seed(0))
    goals = pack.meta["target"][rows][:, :3, 3]
    assert np.linalg.norm(goals[0] - goals[-1]) > 0.3  # from the first pick to the knock
    assert (guess - position).norm(dim=-1).max() < 0.06


def test_training_leaves_a_checkpoint_with_its_provenance(demonstrations: FilePath, tmp_path: FilePath) -> None:
    config = replace(DEBUG, steps=2, evaluate_every=2, save_every=2)
    folder = train_policy(config, demonstrations, tmp_path / "out")
    assert {"config.json", "model.safetensors", "train_info.json", "metrics.json"} <= {p.name for p in folder.iterdir()}
    info = json.loads((folder / "train_info.json").read_text())
    assert info["seed"] == 0 and info["train"]["steps"] == 2 and "torch" in info["versions"]
    assert train_policy(config, demonstrations, tmp_path / "out") == folder  # nothing left to do


def test_batches_are_a_function_of_seed_and_step(demonstrations: FilePath, tmp_path: FilePath) -> None:
    pack = load_pack(demonstrations, "front", tmp_path, DEBUG.between)
    batches = Batches(pack, DEBUG, torch.device("cpu"))
    (a, _), (b, _), (c, _) = batches(3), batches(3), batches(4)
    assert torch.equal(a.points, b.points) and not torch.equal(a.points, c.points)


def test_at_the_end_of_the_last_motion_all_is_done(demonstrations: FilePath, tmp_path: FilePath) -> None:
    pack = load_pack(demonstrations, "front", tmp_path, DEBUG.between)
    rows = np.flatnonzero(pack.meta["key"])
    augment = replace(NO_NOISE, finish=1.0)
    inputs, (position, _, _, done) = gather(pack, rows, DEBUG, augment, np.random.default_rng(0))
    np.testing.assert_array_equal(done > 0, pack.meta["last"][rows])
    assert position[done > 0].norm(dim=-1).max() < 1e-6  # the tool is already there
    assert inputs.previous[done > 0].norm(dim=-1).min() > 0.05  # and came from where it was asked last


def test_a_transplanted_path_keeps_its_keyposes(demonstrations: FilePath, tmp_path: FilePath) -> None:
    pack = load_pack(demonstrations, "front", tmp_path, DEBUG.between)
    rows = np.flatnonzero(pack.meta["key"])
    here = gather(pack, rows, DEBUG, NO_NOISE, np.random.default_rng(0))
    there = gather(pack, rows, DEBUG, replace(NO_NOISE, transplant=1.0), np.random.default_rng(0))
    assert torch.equal(there[1][0], here[1][0]) and torch.equal(there[0].tool_rotation, here[0].tool_rotation)
    assert not torch.equal(there[0].rgb, here[0].rgb)
