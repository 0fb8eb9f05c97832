import json
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("mcap_ros2", reason="the extra mcap is not installed")

from hamster.data.joint_source import RobotModel, with_tool_poses
from hamster.data.mcap import MCAP
from hamster.data.mcap.episode import intrinsics_of
from hamster.data.mcap.transforms import TransformTree
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


def late(topic, at_ns):
    """The images take 0.25 s to the recorder, more than two frames; everything else 1 ms."""
    return at_ns + (250_000_000 if "color/image" in topic else 1_000_000)


def taken(topic, at_ns):
    return at_ns


def of_another_clock(topic, at_ns):
    return at_ns - 5 * 10**9 if "color/image" in topic else at_ns


def test_headers_tell_when_a_message_was_taken_however_late_it_was_logged(file):
    episode = MCAP(described(mcap_files.write(file, stamp_ns=taken, logged_ns=late)))[0]
    assert np.allclose(episode.tool_poses_world[:, :3, 3], mcap_files.tips(6))
    assert episode.gripper.tolist() == [1, 1, 1, 0, 0, 0]
    view = episode.observations[4].views["front"]
    assert abs(int(view.rgb[-1, 0, 0]) - 80) < 3 and view.depth_m.any()


@pytest.mark.parametrize("stamp_ns", [lambda topic, at_ns: 0, of_another_clock])
def test_without_stamps_of_one_clock_the_times_of_logging_count(file, stamp_ns):
    episode = MCAP(described(mcap_files.write(file, 8, stamp_ns=stamp_ns, logged_ns=late)))[0]
    assert np.allclose(episode.tool_poses_world[:5, :3, 3], mcap_files.tips(8)[2:7]), "two steps on"
    notes = " ".join(episode.provenance.extra.get("notes", ()))
    assert ("differ by 5." in notes) == (stamp_ns is of_another_clock)


def test_joints_become_tool_poses_by_the_robots_model(file, tmp_path):
    description = {"world_frame": "base", "gripper_joint": "finger", "open": 0.04, "closed": 0.0}
    mcap_files.write(file).with_suffix(".json").write_text(json.dumps(description))
    (tmp_path / "robot.urdf").write_text(ONE_JOINT)
    episode = MCAP(file)[0]
    assert episode.joints.names == ("joint1", "finger") and episode.joints.unit == "rad"
    assert np.allclose(episode.joints.positions[:, 0], 0.1) and episode.tool_poses_world is None
    model = RobotModel(file=tmp_path / "robot.urdf", tool="tip")
    projected = with_tool_poses(MCAP(file), model)[0]
    assert np.allclose(projected.tool_poses_world[:, :2, 3], [0.5 * np.cos(0.1), 0.5 * np.sin(0.1)])
    assert projected.observations[0].views["front"].camera is not None


ONE_JOINT = """<robot name="one"><link name="base"/><link name="arm"/><link name="tip"/>
  <joint name="joint1" type="revolute"><parent link="base"/><child link="arm"/><axis xyz="0 0 1"/>
    <limit lower="-2" upper="2" effort="1" velocity="1"/></joint>
  <joint name="end" type="fixed"><parent link="arm"/><child link="tip"/><origin xyz="0.5 0 0"/></joint></robot>"""


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
        ({"open": None}, "two different numbers"),
        ({"open": 0}, "two different numbers"),
        ({"open": float("inf")}, "two different numbers"),
        ({"open": 10**400}, "two different numbers"),
        ({"open": 0.004}, "goes from 0 to 0.04; `closed` is 0 and `open` 0.004"),
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
        (lambda: mcap_files.depth_image("front_depth_optical"), mcap_files.DEPTH, "is not registered to that image"),
    ],
)
def test_what_is_no_depth_of_a_camera_is_left_out(file, depth, topic, note):
    episode = MCAP(mcap_files.write(file, 2, depth, depth_topic=topic))[0]
    assert episode.observations[0].views["front"].depth_m is None
    assert [text for text in episode.provenance.extra["notes"] if note in text]


@pytest.mark.parametrize(
    ("topic", "instruction"),
    [("/robot/language_instruction", "reach it"), ("/task", "reach it"), ("/task/status", ""), ("/subtasks", "")],
)
def test_only_topics_of_an_instruction_give_one(file, topic, instruction):
    assert MCAP(mcap_files.write(file, 2, text_topic=topic))[0].instructions == (instruction,)


def test_lens_distortion_is_named(file):
    episode = MCAP(described(mcap_files.write(file, 2, distortion=[0.1, 0, 0, 0, 0])))[0]
    assert episode.provenance.extra["notes"] == [
        "the lens distortion of camera front is not corrected; record rectified images"
    ]


def test_rectified_images_have_the_intrinsics_of_p():
    k, p = [40.0, 0, 24, 0, 40, 16, 0, 0, 1], [38.0, 0, 23, 0, 0, 39, 15, 0, 0, 0, 1, 0]
    info = SimpleNamespace(k=k, p=p, d=[0.1])
    rectified, is_distorted = intrinsics_of(info, "/front/image_rect_color/compressed")
    assert rectified.tolist() == [[38, 0, 23], [0, 39, 15], [0, 0, 1]] and not is_distorted
    raw, is_distorted = intrinsics_of(info, "/front/image_raw")
    assert raw.ravel().tolist() == k and is_distorted


def test_a_frame_whose_parent_changes_has_no_pose():
    tree = TransformTree()
    for time_ns, parent in enumerate(("base", "base", "tcp")):
        tree.add([mcap_files.transform(parent, "cup", np.eye(4))], time_ns, is_static=False)
    tree.add([mcap_files.transform("base", "tcp", np.eye(4))], 0, is_static=True)
    at_ns = np.array([0, 2])
    assert tree.poses("tcp", "base", at_ns).shape == (2, 4, 4)
    with pytest.raises(ValueError, match="the parent of the frame 'cup' in TF changes"):
        tree.poses("cup", "base", at_ns)


def test_a_definition_that_lacks_a_field_is_one_line(file, monkeypatch):
    info, image = "sensor_msgs/msg/CameraInfo", "sensor_msgs/msg/CompressedImage"
    monkeypatch.setitem(mcap_files.TYPES, info, mcap_files.HEADER + "uint32 height\nuint32 width\n")
    monkeypatch.setitem(mcap_files.TYPES, image, mcap_files.HEADER + "string format\n")
    episode = MCAP(described(mcap_files.write(file, 2, depth=None)))[0]
    assert "camera front is not calibrated" in episode.provenance.extra["notes"][0]
    with pytest.raises(ValueError, match=r"^a.mcap is not MCAP.*data"):
        episode.observations[0]


@pytest.mark.parametrize("size", [0, 8, 100, 2000, -40])
def test_damaged_files_are_one_line(file, size):
    data = mcap_files.write(file).read_bytes()
    file.write_bytes(data[:size])
    item = MCAP(file)[0]
    assert item.reason and "\n" not in item.reason
