"""The closed loop: plan, act, optionally replan, until the task is done."""

from __future__ import annotations

from functools import partial

from hamster.data import HALF_OPEN, Observation
from hamster.path import NotInViewError, PlanError
from hamster.planner.error import PlannerUnavailableError
from hamster.policy import PolicyError, PolicyUnavailableError
from hamster.rollout.end_conditions import EndConditions, IdleDetector
from hamster.rollout.environment import BrokenEnvironmentError, Environment, Sensors, check_environment, checked_image
from hamster.rollout.executor import Executor
from hamster.rollout.interfaces import PlannerLike, PolicyLike, checked_action
from hamster.rollout.planned_path import PlannedPath, plan_path
from hamster.rollout.recorder import RolloutRecorder, timed
from hamster.rollout.replanning import (
    PlannerCall,
    Replan,
    Replanner,
    SimulatedPlannerCall,
    ThreadedPlannerCall,
    check_replan,
)
from hamster.rollout.result import Outcome, Rollout
from hamster.rollout.safety import SafetyFilter, UnsafeActionError


def rollout(
    env: Environment,
    planner: PlannerLike | None,
    policy: PolicyLike,
    *,
    replan_every: Replan = 0,
    planner_latency_s: float | None = None,
    max_steps: int = 300,
    hold_steps: int = 0,
    idle_steps: int = 0,
    stop_when_failed: bool = False,
    safety_filter: SafetyFilter | None = None,
    video_every: int = 4,
) -> Rollout:
    """Run one episode: the planner draws a path, the policy follows it, and everything is recorded.

    A plan error or an object that is not in view ends the episode if it answers the first image. Later, it keeps the
    path that is in force, at most `planned_path.MAX_KEPT_IN_A_ROW` times in a row; then it ends the episode, too.

    Args:
        env: just reset.
        planner: None for the condition without a path.
        policy: reset at the start.
        replan_every: keyposes between two calls of the planner; 0 plans once, on the first image. "async" calls it
            again as soon as it has answered, while the policy acts; each action takes the newest path.
        planner_latency_s: simulated time from an image to its path, in which the episode goes on: the robot holds
            still for it, or with "async" follows the path in force. None: the episode stands still while the planner
            computes; with "async", the planner computes in a thread of its own, by wall clock: for environments whose
            steps take real time, since a simulator at full speed may reach `max_steps` before the first answer.
        max_steps: control steps after which the episode has timed out.
        hold_steps: control steps for which the last command is held once the task is done; see `EndConditions`.
        idle_steps: control steps without any motion, after which the episode ends as "stalled"; 0: never.
        stop_when_failed: whether the episode ends as "failed" once the environment says that it cannot succeed.
        safety_filter: checks every action before its first step; the default is that of the tabletop.
        video_every: control steps per frame of the video; 0 records no video.

    Returns:
        The record. A plan error, an object that is not in view, a policy error, an unsafe action or a broken
        environment ends the episode with an outcome of its own: none of them becomes a made-up path or a silent
        success. Episodes with the outcome "planner_unavailable" or "policy_unavailable" (no response of a server) or
        "env_error" (robot or simulator broke down) are no measurements: do not count them.
    """
    check_environment(env)
    check_replan(replan_every, planner_latency_s)
    end = EndConditions(max_steps, hold_steps, idle_steps, stop_when_failed)
    end.check(env)
    recorder = RolloutRecorder(env, video_every)
    policy.reset()
    replanner = None
    if planner is not None:
        replanner = Replanner(_planner_call(env, recorder, replan_every, planner_latency_s), replan_every)
    episode = _Episode(env, planner, policy, recorder, replanner, end, safety_filter or SafetyFilter())
    try:
        return recorder.end(episode.run())
    except PlanError as error:
        return recorder.end("not_in_view" if isinstance(error, NotInViewError) else "plan_error", error)
    except PlannerUnavailableError as error:
        return recorder.end("planner_unavailable", error)
    except PolicyError as error:
        return recorder.end("policy_error", error)
    except PolicyUnavailableError as error:
        return recorder.end("policy_unavailable", error)
    except UnsafeActionError as error:
        return recorder.end("unsafe_action", error)
    except BrokenEnvironmentError as error:
        return recorder.end("env_error", error)
    finally:
        if replanner is not None:
            replanner.close()


def _planner_call(
    env: Environment, recorder: RolloutRecorder, replan_every: Replan, planner_latency_s: float | None
) -> PlannerCall:
    if replan_every == "async" and planner_latency_s is None:
        return ThreadedPlannerCall()
    return SimulatedPlannerCall(planner_latency_s or 0.0, clock=lambda: recorder.n_steps * env.dt_s)


class _Episode:
    """One episode while it runs; the methods return the outcome that ends it, or None."""

    _executor: Executor  # from the first observation on

    def __init__(
        self,
        env: Environment,
        planner: PlannerLike | None,
        policy: PolicyLike,
        recorder: RolloutRecorder,
        replanner: Replanner | None,
        end: EndConditions,
        safety_filter: SafetyFilter,
    ) -> None:
        self._env, self._planner, self._policy, self._recorder = env, planner, policy, recorder
        self._replanner, self._end, self._safety_filter = replanner, end, safety_filter
        self._sensors = Sensors(env, getattr(policy, "cameras", None))
        self._idle = IdleDetector(env, end.idle_steps) if end.idle_steps else None

    def run(self) -> Outcome:
        """Plan and act until the episode ends; errors of planner, policy and environment are passed on."""
        observation = self._sensors.observe()
        self._executor = Executor(self._env, observation)
        while True:
            if self._replanner is not None:
                if self._replanner.is_due(self._recorder.n_keyposes):
                    self._call_planner(self._replanner, observation)
                if self._replanner.must_wait:
                    if (outcome := self._wait_for_answer(self._replanner)) is not None:
                        return outcome
                    observation = self._sensors.observe()
                if (answer := self._replanner.take()) is not None and isinstance(answer.planned, PlannedPath):
                    self._recorder.record_path(answer.planned.path, answer.image_step)
                self._recorder.n_kept_paths = self._replanner.n_kept
            self._recorder.record_first_frame()
            if (outcome := self._act(observation)) is not None:
                return outcome
            observation = self._sensors.observe()

    def _call_planner(self, replanner: Replanner, observation: Observation) -> None:
        assert self._planner is not None
        plan = partial(plan_path, self._planner, checked_image(self._env), self._env.instruction, observation.gripper)
        replanner.start(plan, self._recorder.n_steps, self._recorder.n_keyposes)
        self._poll(replanner)

    def _poll(self, replanner: Replanner) -> None:
        if (answer := replanner.poll()) is not None:
            self._recorder.record_answer(answer)

    def _wait_for_answer(self, replanner: Replanner) -> Outcome | None:
        while replanner.must_wait:
            if (outcome := self._after_step(self._executor.hold())) is not None:
                return outcome
            if self._idle is not None:  # standing still is intended here
                self._idle.reset()
        return None

    def _act(self, observation: Observation) -> Outcome | None:
        recorder, env, policy = self._recorder, self._env, self._policy
        act = partial(policy.act, observation, recorder.path, env.instruction)
        action = checked_action(timed(recorder.policy_s, act), policy)
        poses, opening = self._safety_filter.check(
            action.poses, action.gripper_open, action.step_s, self._executor.commanded_tool_pose_world
        )
        recorder.n_keyposes += 1 if action.step_s else len(poses)
        for pose, gripper_open in zip(poses, opening > HALF_OPEN, strict=True):
            for done in self._executor.move(pose, bool(gripper_open), action.step_s):
                if (outcome := self._after_step(done)) is not None:
                    return outcome
        return None

    def _after_step(self, done: bool) -> Outcome | None:
        """Record a control step, judge whether the episode is over, and let the planner go on if it is not."""
        self._recorder.step()
        if done and self._is_done_to_stay():
            return "success"
        if self._end.stop_when_failed and self._env.is_failed():  # type: ignore[attr-defined]  # checked at the start
            return "failed"
        if self._recorder.n_steps >= self._end.max_steps:
            return "timeout"
        if self._idle is not None and self._idle.update():
            return "stalled"
        self._replan_under_way()
        return None

    def _is_done_to_stay(self) -> bool:
        """Hold the last command for a while; return whether the task is done at the end of it."""
        done = True
        for _ in range(self._end.hold_steps):
            self._replan_under_way()
            done = self._executor.hold()
            self._recorder.step()
        return done

    def _replan_under_way(self) -> None:
        if (replanner := self._replanner) is None:
            return
        self._poll(replanner)
        if replanner.runs_ahead and replanner.is_due(self._recorder.n_keyposes):
            self._call_planner(replanner, self._sensors.observe_robot())
