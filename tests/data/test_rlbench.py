import pickle

import numpy as np
import pytest

from hamster.data import Episode, Unreadable
from hamster.data.rlbench import RLBench, episodes, metric_depth, opencv_camera, read_episode
from tests.data import rlbench_files
from tests.data.real import real_data
from tests.data.rlbench_files import depth_24_bit, tool_poses, write_episode


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_reads_what_rlbench_writes(tmp_path, protocol):
    poses = write_episode(tmp_path / "episode0", protocol=protocol, phrases=["reach the ball", "touch it"])
    episode = read_episode(tmp_path / "episode0")
    assert episode.instructions == ("reach the ball", "touch it")
    assert np.allclose(episode.tool_poses_world, poses)
    assert episode.gripper.tolist() == [1] * 7 + [0] * 5
    assert len(episode.observations) == 12
    third = episode.observations[3]
    assert third.time_s == pytest.approx(0.15) and np.allclose(third.tool_pose_world, poses[3])
    assert third.views["front"].rgb.shape == (32, 32, 3)
    assert len(episode.provenance.sha256) == 64


def test_negative_focal_lengths_become_an_opencv_camera(tmp_path):
    write_episode(tmp_path / "episode0")
    found = read_episode(tmp_path / "episode0").observations[0].views["front"].camera
    assert np.allclose(found.intrinsics, rlbench_files.camera().intrinsics)
    assert np.allclose(found.world_from_camera, rlbench_files.camera().world_from_camera)


def test_the_projected_tip_lands_on_the_tool_in_colour_and_depth(tmp_path):
    write_episode(tmp_path / "episode0")
    for observation in read_episode(tmp_path / "episode0").observations:
        view = observation.views["front"]
        px, depth_m = view.camera.project(observation.tool_pose_world[:3, 3])
        red = np.argwhere(view.rgb[..., 0] > 200)[:, ::-1] + 0.5
        assert np.linalg.norm(red.mean(0) - px) < 1
        u, v = px.astype(int)
        assert view.depth_m[v, u] == pytest.approx(depth_m - 0.03, abs=1e-4)


def test_calibration_of_another_image_size_is_scaled():
    view = rlbench_files.camera(128)
    found = opencv_camera(view.intrinsics, view.world_from_camera, 64, 64)
    assert np.allclose(found.intrinsics, view.resized(64, 64).intrinsics)


def test_a_mirrored_camera_is_refused():
    view = rlbench_files.camera()
    with pytest.raises(ValueError, match="rigid"):
        opencv_camera(view.intrinsics @ np.diag([-1.0, 1, 1]), view.world_from_camera, 32, 32)


def test_24_bit_depth_round_trip():
    depth = np.random.default_rng(0).uniform(0.02, 4.4, (8, 9))
    assert np.allclose(metric_depth(depth_24_bit(depth), 0.01, 4.5), depth, atol=1e-6)


def test_observations_are_decoded_one_at_a_time(tmp_path):
    write_episode(tmp_path / "episode0")
    (tmp_path / "episode0" / "front_rgb" / "5.png").write_bytes(b"no picture")
    frames = read_episode(tmp_path / "episode0").observations
    assert frames[4].views["front"].rgb.shape == frames[-1].views["front"].rgb.shape
    assert len(frames[2:5]) == 3
    with pytest.raises(ValueError, match=r"5\.png"):
        frames[5]
    with pytest.raises(IndexError):
        frames[12]


def test_several_cameras_and_no_depth(tmp_path):
    write_episode(tmp_path / "episode0", cameras=("front", "wrist"))
    for file in (tmp_path / "episode0" / "wrist_depth").iterdir():
        file.unlink()
    views = read_episode(tmp_path / "episode0").observations[0].views
    assert list(views) == ["front", "wrist"]
    assert views["front"].depth_m is not None and views["wrist"].depth_m is None


def test_finds_episodes_in_either_layout_and_sorts_by_number(tmp_path):
    for number in (10, 9, 1):
        write_episode(tmp_path / "reach_target" / "variation0" / "episodes" / f"episode{number}", steps=3)
    (tmp_path / "reach_target" / "variation0" / "variation_descriptions.pkl").write_bytes(pickle.dumps(["reach it"]))
    write_episode(tmp_path / "slide_block" / "all_variations" / "episodes" / "episode0", steps=3)
    found = list(episodes(tmp_path))
    assert [e.provenance.source.rsplit("/", 1)[1] for e in found] == ["episode1", "episode9", "episode10", "episode0"]
    assert found[0].instructions == ("reach it",) and found[0].provenance.extra["task"] == "reach_target"
    assert found[3].instructions == ("slide block",)


def test_no_episode_at_all_is_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"low_dim_obs\.pkl"):
        RLBench(tmp_path)
    with pytest.raises(ValueError, match="no folder"):
        RLBench(tmp_path / "nowhere")


def test_a_source_reads_any_item_alone_and_travels_to_other_processes(tmp_path):
    for number in (10, 9):
        write_episode(tmp_path / f"episode{number}", steps=3)
    (tmp_path / "episode9" / "low_dim_obs.pkl").write_bytes(b"")
    source = pickle.loads(pickle.dumps(RLBench(tmp_path)))
    assert len(source) == 2 and source.uri == f"rlbench:{tmp_path}"
    assert isinstance(source[1], Episode) and source[0].file == "episode9"
    with pytest.raises(IndexError):
        source[2]


def test_peract2_names_its_images_otherwise(tmp_path):
    poses = write_episode(tmp_path / "episode0", cameras=("front", "over_shoulder_left"), naming="{kind}_{i:04d}.png")
    episode = read_episode(tmp_path / "episode0")
    fifth = episode.observations[5].views
    assert list(fifth) == ["front", "over_shoulder_left"]
    px, _ = fifth["front"].camera.project(poses[5, :3, 3])
    assert np.linalg.norm(np.argwhere(fifth["front"].rgb[..., 0] > 200)[:, ::-1].mean(0) + 0.5 - px) < 1
    assert fifth["front"].depth_m is not None


def test_of_two_arms_the_one_that_moves_is_followed(tmp_path):
    poses = write_episode(tmp_path / "episode0", arms=("right", "left"))
    episode = read_episode(tmp_path / "episode0")
    assert np.allclose(episode.tool_poses_world, poses) and episode.provenance.extra["arm"] == "left"


def drop(name):
    return lambda observation: delattr(observation, name)


def put(name, value):
    return lambda observation: setattr(observation, name, value)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (drop("gripper_pose"), "gripper_pose is missing"),
        (put("gripper_pose", np.zeros(6)), r"shape \(7,\)"),
        (put("gripper_pose", "here"), "gripper_pose is missing or not finite"),
        (drop("gripper_open"), "gripper_open is missing"),
    ],
)
def test_a_broken_recording_says_what_is_broken(tmp_path, change, reason):
    write_episode(tmp_path / "episode0", steps=3, change=change)
    with pytest.raises(ValueError, match=reason):
        read_episode(tmp_path / "episode0")


def test_one_bad_episode_does_not_stop_the_others(tmp_path):
    for number in range(5):
        write_episode(tmp_path / f"episode{number}", steps=3)
    (tmp_path / "episode1" / "low_dim_obs.pkl").write_bytes(b"\x80\x04garbage")
    (tmp_path / "episode2" / "front_rgb" / "2.png").unlink()
    for folder in ("front_rgb", "front_depth"):
        (tmp_path / "episode3" / folder).rename(tmp_path / "episode3" / f"not_{folder}")
    good, damaged, short, lowdim, also_good = episodes(tmp_path)
    assert isinstance(good, Episode) and isinstance(also_good, Episode)
    assert damaged.file == "episode1" and "low_dim_obs.pkl is damaged" in damaged.reason
    assert short == Unreadable("episode2", "front_rgb lacks 2.png; 3 steps were recorded")
    assert "low-dimensional data only" in lowdim.reason


def test_the_synthetic_poses_are_tool_down():
    assert np.allclose(tool_poses(2)[:, 2, 2], -1)


@pytest.mark.parametrize("name", ["a-rlbench-open-drawer", "a-rlbench-reach-target"])
def test_real_recordings_the_projected_fingers_are_in_the_depth_image(name):
    """Open fingers are 4 cm left and right of the tip: where they project, a surface is that far away, within 3 px."""
    hits, offsets = [], []
    for episode in episodes(real_data(name)):
        if isinstance(episode, Unreadable):
            assert "low-dimensional" in episode.reason
            continue
        for observation in episode.observations[18:66:6]:
            view, tool = observation.views["front"], observation.tool_pose_world
            for side in (-0.04, 0.04):
                px, depth_m = view.camera.project(tool[:3, 3] + side * tool[:3, 1])
                u, v = px.astype(int)
                if not (6 <= u < 122 and 6 <= v < 122):
                    continue
                near = np.abs(view.depth_m[v - 6 : v + 7, u - 6 : u + 7] - depth_m) < 0.015
                rows, columns = np.nonzero(near)
                hits.append(len(rows) > 0)
                if len(rows):
                    offsets.append(np.hypot(rows - 6, columns - 6).min())
    assert len(hits) >= 12
    assert np.mean(hits) > 0.8 and np.median(offsets) <= 1.5 and np.mean(np.array(offsets) <= 3) > 0.9
