"""No command that reaches a robot violates a bound, whatever is sent."""

import numpy as np
import pytest

from hamster.geometry import matrix_from_quaternion, matrix_from_rotation_vector
from hamster.geometry.motion import angle_between
from hamster.rollout import SafetyFilter, UnsafeActionError
from hamster.rollout.robots.gate import CommandGate, StoppedError
from hamster.rollout.robots.watchdog import Watchdog
from tests.rollout.robots.fakes import START, Clock, PointRobot

PERIOD_S = 0.05
BOUNDS = SafetyFilter(max_speed_m_s=0.4, max_angular_speed_rad_s=2.0, max_acceleration_m_s2=4.0,
                      max_angular_acceleration_rad_s2=30.0, max_step_m=0.08)  # fmt: skip
N_COMMANDS = 10_000


class NoWatchdog(Watchdog):
    """Trips as the real one does, without a thread."""

    def __init__(self, *args, **options):
        super().__init__(*args, **options)
        self.trips = []

    def trip(self, reason):
        self.trips.append(reason)
        super().trip(reason)
        self._is_stopped.set()


def gate_of(robot, clock, **options):
    watchdog = NoWatchdog(robot.stop, 0.1, clock=clock)
    return CommandGate(robot, robot.connect(), BOUNDS, watchdog, PERIOD_S, clock=clock, **options)


def wild_command(rng, pose, velocity):
    """A command as a driver, a network or a bug may produce it: mostly near the bounds, at times absurd."""
    kind = rng.integers(0, 14)
    command = pose.copy()
    step_m = velocity * PERIOD_S + rng.normal(size=3) * rng.choice([1e-3, 4e-3, 1.2e-2])
    command[:3, 3] += step_m
    command[:3, :3] = matrix_from_rotation_vector(rng.normal(size=3) * rng.choice([1e-3, 0.02, 0.1])) @ pose[:3, :3]
    if kind == 0:
        command[rng.integers(0, 4), rng.integers(0, 4)] = rng.choice([np.nan, np.inf, -np.inf, 1e300, -1e9])
    elif kind == 1:
        command[:3, 3] = rng.uniform(-2, 2, 3)
    elif kind == 2:
        quaternion = rng.normal(size=4)
        command[:3, :3] = matrix_from_quaternion(quaternion)
    elif kind == 3:
        command[:3, :3] *= rng.choice([-1.0, 0.0, 1.01, 3.0])
    gripper = rng.choice([True, False]) if kind != 4 else rng.choice([np.nan, 2.0, -1.0])
    return command, gripper


def test_ten_thousand_commands_never_violate_a_bound():
    rng, clock = np.random.default_rng(0), Clock()
    robot = PointRobot(clock=clock, joint_limits=np.array([[-1.0, 1.0], [-1.0, 1.0]]))
    gate = gate_of(robot, clock)
    checked, refused = 0, 0
    previous, velocity = START, np.zeros(3)
    last_step_m, at_rest = np.zeros(3), True
    for _ in range(N_COMMANDS):
        clock.now_s += PERIOD_S * rng.choice([0.5, 0.95, 1.0, 1.0, 1.0, 2.0])
        newest = robot.observe()
        age_s = rng.choice([0.0, 0.1, 0.29, 0.31, 5.0, -0.5], p=[0.5, 0.3, 0.14, 0.02, 0.02, 0.02])
        joints = np.array([rng.choice([0.0, 0.94, 0.96, np.nan], p=[0.9, 0.06, 0.02, 0.02]), 0.0])
        newest = type(newest)(newest.observation, clock.now_s - age_s, joints)
        command, gripper = wild_command(rng, robot.pose, velocity)
        n_before, before_s = len(robot.commands), robot.commands[-1][0] if robot.commands and not at_rest else -np.inf
        try:
            gate.send(command, gripper, newest)
        except UnsafeActionError:
            refused += 1
            assert len(robot.commands) == n_before, "what is refused is not sent"
            with pytest.raises(StoppedError):
                gate.send(robot.pose, True, newest)
            gate.reset()
            previous, velocity, last_step_m, at_rest = robot.pose, np.zeros(3), np.zeros(3), True
            continue
        checked += 1
        now_s, pose, _ = robot.commands[-1]
        step_s = min(now_s - before_s, PERIOD_S)
        assert np.isfinite(pose).all() and np.allclose(pose[:3, :3] @ pose[:3, :3].T, np.eye(3), atol=2e-3)
        assert (pose[:3, 3] >= BOUNDS.workspace_low_m).all() and (pose[:3, 3] <= BOUNDS.workspace_high_m).all()
        assert -0.011 <= age_s <= BOUNDS.max_age_s and joints[0] <= 1 - BOUNDS.joint_margin
        new_velocity = (pose[:3, 3] - previous[:3, 3]) / step_s
        assert step_s >= 0.9 * PERIOD_S
        change = pose[:3, 3] - previous[:3, 3] - last_step_m
        assert np.linalg.norm(change) / step_s**2 <= BOUNDS.max_acceleration_m_s2 * (1 + 1e-5)
        last_step_m = pose[:3, 3] - previous[:3, 3]
        assert np.linalg.norm(new_velocity) <= BOUNDS.max_speed_m_s * (1 + 1e-9)
        assert angle_between(previous[:3, :3], pose[:3, :3]) / step_s <= BOUNDS.max_angular_speed_rad_s + 0.05
        assert np.linalg.norm(pose[:3, 3] - newest.observation.tool_pose_world[:3, 3]) <= BOUNDS.max_step_m
        previous, velocity, at_rest = pose, new_velocity, False
    assert checked > 2000 and refused > 2000, "both ways are tried often"


def test_acceleration_is_bounded_from_rest_and_in_motion():
    clock = Clock()
    robot = PointRobot(clock=clock)
    gate = gate_of(robot, clock)
    most_m = BOUNDS.max_acceleration_m_s2 * PERIOD_S**2
    pose = START.copy()
    for k in (1, 2):  # twice the step: the same acceleration
        clock.now_s += PERIOD_S
        pose[0, 3] += k * most_m * 0.99
        gate.send(pose, True, robot.observe())
    clock.now_s += PERIOD_S
    with pytest.raises(UnsafeActionError, match="accelerate at"):
        gate.send(pose, True, robot.observe())  # it would stop dead


def test_a_stopped_robot_takes_no_command_until_it_is_reset():
    clock = Clock()
    robot = PointRobot(clock=clock)
    gate = gate_of(robot, clock)
    gate.stop("the operator said so")
    clock.now_s += PERIOD_S
    with pytest.raises(StoppedError, match="the operator said so"):
        gate.send(START, True, robot.observe())
    gate.reset()
    gate.send(START, True, robot.observe())
    assert len(robot.commands) == 1


def test_a_command_that_was_overtaken_by_a_stop_is_followed_by_another_stop():
    clock = Clock()
    robot = PointRobot(clock=clock)
    gate = gate_of(robot, clock)
    robot.in_command = lambda: gate.stop("meanwhile")
    with pytest.raises(StoppedError, match="meanwhile"):
        gate.send(START, True, robot.observe())
    assert gate._watchdog.trips == ["meanwhile", "meanwhile"], "once before the command was taken, and once after"


def test_a_dry_run_checks_and_sends_nothing():
    clock = Clock()
    robot = PointRobot(clock=clock)
    gate = gate_of(robot, clock, dry_run=True)
    gate.send(START, True, robot.observe())
    assert gate.n_commands == 1 and robot.commands == []
    clock.now_s += PERIOD_S
    with pytest.raises(UnsafeActionError, match="outside the workspace"):
        gate.send(np.eye(4), True, robot.observe())
