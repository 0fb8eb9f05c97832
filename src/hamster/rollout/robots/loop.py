"""The closed loop on a robot: commands at a fixed rate, while planner and policy compute beside it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from hamster.data import HALF_OPEN
from hamster.rollout.interfaces import ActionChunkLike, PlannerLike, PolicyLike
from hamster.rollout.robots.base import Robot, RobotError, RobotObservation, check_robot
from hamster.rollout.robots.config import RobotLoopConfig
from hamster.rollout.robots.events import EventLog
from hamster.rollout.robots.follower import SetpointFollower
from hamster.rollout.robots.gate import CommandGate, StoppedError
from hamster.rollout.robots.observer import Observer
from hamster.rollout.robots.planning import AsynchronousPlanner, PathInForce
from hamster.rollout.robots.result import ControlStep, Outcome, RobotRun, StepRecorder
from hamster.rollout.robots.watchdog import Watchdog
from hamster.rollout.safety_checks import UnsafeActionError, check_step_s
from hamster.rollout.worker import Worker

STOP_CONFIRMED_S = 1.0
DISCONNECT_S = 2.0
POLL_S = 0.05
"""Seconds between two looks of `RobotLoop.run` at whether the control thread has ended, and at Ctrl-C."""
ENDS = {"done": "the task is done", "time_limit": "the time is over", "operator": "Ctrl-C"}
Confirm = Callable[[ActionChunkLike], bool]


class RobotLoop:
    """Runs planner and policy on a robot.

    `step` is one control period and never waits: it takes the newest observation, path and action, whatever they are,
    and sends one command. Observations, planner and policy have threads of their own.

    Args:
        robot: not connected.
        planner: None for a policy that needs no path.
        policy: reset at the start.
        config: rates, times and bounds.
        instruction: the task; by default the one that the robot knows.
        log: of events.
        recorders: of control steps.
        confirm: called in the policy's thread with each action before it is executed; False asks the policy again. The
            age of a confirmed action counts from the confirmation.
        clock: seconds, as `time.monotonic`.

    Raises:
        ValueError: if the object is no robot, or takes commands at a lower rate.
        RobotError: if it cannot be reached.
    """

    def __init__(
        self,
        robot: Robot,
        planner: PlannerLike | None,
        policy: PolicyLike,
        config: RobotLoopConfig | None = None,
        *,
        instruction: str = "",
        log: EventLog | None = None,
        recorders: tuple[StepRecorder, ...] = (),
        confirm: Confirm | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        check_robot(robot)
        self.config, self._clock = config or RobotLoopConfig(), clock
        self._robot, self._policy, self._confirm, self.recorders = robot, policy, confirm, recorders
        self.log = log or EventLog(clock=clock)
        policy.reset()  # before the connection, which an error would leave open
        self.spec = robot.connect()
        if self.config.control_hz > self.spec.control_hz:
            robot.disconnect()
            raise ValueError(
                f"the robot takes commands at {self.spec.control_hz:g} Hz, not {self.config.control_hz:g} Hz"
            )
        self.instruction = instruction or self.spec.instruction
        self.observer = Observer(robot, self.spec, self.log)
        stop = _skip_stop if self.config.dry_run else robot.stop
        self.watchdog = Watchdog(stop, self.config.command_timeout_s, self.log, clock)
        self.gate = CommandGate(
            robot, self.spec, self.config.safety_filter, self.watchdog, self.config.period_s, self.config.dry_run, clock
        )
        self._follower = SetpointFollower(self.config.limits, self.config.period_s)
        self._planner: AsynchronousPlanner | None = None
        if planner is not None:
            self._planner = AsynchronousPlanner(
                planner, self.spec.cameras[0], self.instruction, self.config.replan_s, self.config.planner_timeout_s,
                self.log, clock,
            )  # fmt: skip
        self._worker: Worker[tuple[ActionChunkLike, float] | None] = Worker("policy", clock)
        self._acted_on: PathInForce | None = None
        self._outcome: Outcome = "stopped"  # unless the run ends otherwise
        self._is_confirming = False
        self._is_moving = False  # whether the robot has been given a setpoint
        self._started_s = clock()
        self._sent_s: list[float] = []
        self._policy_s: list[float] = []
        self._control = threading.Thread(target=self._run_control, name="control", daemon=True)

    @property
    def path(self) -> PathInForce | None:
        """The path in force."""
        return None if self._planner is None else self._planner.in_force

    def run(self) -> RobotRun:
        """Run until the task is done, the time is over, the robot was stopped, or Ctrl-C; the robot is stopped then.

        It returns whatever hangs: a stop that is not confirmed is part of the result, and in the log.
        """
        self.log("start", instruction=self.instruction, cameras=list(self.spec.cameras), dry_run=self.config.dry_run)
        self.observer.start()
        self.watchdog.start()
        self._started_s = self._clock()
        try:
            self._control.start()
            while self._control.is_alive() and self.gate.reason is None:
                self._control.join(POLL_S)
        except KeyboardInterrupt:
            self._outcome = "operator"
        finally:
            confirmed = self._end()
        reason = self.gate.reason or ""
        return RobotRun(
            self._outcome, reason if self._outcome == "stopped" else "", self.gate.n_commands, self.observer.n_sound,
            self.observer.n_faulty, np.diff(self._sent_s), tuple(self._planner.planner_s if self._planner else ()),
            tuple(self._policy_s), confirmed,
        )  # fmt: skip

    def _run_control(self) -> None:
        """Step until the run ends; an error that the loop did not expect stops the robot, with the reason."""
        try:
            self._step_until_end()
        except Exception as error:  # of a path, an action or a recorder that a user's code made
            self.gate.stop(f"the control loop failed: {type(error).__name__}: {error}")

    def _step_until_end(self) -> None:
        """Step at the control rate."""
        while self.gate.reason is None and self._outcome == "stopped":
            started_s = self._clock()
            self.step()
            newest = self.observer.newest
            if newest is not None and newest.task_done:
                self._outcome = "done"
            elif self._clock() - self._started_s > self.config.duration_s:
                self._outcome = "time_limit"
            # Never two commands within one period: a late one delays those behind it.
            next_s = max(started_s, self.gate.sent_s) + self.config.period_s
            time.sleep(min(max(0.0, next_s - self._clock()), self.config.period_s))  # whatever the clock does

    def step(self) -> None:
        """Run one control period: take what is new, and send one command. Never waits."""
        newest, now_s = self.observer.newest, self._clock()
        if self.observer.error is not None:
            self.gate.stop(f"observe() failed: {type(self.observer.error).__name__}: {self.observer.error}")
        elif newest is None:
            if now_s - self._started_s > self.config.first_observation_s:
                self.gate.stop(f"no sound observation within {self.config.first_observation_s:g} s")
        else:
            self._step_with(newest, now_s - newest.captured_s)

    def _step_with(self, newest: RobotObservation, age_s: float) -> None:
        try:
            self.config.safety_filter.check_age(age_s)
        except UnsafeActionError as error:
            self.gate.stop(str(error))
            return
        is_recent = age_s <= self.config.hold_age_s
        self._plan(newest, is_recent)
        self._act(newest, is_recent)
        self._command(newest, is_recent)

    def _plan(self, newest: RobotObservation, is_recent: bool) -> None:
        if self._planner is not None and is_recent and (reason := self._planner.update(newest)) is not None:
            self.gate.stop(reason)

    def _act(self, newest: RobotObservation, is_recent: bool) -> None:
        """Collect an action of the policy, and start the next when there is nothing left to follow, or a new path."""
        path = self.path
        if (finished := self._worker.collect()) is not None:
            self._policy_s.append(finished.seconds)
            if finished.error is not None:
                self.gate.stop(f"the policy failed: {type(finished.error).__name__}: {finished.error}")
            elif finished.value is not None:
                self._take(*finished.value, newest)
        if self._worker.busy_s > self.config.policy_timeout_s and not self._is_confirming:
            self.gate.stop(f"the policy has not answered for {self.config.policy_timeout_s:g} s")
        if (self._planner is not None and path is None) or not is_recent or not self._worker.is_idle:
            return
        if self._follower.is_done or path is not self._acted_on:
            if path is not None and self._clock() - path.captured_s > self.config.max_path_age_s:
                self.gate.stop(f"the path is older than {self.config.max_path_age_s:g} s")
                return
            self._acted_on, self._is_confirming = path, False
            self._worker.submit(lambda: self._action(newest, path))

    def _action(self, newest: RobotObservation, path: PathInForce | None) -> tuple[ActionChunkLike, float] | None:
        """Return an action and the time from which its age counts; None if the operator refused it. In the thread."""
        action = self._policy.act(newest.observation, None if path is None else path.path, self.instruction)
        if self._confirm is None:
            return action, newest.captured_s
        self._is_confirming = True  # until the next task: the time limit is the policy's, not the operator's
        is_confirmed = self._confirm(action)
        self.log("confirmed" if is_confirmed else "refused_by_operator")
        return (action, self._clock()) if is_confirmed else None

    def _take(self, action: ActionChunkLike, age_from_s: float, newest: RobotObservation) -> None:
        """Check an action and follow it from now on."""
        if not all(hasattr(action, name) for name in ("poses", "gripper_open", "step_s")):
            self.gate.stop(f"act() of {type(self._policy).__name__} returned a {type(action).__name__}")
            return
        age_s = self._clock() - age_from_s
        if not 0 <= age_s <= self.config.max_action_age_s:
            self.gate.stop(f"the action is {age_s:.2f} s old, more than {self.config.max_action_age_s:g} s")
            return
        try:
            if action.step_s is not None:
                check_step_s(action.step_s)
            # Without step_s: the follower slows down what is too fast, and the gate checks what it makes of it.
            poses, opening = self.config.safety_filter.check(action.poses, action.gripper_open)
        except UnsafeActionError as error:
            self.gate.stop(f"action refused: {error}")
            return
        observation = newest.observation
        # In a dry run every action starts where the robot still is.
        if (self.config.dry_run or not self._is_moving) and observation.tool_pose_world is not None:
            self.gate.start()
            self._follower.start(observation.tool_pose_world, observation.gripper_open)
            self._is_moving = True
        self._follower.follow(poses, opening > HALF_OPEN, action.step_s)
        self.log("action", poses=len(poses), last_tip_m=poses[-1, :3, 3].round(4).tolist(), step_s=action.step_s)

    def _command(self, newest: RobotObservation, is_recent: bool) -> None:
        if not self._is_moving or self.gate.reason is not None:
            return
        pose, gripper_open = self._follower.step(hold=not is_recent)
        try:
            self.gate.send(pose, gripper_open, newest)
        except (UnsafeActionError, StoppedError, RobotError):
            return  # the gate has stopped the robot, and the log says why
        self._sent_s.append(self.gate.sent_s)
        for recorder in self.recorders:
            recorder.record(ControlStep(newest, self.path, pose, gripper_open))

    def _end(self) -> bool:
        """Stop and disconnect, without waiting for what hangs; return whether the stop was confirmed."""
        self.gate.stop(ENDS.get(self._outcome, "the control loop has ended"))
        # First the commands: one that is under way is followed by another stop.
        if self._control.ident is not None:
            self._control.join(STOP_CONFIRMED_S)
        confirmed = self.watchdog.wait_stopped(STOP_CONFIRMED_S)
        self.observer.close()
        if not confirmed:
            self.log("stop_not_confirmed", reason="stop() has not returned: use the emergency stop")
        if self._control.is_alive():  # the watchdog goes on: it stops the robot once more if the command returns
            confirmed = False
            self.log("stop_not_confirmed", reason="command() has not returned: use the emergency stop")
        else:
            self.watchdog.close()
        disconnecting = threading.Thread(target=self._disconnect, name="disconnect", daemon=True)
        disconnecting.start()
        disconnecting.join(DISCONNECT_S)
        if disconnecting.is_alive():
            self.log("disconnect_hangs", reason=f"disconnect() has not returned for {DISCONNECT_S:g} s")
        self.log("end", outcome=self._outcome, stop_confirmed=confirmed)
        return confirmed

    def _disconnect(self) -> None:
        try:
            self._robot.disconnect()
        except Exception as error:  # whatever a driver raises
            self.log("disconnect_failed", reason=f"{type(error).__name__}: {error}")


def _skip_stop() -> None:
    """Stand for the robot's `stop` in a dry run, which sends nothing."""
