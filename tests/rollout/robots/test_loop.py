"""The loop on a robot under faults: it stops in time, nothing hangs, and the log tells what happened."""

import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from hamster.geometry.keypose_motion import down_pose
from hamster.path import NotInViewError, PlanError
from hamster.rollout import SafetyFilter
from hamster.rollout.robots import EventLog, RobotLoop, RobotLoopConfig
from tests.rollout.fakes import FakeMotion, FakePlan, FakePlanner, FakePolicy
from tests.rollout.robots.fakes import START, Clock, Forever, PointRobot, wait_for

GOAL = (0.5, 0.1, 0.2)


def stepped(robot, policy=None, planner=None, **options):
    """A loop that a test steps by `turn`: no thread but those of planner and policy, and a clock of its own."""
    return RobotLoop(robot, planner, policy or FakePolicy(targets=(GOAL, GOAL)), clock=robot.clock, **options)


def turn(loop, n_steps=1, observe=True):
    """Turn the clock by control periods, with an observation in each."""
    for _ in range(n_steps):
        loop._clock.now_s += loop.config.period_s
        if observe:
            loop.observer.read_once()
        loop.step()
        wait_for(lambda: not loop._worker.is_running)  # the policy is fast: its answer comes within the period
        if loop._planner is not None:
            wait_for(lambda: not loop._planner._worker.is_running)


def events(loop, name):
    return [event for event in loop.log.events if event["event"] == name]


def moving(clock=None, **options):
    robot = PointRobot(clock=clock or Clock())
    loop = stepped(robot, **options)
    turn(loop, 6)
    assert len(robot.commands) >= 3 and loop.gate.reason is None
    return robot, loop


def test_the_robot_gets_where_the_policy_wants_it():
    robot, loop = moving(planner=FakePlanner())
    turn(loop, 90)
    assert loop.gate.reason is None and np.allclose(robot.pose[:3, 3], GOAL, atol=1e-3)
    assert [event["number"] for event in events(loop, "path")] == [0]
    assert {command[2] for command in robot.commands} == {True, False}
    times = np.array([command[0] for command in robot.commands])
    assert np.diff(times).max() <= loop.config.command_timeout_s, "commands come while planner and policy compute"


def test_lost_observations_hold_the_setpoint_and_then_stop_the_robot():
    robot, loop = moving()
    turn(loop, 8)
    last_s = loop._clock.now_s
    turn(loop, 5, observe=False)
    assert loop.gate.reason is None, "0.25 s without an observation: it only comes to rest"
    steps_m = np.linalg.norm(np.diff([command[1][:3, 3] for command in robot.commands[-5:]], axis=0), axis=1)
    assert steps_m[-1] < steps_m[0]
    turn(loop, 2, observe=False)
    assert "s old, more than 0.3 s" in loop.gate.reason
    assert robot.commands[-1][0] - last_s <= 0.3
    n_commands = len(robot.commands)
    turn(loop, 5)
    assert len(robot.commands) == n_commands, "observations that come back move nothing before a reset"


def test_an_observation_that_comes_back_in_time_lets_the_motion_go_on():
    robot, loop = moving()
    turn(loop, 4, observe=False)
    turn(loop, 80)
    assert loop.gate.reason is None and np.allclose(robot.pose[:3, 3], GOAL, atol=1e-3)


FAULTS = {
    "frozen camera": (lambda reading: reading, "frozen: the same image while the tool moved"),
    "not a number": (
        lambda reading: replace(reading, observation=replace(reading.observation, tool_pose_world=START * np.nan)),
        "not a finite, rigid",
    ),
    "no pose": (
        lambda reading: replace(reading, observation=replace(reading.observation, tool_pose_world=None)),
        "tool pose",
    ),
    "no image": (
        lambda reading: replace(reading, observation=replace(reading.observation, views={})),
        "'front' has no image",
    ),
    "an old packet": (lambda reading: replace(reading, captured_s=99.0), "has not advanced"),
    "a packet without a time": (lambda reading: replace(reading, captured_s=float("nan")), "captured_s is not finite"),
    "another thing": (lambda reading: None, "returned a NoneType"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_observation_is_as_good_as_none(fault):
    change, reason = FAULTS[fault]
    robot, loop = moving()
    turn(loop, 8)
    robot.change, robot.frozen = change, fault == "frozen camera"
    start_s = loop._clock.now_s
    turn(loop, 20)
    assert "s old, more than 0.3 s" in loop.gate.reason
    assert reason in events(loop, "observation_refused")[0]["reason"]
    if fault != "frozen camera":  # which takes a centimetre to notice
        assert robot.commands[-1][0] - start_s <= 0.3


@pytest.mark.parametrize(("jump_s", "reason"), [(-60.0, "ahead of the clock, which stepped back"), (60.0, "s old")])
def test_a_clock_that_jumps_stops_the_robot(jump_s, reason):
    robot, loop = moving()
    n_commands = len(robot.commands)
    loop._clock.now_s += jump_s
    turn(loop, 1, observe=False)
    assert reason in loop.gate.reason and len(robot.commands) == n_commands


def test_the_loop_does_not_sleep_until_a_clock_that_stepped_back_has_caught_up():
    offset_s = [0.0]
    robot = PointRobot()
    loop = threaded(robot, clock=lambda: time.monotonic() + offset_s[0])
    threading.Timer(0.5, lambda: offset_s.__setitem__(0, -3600.0)).start()
    run = loop.run()
    assert run.outcome == "stopped" and "stepped back" in run.reason and run.stop_confirmed


class Failing:
    """A policy that acts once and then fails."""

    def __init__(self, failure):
        self.failure, self.n_actions = failure, 0

    def reset(self):
        pass

    def act(self, observation, path, instruction):
        self.n_actions += 1
        if self.n_actions == 1:
            return FakeMotion(down_pose((0.41, 0.0, 0.3), 0.0)[None], np.array([True]))
        return self.failure()


def raising(error):
    def fail():
        raise error

    return fail


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (raising(ConnectionResetError("the server was killed")), "ConnectionResetError: the server was killed"),
        (lambda: FakeMotion(np.full((1, 4, 4), np.nan), np.ones(1)), "action refused: pose 0: a number is not finite"),
        (lambda: FakeMotion(down_pose((2, 0, 0.3), 0.0)[None], np.ones(1)), "outside the workspace"),
        (lambda: FakeMotion(START[None], np.ones(1), float("nan")), "step_s must be finite and > 0, got nan"),
        (lambda: FakeMotion(START[None], np.ones(1), 0), "step_s must be finite and > 0, got 0"),
        (lambda: FakeMotion(START[None], np.ones(1), "fast"), "step_s must be finite and > 0, got 'fast'"),
        (lambda: None, "act() of Failing returned a NoneType"),
    ],
)
def test_a_policy_that_fails_stops_the_robot(failure, reason):
    robot = PointRobot(clock=Clock())
    loop = stepped(robot, Failing(failure))
    turn(loop, 60)
    assert reason in loop.gate.reason and reason in events(loop, "stop")[0]["reason"]


def test_joints_that_are_no_longer_reported_are_a_fault_for_their_limits_would_go_unchecked():
    robot = PointRobot(clock=Clock(), joint_limits=[[-1, 1], [-1, 1]])
    loop = stepped(robot)
    turn(loop, 6)
    robot.change = lambda reading: replace(reading, joint_positions=None)
    turn(loop, 8)
    assert "the positions of 2 joints are missing" in events(loop, "observation_refused")[0]["reason"]
    assert "s old" in loop.gate.reason


def test_a_planner_that_fails_at_first_stops_and_later_keeps_the_path():
    robot = PointRobot(clock=Clock())
    loop = stepped(robot, planner=FakePlanner(fails=(0,)))
    turn(loop, 5)
    assert "no path to follow: PlanError" in loop.gate.reason and robot.commands == []
    assert events(loop, "plan_failed")[0]["raw_text"] == "<ans>[(0.1,"
    config = RobotLoopConfig(replan_s=0.2)
    loop = stepped(robot, planner=FakePlanner(fails=(1, 3), error=NotInViewError), config=config)
    turn(loop, 30)
    assert loop.gate.reason is None and len(events(loop, "plan_failed")) == 2 and len(events(loop, "path")) >= 3
    loop = stepped(robot, planner=FakePlanner(fails=tuple(range(1, 9)), error=PlanError), config=config)
    turn(loop, 60)
    assert "no path to follow" in loop.gate.reason, "no path is kept for ever"


def test_a_new_path_replaces_the_action():
    robot = PointRobot(clock=Clock())
    policy = FakePolicy(targets=(GOAL,) * 9)
    loop = stepped(robot, policy, FakePlanner(), config=RobotLoopConfig(replan_s=0.3))
    turn(loop, 20)
    paths = [path for _, path, _ in policy.seen]
    assert len({id(path) for path in paths}) == len(paths) >= 3


def test_what_the_operator_does_not_confirm_is_not_executed():
    answers = iter([False, True])
    robot = PointRobot(clock=Clock())
    loop = stepped(robot, confirm=lambda action: next(answers, False))
    turn(loop, 2)
    assert robot.commands == [] and len(events(loop, "refused_by_operator")) == 1
    turn(loop, 5)
    assert len(robot.commands) >= 2


def test_the_operators_time_never_counts_as_the_policys():
    logged, go_on = threading.Event(), Forever()

    def show(line):
        if "confirmed" in line:  # the operator has answered, and the policy's thread has not finished yet
            logged.set()
            go_on()

    robot = PointRobot(clock=Clock())
    config = RobotLoopConfig(policy_timeout_s=0.2)
    loop = stepped(robot, config=config, confirm=lambda action: True, log=EventLog(clock=robot.clock, show=show))
    for _ in range(10):
        robot.clock.now_s += config.period_s
        loop.observer.read_once()
        loop.step()
        assert logged.wait(10)
    assert loop.gate.reason is None
    go_on.end()


def test_a_dry_run_moves_nothing():
    robot = PointRobot(clock=Clock())
    loop = stepped(robot, config=RobotLoopConfig(dry_run=True))
    turn(loop, 90)
    assert (
        len(events(loop, "action")) >= 2
        and loop.gate.n_commands > 60
        and robot.commands == []
        and robot.stops == []
        and loop.gate.reason is None
    )


CONFIG = RobotLoopConfig(control_hz=20, duration_s=20.0, command_timeout_s=0.4, safety_filter=SafetyFilter(max_age_s=2))


def threaded(robot, policy=None, planner=None, config=CONFIG, **options):
    return RobotLoop(robot, planner, policy or FakePolicy(targets=(GOAL, GOAL)), config, **options)


def test_a_slow_planner_holds_up_no_command():
    class Slow(FakePlanner):
        def plan(self, image, instruction):
            time.sleep(0.5 if self.seen else 0.0)
            return super().plan(image, instruction)

    robot = PointRobot()
    loop = threaded(robot, planner=Slow(), config=replace(CONFIG, replan_s=0.01, duration_s=1.5))
    run = loop.run()
    assert run.outcome == "time_limit" and run.stop_confirmed and len(run.planner_s) >= 2, loop.log.events
    assert np.median(run.intervals_s) < 0.4 and run.intervals_s.min() > 0.9 * 0.05  # the planner takes 0.5 s


@pytest.mark.parametrize("where", ["observe", "command", "policy", "planner", "stop"])
def test_nothing_hangs_where_something_blocks_for_ever(where):
    forever = Forever()
    robot = PointRobot()
    policy = Failing(forever) if where == "policy" else None
    planner = FakePlanner()
    config = replace(CONFIG, policy_timeout_s=0.3, planner_timeout_s=0.3, duration_s=1.0 if where == "stop" else 20.0)
    if where == "planner":
        planner.plan = lambda image, instruction: forever()
    loop = threaded(robot, policy, planner, config)
    if where == "observe":
        robot.change = lambda reading: forever() if robot.n_frames > 30 else reading
    elif where == "command":
        robot.in_command = lambda: forever() if len(robot.commands) > 3 else None
    elif where == "stop":
        robot.in_stop = forever
    start_s = time.monotonic()
    run = loop.run()
    assert time.monotonic() - start_s < 15
    assert run.stop_confirmed == (where not in ("stop", "command")) and robot.stops
    reasons = {
        "observe": "s old", "command": "no valid command for", "policy": "the policy has not answered for 0.3 s",
        "planner": "the planner has not answered for 0.3 s", "stop": "",
    }  # fmt: skip
    assert reasons[where] in run.reason
    assert loop.log.events[-1]["event"] == "end" and robot.calls == ["connect", "disconnect"]
    if not run.stop_confirmed:
        assert any("emergency stop" in event.get("reason", "") for event in loop.log.events)
    forever.end()


def test_a_command_that_returns_after_the_end_is_followed_by_another_stop():
    hanging = Forever()
    robot = PointRobot()
    robot.in_command = lambda: hanging() if len(robot.commands) == 3 else None
    run = threaded(robot).run()
    assert run.outcome == "stopped" and not run.stop_confirmed, "the robot may still take the command"
    n_stops = len(robot.stops)
    hanging.end()
    wait_for(lambda: len(robot.stops) > n_stops)
    assert len(robot.commands) == 4 and robot.stops[-1] >= robot.commands[-1][0]


class NoPath(FakePlanner):
    def plan(self, image, instruction):
        return FakePlan(("no path",))


class NoPlan(FakePlanner):
    def plan(self, image, instruction):
        return [(0.1, 0.2)]


class FullDisk:
    def record(self, step):
        raise OSError("no space left on device")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"planner": NoPath()}, "no path to follow: AttributeError: "),
        ({"planner": NoPlan()}, "no path to follow: ValueError: plan() of NoPlan returned a list; return hamster.Plan"),
        ({"recorders": (FullDisk(),)}, "the control loop failed: OSError: no space left on device"),
    ],
)
def test_an_error_that_the_loop_did_not_expect_stops_the_robot_with_its_reason(options, reason):
    robot = PointRobot()
    run = threaded(robot, **options).run()
    assert run.outcome == "stopped" and run.stop_confirmed and robot.stops
    assert run.reason.startswith(reason)


def test_a_policy_that_cannot_be_reset_leaves_no_connection():
    class Broken(FakePolicy):
        def reset(self):
            raise ConnectionError("no server")

    robot = PointRobot()
    with pytest.raises(ConnectionError):
        threaded(robot, Broken())
    assert robot.calls == []


def test_a_robot_whose_observe_raises_is_stopped():
    robot = PointRobot()
    robot.change = lambda reading: reading if robot.n_frames < 30 else 1 / 0
    run = threaded(robot).run()
    assert run.outcome == "stopped" and "ZeroDivisionError" in run.reason and robot.stops


def test_ctrl_c_stops_the_robot():
    robot = PointRobot()
    loop = threaded(robot, config=replace(CONFIG, duration_s=60.0))

    def interrupt():
        wait_for(lambda: len(robot.commands) > 3)
        os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # an earlier test may have set another
    try:
        threading.Thread(target=interrupt, daemon=True).start()
        run = loop.run()
    finally:
        signal.signal(signal.SIGINT, before)
    assert run.outcome == "operator" and run.stop_confirmed and robot.stops
    n_commands = len(robot.commands)
    time.sleep(0.15)
    assert len(robot.commands) == n_commands


def test_the_log_is_on_the_disk_line_by_line(tmp_path):
    log = EventLog(tmp_path / "events.jsonl")
    log("path", waypoints=3)
    assert '"event": "path", "waypoints": 3' in (tmp_path / "events.jsonl").read_text()
    log.close()
    log("late")
    assert (tmp_path / "events.jsonl").read_text().count("\n") == 1 and len(log.events) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
def test_a_log_on_a_full_disk_or_a_closed_terminal_raises_nothing_and_says_so():
    def closed(line):
        raise BrokenPipeError("the terminal is gone")

    for options, reason in (({"file": Path("/dev/full")}, "OSError"), ({"show": closed}, "the terminal is gone")):
        log = EventLog(**options)
        log("path", waypoints=3)
        log.close()
        assert log.events[0]["waypoints"] == 3 and reason in log.error


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"control_hz": 10}, r"at 10 Hz need a command_timeout_s of at least 0.15 s.*control_hz >= 15"),
        ({"hold_age_s": 0.5}, "hold_age_s must be at most"),
        ({"duration_s": float("nan")}, "duration_s must be finite and > 0"),
        ({"replan_s": -1}, "replan_s must be finite and >= 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(options, reason):
    with pytest.raises(ValueError, match=reason):
        RobotLoopConfig(**options)


def test_a_robot_slower_than_the_loop_and_no_robot_at_all_are_refused():
    with pytest.raises(ValueError, match="20 Hz"):
        threaded(PointRobot(control_hz=5))
    with pytest.raises(ValueError, match=r"no robot yet: add connect and observe and"):
        threaded(object())
