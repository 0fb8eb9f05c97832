"""The closed loop: plan, act, (replan), act, until it is done."""

from __future__ import annotations

from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.data import HALF_OPEN, Observation
from hamster.path import NotInViewError, Path2D, PlanError
from hamster.path.settle import settled
from hamster.planner.error import PlannerUnavailableError
from hamster.policy import PolicyError
from hamster.rollout.environment import BrokenEnvironmentError, Environment
from hamster.rollout.executor import Executor
from hamster.rollout.recorder import RolloutRecorder, timed
from hamster.rollout.result import Rollout
from hamster.rollout.safety import SafetyFilter, UnsafeActionError

_NEVER = 1 << 60


class PlanLike(Protocol):
    """What the loop reads of a plan."""

    @property
    def paths(self) -> tuple[Path2D, ...]:
        """At least one, the best first."""

    @property
    def raw_text(self) -> str:
        """What the model printed."""


class PlannerLike(Protocol):
    """Draws paths."""

    def plan(self, image: NDArray[np.uint8], instruction: str) -> PlanLike:
        """A plan for an image (H, W, 3); PlanError if there is none."""


class MotionLike(Protocol):
    """Where a policy wants the tool to go."""

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
    """Follows paths."""

    def reset(self) -> None:
        """Forgets the last episode."""

    def act(self, observation: Observation, path: Path2D | None, instruction: str) -> MotionLike:
        """The next keyposes; PolicyError if there are none."""


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
    """One episode: asks the planner for a path, lets the policy follow it, and writes down everything.

    Args:
        env: just reset.
        planner: None in the condition without paths.
        policy: is reset here.
        replan_every: ask the planner again after so many keyposes; 0: only once, on the first image.
        max_steps: control steps after which the episode has timed out.
        safety_filter: checks every action before its first step; the default is that of the tabletop.
        video_every: control steps per frame of the video; 0 records no video.

    Returns:
        The record. A plan error, a planner that finds nothing in view, a policy whose answer is no motion, a refused
        motion or a broken environment ends the episode and is recorded as such: none of them ever becomes a fake path
        or a silent success. Where the planner could not be asked ("planner_unavailable"), or robot or simulator broke
        down ("env_error"), the episode says nothing: do not count it.
    """
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
        if planner is not None and recorder.n_keyposes >= next_plan:
            _plan(planner, env, observation, recorder)
            next_plan = recorder.n_keyposes + replan_every if replan_every else _NEVER
        recorder.record_first_frame()
        motion = timed(recorder.policy_s, partial(policy.act, observation, recorder.path, env.instruction))
        poses, opening = safety_filter.check(
            motion.poses, motion.gripper_open, motion.step_s, executor.commanded_tool_pose_world
        )
        recorder.n_keyposes += 1 if motion.step_s else len(poses)
        for pose, gripper_open in zip(poses, opening > HALF_OPEN, strict=True):
            for done in executor.move(pose, bool(gripper_open), motion.step_s):
                recorder.step()
                if done:
                    return recorder.end("success")
                if recorder.n_steps >= max_steps:
                    return recorder.end("timeout")


def _plan(planner: PlannerLike, env: Environment, observation: Observation, recorder: RolloutRecorder) -> None:
    plan = timed(recorder.planner_s, partial(planner.plan, env.front_image(), env.instruction))
    path = plan.paths[0]
    recorder.paths.append(
        settled(path) if observation.gripper is not None and observation.gripper > HALF_OPEN else path
    )
    recorder.raw_texts.append(plan.raw_text)
