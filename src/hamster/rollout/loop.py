"""The closed loop: plan, act, optionally replan, until the task is done."""

from __future__ import annotations

from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.data import HALF_OPEN, Observation
from hamster.path import NotInViewError, Path2D, PlanError
from hamster.path.redundant_close import drop_redundant_close
from hamster.planner.error import PlannerUnavailableError
from hamster.policy import PolicyError
from hamster.rollout.environment import BrokenEnvironmentError, Environment, check_environment, checked_image
from hamster.rollout.executor import Executor
from hamster.rollout.recorder import RolloutRecorder, timed
from hamster.rollout.result import Rollout
from hamster.rollout.safety import SafetyFilter, UnsafeActionError

_NEVER = 1 << 60


class PlanLike(Protocol):
    """The part of a plan that the loop uses."""

    @property
    def paths(self) -> tuple[Path2D, ...]:
        """At least one, the best first."""

    @property
    def raw_text(self) -> str:
        """The text of the model's answer; "" if there is none."""


class PlannerLike(Protocol):
    """Anything that draws paths."""

    def plan(self, image: NDArray[np.uint8], instruction: str) -> PlanLike:
        """Return a plan for an image (H, W, 3) uint8; PlanError if there is none."""


class ActionChunkLike(Protocol):
    """The part of an action chunk that the loop uses."""

    @property
    def poses(self) -> NDArray[np.float64]:
        """(K, 4, 4) tool poses in the world."""

    @property
    def gripper_open(self) -> NDArray[np.bool_]:
        """(K,) commanded once the pose is reached."""

    @property
    def step_s(self) -> float | None:
        """Seconds from one pose to the next; None for keyposes."""


class PolicyLike(Protocol):
    """Anything that follows paths."""

    def reset(self) -> None:
        """Clear the state of the last episode."""

    def act(self, observation: Observation, path: Path2D | None, instruction: str) -> ActionChunkLike:
        """Return the next poses; PolicyError if there are none."""


def rollout(
    env: Environment,
    planner: PlannerLike | None,
    policy: PolicyLike,
    *,
    replan_every: int = 0,
    max_steps: int = 300,
    safety_filter: SafetyFilter | None = None,
    video_every: int = 4,
) -> Rollout:
    """Run one episode: the planner draws a path, the policy follows it, and everything is recorded.

    Args:
        env: just reset.
        planner: None for the condition without a path.
        policy: reset at the start.
        replan_every: keyposes between two calls of the planner; 0 plans once, on the first image.
        max_steps: control steps after which the episode has timed out.
        safety_filter: checks every action before its first step; the default is that of the tabletop.
        video_every: control steps per frame of the video; 0 records no video.

    Returns:
        The record. A plan error, an object that is not in view, a policy error, an unsafe action or a broken
        environment ends the episode with an outcome of its own: none of them becomes a made-up path or a silent
        success. Episodes with the outcome "planner_unavailable" (no response of the planner's server) or "env_error"
        (robot or simulator broke down) are no measurements: do not count them.
    """
    check_environment(env)
    recorder = RolloutRecorder(env, video_every)
    policy.reset()
    try:
        return _run(env, planner, policy, recorder, replan_every, max_steps, safety_filter or SafetyFilter())
    except PlanError as error:
        recorder.raw_texts.append(error.raw_text)
        return recorder.end("not_in_view" if isinstance(error, NotInViewError) else "plan_error", error)
    except PlannerUnavailableError as error:
        return recorder.end("planner_unavailable", error)
    except PolicyError as error:
        return recorder.end("policy_error", error)
    except UnsafeActionError as error:
        return recorder.end("unsafe_action", error)
    except BrokenEnvironmentError as error:
        return recorder.end("env_error", error)


def _run(
    env: Environment,
    planner: PlannerLike | None,
    policy: PolicyLike,
    recorder: RolloutRecorder,
    replan_every: int,
    max_steps: int,
    safety_filter: SafetyFilter,
) -> Rollout:
    executor = Executor(env)
    next_plan = 0
    while True:
        observation = env.observe()
        if not isinstance(observation, Observation):
            raise ValueError(
                f"observe() of {type(env).__name__} returned a {type(observation).__name__}; "
                "return a hamster.Observation"
            )
        if planner is not None and recorder.n_keyposes >= next_plan:
            _plan(planner, env, observation, recorder)
            next_plan = recorder.n_keyposes + replan_every if replan_every else _NEVER
        recorder.record_first_frame()
        action = timed(recorder.policy_s, partial(policy.act, observation, recorder.path, env.instruction))
        if not hasattr(action, "poses") or not hasattr(action, "gripper_open"):
            raise ValueError(
                f"act() of {type(policy).__name__} returned a {type(action).__name__}; return a hamster.ActionChunk"
            )
        poses, opening = safety_filter.check(
            action.poses, action.gripper_open, action.step_s, executor.commanded_tool_pose_world
        )
        recorder.n_keyposes += 1 if action.step_s else len(poses)
        for pose, gripper_open in zip(poses, opening > HALF_OPEN, strict=True):
            for done in executor.move(pose, bool(gripper_open), action.step_s):
                recorder.step()
                if done:
                    return recorder.end("success")
                if recorder.n_steps >= max_steps:
                    return recorder.end("timeout")


def _plan(planner: PlannerLike, env: Environment, observation: Observation, recorder: RolloutRecorder) -> None:
    plan = timed(recorder.planner_s, partial(planner.plan, checked_image(env), env.instruction))
    if not getattr(plan, "paths", ()):
        raise ValueError(
            f"plan() of {type(planner).__name__} returned a {type(plan).__name__}; return hamster.Plan(path), or raise "
            "hamster.PlanError"
        )
    path = plan.paths[0]
    recorder.paths.append(
        drop_redundant_close(path) if observation.gripper is not None and observation.gripper > HALF_OPEN else path
    )
    recorder.raw_texts.append(plan.raw_text)
