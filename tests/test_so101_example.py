"""The simulated SO-101 of examples/so101_afternoon: recorded, calibrated, projected, and moved by the loop."""

import sys
from dataclasses import replace
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import hamster
from hamster.data.joint_source import RobotModel, with_tool_poses
from hamster.data.lerobot import LeRobot
from hamster.geometry.kinematics import robot_preset
from hamster.label.calibrate import CalibrationOptions, calibrate
from hamster.rollout.robots import MotionLimits, RobotLoop, RobotLoopConfig
from hamster.rollout.robots.config import ROBOT_BOUNDS

pytestmark = pytest.mark.slow
FOLDER = Path(__file__).parents[1] / "examples" / "so101_afternoon"
WAIT_S = 60.0  # the arm moves by the command and not by the clock
try:
    robot_preset("so101").find_file()
except ValueError as error:
    pytest.skip(str(error), allow_module_level=True)
sys.path.insert(0, str(FOLDER))
record, so101_sim = import_module("record"), import_module("so101_sim")


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    """A folder with two demonstrations and a short tour with a marker."""
    out = tmp_path_factory.mktemp("so101")
    record.main(str(out), 2, 40)
    return out


def model():
    return RobotModel("so101", tool_offset_m=so101_sim.TOOL_OFFSET, joint_unit="percent")


def test_urdf_and_mjcf_say_the_same_of_the_tip():
    arm, rng = so101_sim.SimulatedSO101(), np.random.default_rng(0)
    for _ in range(5):
        joints = rng.uniform(arm.arm.lower, arm.arm.upper)
        arm.data.qpos[arm._addresses[:5]] = joints
        so101_sim.mujoco.mj_kinematics(arm.model, arm.data)
        np.testing.assert_allclose(arm.arm.forward(joints)[:3, 3], arm.true_tip_m, atol=1e-3)
        values = arm.motor_values(np.array([*joints, 0.5]))
        np.testing.assert_allclose(arm.joint_values(values), [*joints, 0.5], atol=1e-9)


def test_the_marker_calibrates_the_camera_and_joints_project_onto_the_gripper(recorded):
    source = with_tool_poses(LeRobot(recorded / "calibration"), model())
    options = CalibrationOptions("marker", fit_focal=True, fit_offset=True, marker="4x4_50")
    fit = calibrate(source, "front", options, episodes=1).fit
    true = so101_sim.SimulatedSO101().true_camera()
    corners = np.stack(np.meshgrid([0.12, 0.30], [-0.2, 0.2], [0.0, 0.15]), -1).reshape(-1, 3)
    apart_px = np.linalg.norm(true.project(corners)[0] - fit.camera.project(corners)[0], axis=1)
    assert apart_px.max() < 0.01 * so101_sim.WIDTH
    episode = with_tool_poses(LeRobot(recorded / "demos"), model())[1]
    begin, middle, end = episode.tool_poses_world[[0, len(episode.tool_poses_world) // 2, -1], 2, 3]
    assert middle < 0.03 < end < begin, "down to the block, and up with it"
    assert episode.gripper[0] == pytest.approx(1, abs=0.01) and episode.gripper[-1] < 0.5
    assert episode.observations[0].views["front"].depth_m is not None


class Expert:
    """Knows where the block is."""

    def __init__(self, robot):
        self._robot = robot

    def reset(self):
        pass

    def act(self, observation, path, instruction=""):
        block = self._robot.simulated.block_m
        azimuth = np.arctan2(block[1], block[0])
        heights = (record.ABOVE_M, 0.0, 0.0, record.LIFT_M)
        poses = np.stack([so101_sim.tool_pose(azimuth, block + np.array([0, 0, height])) for height in heights])
        return hamster.ActionChunk(poses, np.array([True, True, False, False]))


def test_the_loop_lifts_the_block_through_the_adapter_of_lerobots_robots():
    robot = so101_sim.SimulatedRobot(seed=3)
    bounds = replace(ROBOT_BOUNDS, workspace_low_m=(0.08, -0.3, -0.01), workspace_high_m=(0.4, 0.3, 0.35))
    config = RobotLoopConfig(
        command_timeout_s=WAIT_S, hold_age_s=WAIT_S / 2, policy_timeout_s=WAIT_S, first_observation_s=WAIT_S,
        max_action_age_s=WAIT_S, duration_s=2 * WAIT_S, limits=MotionLimits(speed_m_s=0.1),
        safety_filter=replace(bounds, max_age_s=WAIT_S),
    )  # fmt: skip
    run = RobotLoop(robot, None, Expert(robot), config).run()
    assert run.outcome == "done" and robot.simulated.is_lifted, run.reason
