"""The tabletop as a remote robot: its faults, its process, and whole runs on it."""

from __future__ import annotations

import shutil
import time
from multiprocessing import Pipe

import numpy as np
import pytest
from hamster_client import RequestError
from hamster_client.wire import pack, unpack

from hamster.geometry.keypose_motion import down_pose
from hamster.rollout import SafetyFilter, UnsafeActionError
from hamster.rollout.robots import RobotError, RobotLoop, RobotLoopConfig, make_robot
from hamster.rollout.robots.sim_faults import Faults
from hamster.rollout.robots.sim_server import MAX_COMMAND_BYTES, SimulatedRobot, serve_commands
from tests.rollout.fakes import FakePolicy

PATIENT = RobotLoopConfig(
    control_hz=20, command_timeout_s=1.0, hold_age_s=1.5, duration_s=60, safety_filter=SafetyFilter(max_age_s=3.0)
)  # of a machine that does other things as well


@pytest.fixture(scope="module")
def simulated():
    return SimulatedRobot("pick_place", 3, 32, Faults())


@pytest.mark.parametrize(
    ("fault", "shows"),
    [
        ("nan_after_s", lambda before, after: np.isnan(after["pose"]).all()),
        ("silent_after_s", lambda before, after: after is None),
        ("frozen_after_s", lambda before, after: np.array_equal(before["front"]["rgb"], after["front"]["rgb"])),
    ],
)
def test_a_fault_begins_at_its_time(simulated, fault, shows):
    simulated.start_time()
    simulated.faults = Faults(**{fault: 3600.0})
    assert not np.isnan(simulated._observation(1)["pose"]).any()
    simulated.faults = Faults(**{fault: 0.0})
    before = simulated._observation(2)
    simulated._env.world.step(down_pose((0.55, 0.2, 0.3), 1.0), 0.0)
    assert shows(before, simulated._observation(3))


def test_drops_and_delays_come_from_the_seed():
    faults = Faults(latency_s=0.1, jitter_s=0.05, drop=0.3, seed=1)
    delays = [faults.delay_s(np.random.default_rng(k)) for k in range(200)]
    assert min(delays) >= 0 and 0.08 < np.mean(delays) < 0.12
    for options in ({"drop": 1.0}, {"latency_s": -1.0}, {"jitter_s": float("nan")}):
        with pytest.raises(ValueError, match=next(iter(options))):
            Faults(**options)
    with pytest.raises(ValueError, match="no option 'lag'; there are family, seed"):
        make_robot("sim-remote", lag=1)


def test_the_robot_holds_by_itself_when_commands_stop_coming(simulated):
    start = simulated._hold[0]
    simulated.command(down_pose((0.5, 0.0, 0.2), 0.0), True)
    simulated._commanded_s -= 1.0
    simulated._step()
    assert np.array_equal(simulated._hold[0], start)
    simulated.command(start, True)
    simulated._step()
    simulated.command(down_pose((0.5, 0.0, 0.2), 0.0), True)
    simulated.stop()
    simulated._step()
    assert np.array_equal(simulated._hold[0], start)


@pytest.mark.parametrize(
    ("message", "error"),
    [
        (pack({"pose": np.full((4, 4), np.nan), "gripper_open": True}), UnsafeActionError),
        (pack({"gripper_open": True}), KeyError),
        (pack([1, 2]), AttributeError),
        (b"\xc1", RequestError),
        (b"x" * (MAX_COMMAND_BYTES + 1), OSError),
    ],
)
def test_what_is_no_command_ends_the_connection(simulated, message, error):
    ours, theirs = Pipe()
    ours.send_bytes(message)
    with pytest.raises(error):
        serve_commands(simulated, theirs)


def test_a_stop_is_answered(simulated):
    ours, theirs = Pipe()
    ours.send_bytes(pack({"stop": True}))
    ours.close()
    with pytest.raises((EOFError, OSError)):
        serve_commands(simulated, theirs)  # the answer finds nobody


def test_no_process_is_left_behind_where_the_connection_fails(monkeypatch):
    monkeypatch.setattr("sys.executable", shutil.which("echo"))  # answers with no port
    robot = make_robot("sim-remote")
    with pytest.raises((ValueError, OSError)):
        robot.connect()
    assert robot._process is None


@pytest.mark.slow
def test_a_run_over_a_bad_connection_gets_there_and_a_process_that_dies_stops_the_run():
    robot = make_robot("sim-remote", seed=3, image_size=32, latency_s=0.02, jitter_s=0.01, drop=0.05)
    goal = (0.5, 0.0, 0.25)
    loop = RobotLoop(robot, None, FakePolicy(targets=(goal,) * 3), PATIENT)
    assert "mug" in loop.instruction and len(loop.spec.joint_names) == 7

    near = []

    class UntilThere:
        def record(self, step):
            if np.linalg.norm(step.newest.observation.tool_pose_world[:3, 3] - goal) < 0.01:
                near.append(step)
                robot._process.kill()  # then the power fails

    loop.recorders = (UntilThere(),)
    start_s = time.monotonic()
    run = loop.run()
    assert near and run.outcome == "stopped" and "connection to the simulated robot is lost" in run.reason
    assert time.monotonic() - start_s < 60
    with pytest.raises(RobotError, match="not connected"):
        robot.stop()


def test_messages_hold_what_the_loop_needs(simulated):
    answer = unpack(pack(simulated._observation(7) or simulated._observation(8)))
    assert answer["front"]["rgb"].shape == (32, 32, 3) and answer["front"]["depth_m"].dtype == np.float32
    assert len(answer["joints"]) == len(simulated.description["joint_limits"]) == 7
