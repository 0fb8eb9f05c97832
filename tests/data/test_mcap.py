import json

import numpy as np
import pytest

pytest.importorskip("mcap_ros2", reason="the extra mcap is not installed")

from hamster.data.mcap import MCAP
from hamster.label import read_episodes, write
from hamster.policy.flow.config import FlowConfig
from hamster.policy.training.packed_dataset import load_packed_dataset
from tests.data import mcap_files
from tests.data.depth_files import scene_m

ROBOT = {"tool_frame": "tcp", "gripper_joint": "finger", "open": 0.04, "closed": 0.0}


def described(file, **changes):
    file.with_suffix(".json").write_text(json.dumps(ROBOT | changes))
    return file


@pytest.fixture
def file(tmp_path):
    return tmp_path / "a.mcap"


def test_images_depth_poses_and_gripper(file):
    episode = MCAP(described(mcap_files.write(file)))[0]
    assert episode.instructions == ("reach it",) and len(episode.observations) == 6
    assert np.allclose(episode.tool_poses_world[:, :3, 3], mcap_files.tips(6))
    assert episode.gripper.tolist() == [1, 1, 1, 0, 0, 0]
    observation = episode.observations[4]
    view = observation.views["front"]
    assert list(observation.views) == ["front"] and observation.time_s == pytest.approx(0.4)
    assert abs(int(view.rgb[-1, 0, 0]) - 80) < 3
    assert np.allclose(view.depth_m, scene_m(), atol=0.00051)
    assert np.allclose(view.camera.world_from_camera, mcap_files.WORLD_FROM_CAMERA)
    assert view.camera.intrinsics[0].tolist() == [40, 0, 24] and "notes" not in episode.provenance.extra


def test_it_is_labelled_by_projection_with_its_depth(file, tmp_path):
    write([MCAP(described(mcap_files.write(file)))], tmp_path / "labels")
    (labelled,) = read_episodes(tmp_path / "labels")
    assert labelled.method.name == "projection"
    assert np.allclose(labelled.episode.observations[0].views["front"].depth_m, scene_m(), atol=0.00051)
    packed = load_packed_dataset(tmp_path / "labels", FlowConfig(cameras=("front",)), tmp_path / "pack")
    assert np.allclose(packed.depth["front"][0] * 1e-4, scene_m(), atol=0.00051)


@pytest.mark.parametrize(
    ("depth", "kind"),
    [
        (lambda: mcap_files.image(scene_m(), "32FC1", padding=8), "sensor_msgs/msg/Image"),
        (mcap_files.compressed_depth, "sensor_msgs/msg/CompressedImage"),
        (mcap_files.inverse_depth, "sensor_msgs/msg/CompressedImage"),
    ],
)
def test_encodings_of_depth(file, depth, kind):
    view = MCAP(mcap_files.write(file, 2, depth, kind))[0].observations[1].views["front"]
    assert np.allclose(view.depth_m, scene_m(), atol=0.00051)


def test_without_a_named_tool_it_is_tracked_and_that_is_said(file):
    episode = MCAP(mcap_files.write(file, text=""))[0]
    assert episode.tool_poses_world is None and episode.observations[0].views["front"].camera is None
    notes = " ".join(episode.provenance.extra["notes"])
    assert "tool_frame is not named" in notes and "front_optical" in notes


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"tool_frame": "tool0"}, "no tool_frame 'tool0'; there are: front_optical, link, tcp"),
        ({"world_frame": "map"}, "does not lead from 'tcp' to 'map'"),
        ({"gripper_joint": "thumb"}, "there are: finger, joint1"),
        ({"open": None}, "two numbers"),
        ({"tool_frame": 3}, "must be a name"),
    ],
)
def test_a_description_that_does_not_fit_lists_what_there_is(file, changes, reason):
    assert reason in MCAP(described(mcap_files.write(file, 2), **changes))[0].reason


@pytest.mark.parametrize(
    ("depth", "topic", "note"),
    [
        (lambda: mcap_files.image(scene_m() * 1000, "32FC1"), mcap_files.DEPTH, "millimetres read as metres"),
        (mcap_files.depth_image, "/head/depth/image_raw", "of which camera its name does not say"),
    ],
)
def test_what_is_no_depth_of_a_camera_is_left_out(file, depth, topic, note):
    episode = MCAP(mcap_files.write(file, 2, depth, depth_topic=topic))[0]
    assert episode.observations[0].views["front"].depth_m is None
    assert [text for text in episode.provenance.extra["notes"] if note in text]


@pytest.mark.parametrize("size", [0, 8, 100, 2000, -40])
def test_damaged_files_are_one_line(file, size):
    data = mcap_files.write(file).read_bytes()
    file.write_bytes(data[:size])
    item = MCAP(file)[0]
    assert item.reason and "\n" not in item.reason
