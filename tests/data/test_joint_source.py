"""Datasets that record joints alone get tool poses from the robot's model, or a line that says what is missing."""

import pickle
from dataclasses import replace

import numpy as np
import pytest

from hamster.cli import main
from hamster.data import Episode
from hamster.data.joint_source import RobotModel, tool_poses_from_joints, with_tool_poses
from hamster.data.lerobot import LeRobot
from hamster.geometry import matrix_from_quaternion
from hamster.geometry.kinematics import Kinematics
from hamster.label import read_episodes
from tests.data.lerobot_files import write_dataset
from tests.geometry.kinematics.robot_files import SIX_JOINTS, write

JOINTS = SIX_JOINTS.replace('name="j', 'name="joint').replace('name="tip"', 'name="gripperframe"')
NAMES = ["gripper.pos", *(f"joint_{i}.pos" for i in (2, 1, 3, 4, 5, 6))]


def positions(frames):
    """Return joint positions (T, 6) of a motion through much of the limits, radians."""
    return np.linspace([-1.5, -1.2, 0.2, -1, -1.4, -2], [1.4, 1.0, 1.9, 1.5, 1.2, 2.5], frames)


def states(scale=1.0):
    def made(frames):
        q, grip = positions(frames) * scale, np.where(np.arange(frames) < frames // 2, 100.0, 2.0)
        return np.c_[grip, q[:, [1, 0, 2, 3, 4, 5]]]

    return made


@pytest.fixture
def robot(tmp_path):
    return write(tmp_path, JOINTS)


def dataset(folder, scale=1.0, names=NAMES, **options):
    return write_dataset(folder / "data", states=states(scale), names=names, lengths=(8, 6), **options)


def test_tool_poses_are_those_of_the_joints_whatever_their_order(tmp_path, robot):
    source = with_tool_poses(LeRobot(dataset(tmp_path)), RobotModel(file=robot, tool="gripperframe"))
    episode, arm = source[0], Kinematics(robot, "gripperframe")
    assert isinstance(episode, Episode)
    np.testing.assert_allclose(episode.tool_poses_world, arm.forward(positions(8)), atol=1e-5)
    observation = episode.observations[3]
    np.testing.assert_allclose(observation.tool_pose_world, episode.tool_poses_world[3])
    assert observation.views["front"].camera is not None
    assert any("forward kinematics of robot.xml" in note for note in episode.provenance.extra["notes"])
    assert LeRobot(tmp_path / "data")[0].tool_poses_world is None


def test_lerobots_motors_in_degrees_and_percent(tmp_path, robot):
    arm = Kinematics(robot, "gripperframe")
    middle, half = (arm.lower + arm.upper) / 2, (arm.upper - arm.lower) / 2
    so101 = RobotModel("so101", robot)
    for scale, unit in ((np.degrees(1), "deg"), (100 / half, "percent")):
        folder = tmp_path / unit
        folder.mkdir()
        source = LeRobot(dataset(folder, scale))
        named = with_tool_poses(source, RobotModel("so101", robot, joint_unit=unit))[0]
        expected = so101.kinematics().forward(positions(8) + middle)
        np.testing.assert_allclose(named.tool_poses_world, expected, atol=1e-4)
        np.testing.assert_allclose(named.gripper, np.where(np.arange(8) < 4, 1.0, 0.02), atol=1e-6)
    with pytest.raises(ValueError, match=r"which fits deg and percent; say --joint-unit rad, deg or percent"):
        with_tool_poses(LeRobot(tmp_path / "percent" / "data"), so101)[0]


def test_commanded_joints_become_actions(tmp_path, robot):
    source = LeRobot(dataset(tmp_path))
    episode = source[0]
    commanded = episode.joints.positions + 0.01
    episode = replace(episode, joints=replace(episode.joints, commanded=commanded))
    model = RobotModel(file=robot, tool="gripperframe")
    actions = tool_poses_from_joints(episode, model).actions
    expected = model.kinematics().forward(positions(8) + 0.01)
    np.testing.assert_allclose(actions[:, :3], expected[:, :3, 3], atol=1e-5)
    np.testing.assert_allclose(matrix_from_quaternion(actions[:, 3:7]), expected[:, :3, :3], atol=1e-5)


def test_poses_that_were_recorded_are_kept(tmp_path, robot):
    source = LeRobot(write_dataset(tmp_path / "data"))
    recorded, kept = source[0], with_tool_poses(source, RobotModel(file=robot, tool="gripperframe"))[0]
    np.testing.assert_array_equal(kept.tool_poses_world, recorded.tool_poses_world)


def test_joints_that_are_not_the_robots_are_refused(tmp_path, robot):
    names = ["gripper.pos", "joint_1.pos", "joint_2.pos", "joint_3.pos", "a", "b", "c"]
    source = with_tool_poses(LeRobot(dataset(tmp_path, names=names)), RobotModel(file=robot, tool="gripperframe"))
    with pytest.raises(ValueError, match=r"has 4 joints \(gripper.pos, .*cannot be told"):
        source[0]
    with pytest.raises(ValueError, match="no body or site 'nothing'"):
        with_tool_poses(LeRobot(tmp_path / "data"), RobotModel(file=robot, tool="nothing"))


def test_the_source_travels_to_workers_and_its_digest_knows_the_robot(tmp_path, robot):
    source = LeRobot(dataset(tmp_path))
    wrapped = pickle.loads(pickle.dumps(with_tool_poses(source, RobotModel(file=robot, tool="gripperframe"))))
    other = with_tool_poses(source, RobotModel(file=robot, tool="b6"))
    assert len(wrapped) == 2 and wrapped.uri == source.uri
    assert len({s.inputs(0).digest() for s in (source, wrapped, other)}) == 3


def test_label_projects_joints(tmp_path, robot):
    folder = dataset(tmp_path)
    options = ["--robot-model", str(robot), "--tool", "gripperframe", "--engine", "inline"]
    assert main(["label", f"lerobot:{folder}", "-o", str(tmp_path / "labels"), *options]) == 0
    labelled = next(iter(read_episodes(tmp_path / "labels")))
    assert labelled.method.name == "projection"
    assert labelled.episode.tool_poses_world is not None
    assert main(["label", f"lerobot:{folder}", "-o", str(tmp_path / "none"), "--tool", "gripperframe"]) == 2
