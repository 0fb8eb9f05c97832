"""The adapters against fake robots with the interfaces of LeRobot and of Robot Control Stack."""

import json
import threading
import time

import numpy as np
import pytest

from hamster.geometry import matrix_from_rotation_vector, pose
from hamster.geometry.keypose_motion import down_pose
from hamster.geometry.kinematics import Kinematics
from hamster.registry import Registry
from hamster.rollout.robots import ROBOTS, RobotError, make_robot
from hamster.rollout.robots.gymnasium import GymnasiumRobot
from hamster.rollout.robots.lerobot import TOOL, LeRobotRobot
from tests.geometry.kinematics.robot_files import write
from tests.rollout.robots.fakes import Forever, wait_for

LENS = [[60.0, 0, 32], [0, 60, 24], [0, 0, 1]]
OFFSET = pose((0.0, 0.0, 0.1), matrix_from_rotation_vector((0, 0, np.pi / 2)))  # flange_from_tool


class Arm:
    """An arm with LeRobot's interface, commanded by the pose of its end effector."""

    def __init__(self, features=TOOL):
        self.action_features = dict.fromkeys(features, float)
        self.observation_features = {**self.action_features, "front": (48, 64, 3), "front_depth": (48, 64, 1)}
        self.state = dict(zip(TOOL, (0.4, 0.1, 0.3, np.pi, 0.0, 0.0, 40.0), strict=True))
        self.sent, self.calls, self.wait = [], [], None

    def connect(self):
        self.calls.append("connect")

    def disconnect(self):
        self.calls.append("disconnect")

    def get_observation(self):
        if self.wait is not None:
            self.wait()
        images = {"front": np.zeros((48, 64, 3), np.uint8), "front_depth": np.full((48, 64, 1), 1500, np.uint16)}
        return {**self.state, **images}

    def send_action(self, action):
        self.sent.append(action)
        self.state.update(action)
        return action


@pytest.fixture
def calibration(tmp_path):
    (tmp_path / "meta").mkdir()
    camera = {"width": 64, "height": 48, "intrinsics": LENS, "world_from_camera": np.eye(4).tolist()}
    sidecar = {"front": camera, "robot": {"recorded_from_tool": OFFSET.tolist()}}
    (tmp_path / "meta" / "cameras.json").write_text(json.dumps(sidecar))
    return tmp_path


def test_an_arm_of_lerobot_is_observed_and_commanded_by_tool_poses(calibration):
    arm = Arm()
    robot = LeRobotRobot(lambda: arm, calibration)
    spec = robot.connect()
    assert spec.cameras == ("front",)
    reading = robot.observe()
    view = reading.observation.views["front"]
    assert view.depth_m[0, 0] == pytest.approx(1.5) and view.camera.width == 64
    assert reading.observation.gripper == pytest.approx(0.4) and reading.captured_s <= time.monotonic()
    flange = pose((0.4, 0.1, 0.3), matrix_from_rotation_vector((np.pi, 0, 0)))
    assert np.allclose(reading.observation.tool_pose_world, flange @ OFFSET)
    target = down_pose((0.5, 0.0, 0.2), 0.7)
    robot.command(target, False)
    assert set(arm.sent[-1]) == set(TOOL) and arm.sent[-1]["ee.gripper_pos"] == 0
    assert np.allclose(robot.observe().observation.tool_pose_world, target), "what is commanded is measured"
    robot.stop()
    assert arm.sent[-1] == pytest.approx({name: float(arm.state[name]) for name in TOOL})
    robot.disconnect()
    robot.disconnect()
    assert arm.calls == ["connect", "disconnect"]
    with pytest.raises(RobotError, match="not connected"):
        robot.command(target, True)


def test_a_stop_does_not_wait_for_a_reading_that_hangs():
    arm = Arm()
    robot = LeRobotRobot(lambda: arm)
    robot.connect()
    robot.observe()
    arm.wait = Forever()
    threading.Thread(target=robot.observe, daemon=True).start()
    wait_for(robot._bus.locked)
    with pytest.raises(RobotError, match="bus is busy"):
        robot.stop()
    arm.wait.end()
    wait_for(lambda: not robot._bus.locked())
    robot.stop()
    assert len(arm.sent) == 1


class Camera:
    """A camera of LeRobot, which may hang."""

    def __init__(self):
        self.wait = None

    def async_read(self):
        if self.wait is not None:
            self.wait()
        return np.full((48, 64, 3), 7, np.uint8)


class JointedArm:
    """An arm with LeRobot's interface, commanded by six joints in degrees, whose cameras are objects of their own."""

    def __init__(self):
        self.joints = [f"j{i}.pos" for i in range(1, 7)]
        self.action_features = dict.fromkeys([*self.joints, "gripper.pos"], float)
        self.observation_features = {**self.action_features, "front": (48, 64, 3)}
        self.state = dict(zip(self.action_features, (10.0, -20.0, 30.0, 5.0, 40.0, -15.0, 80.0), strict=True))
        self.cameras, self.sent, self.calls = {"front": Camera()}, [], []

    def connect(self):
        self.calls.append("connect")

    def disconnect(self):
        self.calls.append(sorted(self.cameras))

    def get_observation(self):
        return {**self.state, **{name: camera.async_read() for name, camera in self.cameras.items()}}

    def send_action(self, action):
        self.sent.append(action)
        self.state.update(action)


@pytest.fixture
def jointed(tmp_path):
    arm = JointedArm()
    options = {"robot_model": str(write(tmp_path)), "tool": "tip", "joint_unit": "deg"}
    return arm, make_robot("lerobot", factory=lambda: arm, **options), Kinematics(tmp_path / "robot.xml", "tip")


def test_an_arm_with_joints_is_commanded_by_tool_poses(jointed):
    arm, robot, kinematics = jointed
    spec = robot.connect()
    assert spec.joint_names == tuple(arm.joints) and np.allclose(np.degrees(spec.joint_limits[0]), [-170, 170])
    with pytest.raises(RobotError, match="no measured position"):
        robot.command(np.eye(4), True)
    reading = robot.observe()
    degrees = [arm.state[name] for name in arm.joints]
    assert np.allclose(np.degrees(reading.joint_positions), degrees)
    start = reading.observation.tool_pose_world
    assert np.allclose(start, kinematics.forward(np.radians(degrees)))
    assert reading.observation.gripper == pytest.approx(0.8) and reading.observation.views["front"].rgb[0, 0, 0] == 7
    for step in range(1, 6):
        target = pose(start[:3, 3] - [0, 0, 0.01 * step], start[:3, :3])
        robot.command(target, False)
    assert np.allclose(robot.observe().observation.tool_pose_world, target, atol=2e-3)
    assert arm.state["gripper.pos"] == 0
    robot.stop()
    assert arm.sent[-1] == arm.sent[-2], "what is measured is held"
    robot.disconnect()
    assert arm.calls == ["connect", ["front"]], "the robot has its cameras back"


def test_what_joints_cannot_do_is_refused(jointed):
    arm, robot, _ = jointed
    robot.connect()
    start = robot.observe().observation.tool_pose_world
    with pytest.raises(RobotError, match=r"does not reach \(5.000, "):
        robot.command(pose((5.0, 0.0, 0.3), start[:3, :3]), True)
    with pytest.raises(RobotError, match=r"inverse kinematics jumps: j\d.pos by"):
        robot.command(start @ pose((0, 0, 0), matrix_from_rotation_vector((0, 0, 1.0))), True)
    assert not arm.sent


def test_a_camera_that_hangs_delays_neither_command_nor_stop(jointed):
    arm, robot, _ = jointed
    robot.connect()
    start = robot.observe().observation.tool_pose_world
    arm.cameras["front"].wait = hanging = Forever()
    threading.Thread(target=robot.observe, daemon=True).start()
    wait_for(lambda: not robot._bus.locked())
    robot.command(start, True)
    robot.stop()
    assert len(arm.sent) == 2
    hanging.end()


def test_joints_are_refused_before_anything_moves_with_the_way_out(tmp_path):
    arm = Arm(("shoulder_pan.pos", "gripper.pos"))
    with pytest.raises(ValueError, match=r"joints \(shoulder_pan.pos\).*--options robot=so101 joint_unit=percent"):
        LeRobotRobot(lambda: arm).connect()
    file = write(tmp_path)
    with pytest.raises(ValueError, match="joint_unit is needed, one of rad, deg, percent"):
        LeRobotRobot(lambda: JointedArm(), robot_model=file, tool="tip").connect()
    with pytest.raises(ValueError, match=r"has 1 joints .* cannot be told"):
        LeRobotRobot(lambda: arm, robot_model=file, tool="tip", joint_unit="deg").connect()
    assert arm.calls == []
    with pytest.raises(ValueError, match=r"action_features lack ee.gripper_pos"):
        LeRobotRobot(lambda: Arm(TOOL[:-1])).connect()


@pytest.mark.parametrize(
    ("factory", "reason"),
    [("nowhere", 'must be "module:function"'), ("no_such_module:f", "cannot be imported"), ("math:pi", "no function")],
)
def test_a_factory_that_leads_nowhere_is_an_error(factory, reason):
    with pytest.raises(ValueError, match=reason):
        make_robot("lerobot", factory=factory)


def test_an_image_of_another_size_than_the_calibration_is_an_error(calibration):
    arm = Arm()
    arm.get_observation = lambda: {**arm.state, "front": np.zeros((24, 32, 3), np.uint8)}
    robot = LeRobotRobot(lambda: arm, calibration)
    robot.connect()
    with pytest.raises(RobotError, match="calibrated for 64 x 48 pixels; its images are 32 x 24"):
        robot.observe()
    with pytest.raises(ValueError, match="there is no"):
        LeRobotRobot(lambda: arm, calibration / "elsewhere").connect()


class ControlStack:
    """An environment with the dictionaries of Robot Control Stack."""

    def __init__(self):
        self.tquat, self.gripper, self.actions = np.array([0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0]), 1.0, []
        self.fails, self.closed = False, False

    def observation(self):
        frames = {"rgb": {"data": np.zeros((48, 64, 3), np.uint8)}, "depth": {"data": np.ones((48, 64, 1), np.uint16)}}
        return {"tquat": self.tquat.copy(), "gripper": np.array([self.gripper]), "frames": {"front": frames},
                "joints": np.zeros(7)}  # fmt: skip

    def reset(self):
        return self.observation(), {}

    def step(self, action):
        if self.fails:
            raise OSError("the arm reports a reflex")
        self.actions.append(action)
        self.tquat, self.gripper = np.array(action["tquat"]), float(action["gripper"][0])
        return self.observation(), 0.0, False, False, {}

    def close(self):
        self.closed = True


def test_an_environment_of_the_control_stack_is_stepped_with_the_last_target():
    env = ControlStack()
    robot = GymnasiumRobot(lambda: env, control_hz=100)
    spec = robot.connect()
    assert spec.cameras == ("front",) and len(spec.joint_names) == 7
    first = robot.observe()
    assert first.observation.views["front"].depth_m[0, 0] == pytest.approx(0.001)
    target = down_pose((0.5, 0.1, 0.2), 0.3)
    robot.command(target, False)
    wait_for(lambda: np.allclose(robot.observe().observation.tool_pose_world, target))
    assert robot.observe().observation.gripper == 0
    robot.stop()
    n_actions = len(env.actions)
    wait_for(lambda: len(env.actions) > n_actions + 2)
    assert np.allclose(env.actions[-1]["tquat"], env.actions[n_actions]["tquat"])
    assert robot.observe().captured_s > first.captured_s
    robot.disconnect()
    assert env.closed


def test_a_stop_is_not_confirmed_while_a_step_hangs():
    env, hanging = ControlStack(), Forever()
    robot = GymnasiumRobot(lambda: env, control_hz=100)
    with pytest.raises(RobotError, match="not connected"):
        robot.stop()
    robot.connect()
    step = env.step
    env.step = lambda action: hanging() or step(action)
    with pytest.raises(RobotError, match="may still be moving"):
        robot.stop()
    hanging.end()
    robot.stop()
    robot.disconnect()


def test_a_stop_without_a_finite_measurement_holds_the_last_target():
    env = ControlStack()
    robot = GymnasiumRobot(lambda: env, control_hz=100)
    robot.connect()
    target = down_pose((0.5, 0.1, 0.2), 0.3)
    robot.command(target, False)
    wait_for(lambda: np.allclose(robot.observe().observation.tool_pose_world, target))
    observation = env.observation
    env.observation = lambda: {**observation(), "tquat": np.full(7, np.nan)}
    wait_for(lambda: not np.isfinite(robot.observe().observation.tool_pose_world).all())
    robot.stop()
    assert np.allclose(env.actions[-1]["tquat"][:3], target[:3, 3])
    robot.disconnect()
    env = ControlStack()
    env.tquat[0] = np.nan
    with pytest.raises(ValueError, match="no finite tool pose"):
        GymnasiumRobot(lambda: env).connect()


def test_an_environment_that_fails_says_so():
    env = ControlStack()
    robot = GymnasiumRobot(lambda: env, control_hz=100)
    robot.connect()
    env.fails = True
    wait_for(lambda: robot._error is not None)
    for call in (robot.observe, robot.stop):
        with pytest.raises(RobotError, match="the arm reports a reflex"):
            call()
    robot.disconnect()


def test_robots_are_registered_by_name():
    assert isinstance(ROBOTS, Registry) and {"sim-remote", "lerobot", "gymnasium"} <= set(ROBOTS.names())
    with pytest.raises(ValueError, match="Did you mean 'lerobot'"):
        make_robot("lerobott")
    with pytest.raises(ValueError, match=r"cannot be made with .*nonsense"):
        make_robot("gymnasium", nonsense=1)
