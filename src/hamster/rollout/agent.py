"""Planner and policy as one function of the observation, for programs that own the loop: lerobot-eval, vla-eval."""

from __future__ import annotations

import logging
from functools import partial

import numpy as np
from numpy.typing import NDArray

from hamster.data import HALF_OPEN, Observation
from hamster.geometry import quaternion_from_matrix
from hamster.path import Path2D, PlanError
from hamster.policy import PolicyError
from hamster.rollout.executor import Setpoint
from hamster.rollout.interfaces import PlannerLike, PolicyLike, checked_action
from hamster.rollout.planned_path import PlannedPath, plan_path
from hamster.rollout.replanning import Replanner, SimulatedPlannerCall, check_replan
from hamster.rollout.safety import SafetyFilter, UnsafeActionError

COLUMNS = ("x", "y", "z", "qw", "qx", "qy", "qz", "gripper_open")
"""Columns of an action: the tool's pose in the world, in metres, and the commanded state of the gripper, 0 or 1."""
_log = logging.getLogger(__name__)


class Agent:
    """Does in one episode what `rollout` does between an environment's steps.

    The path is planned on an episode's first observation, and again every so many keyposes. Each call of `act` returns
    the control steps, 0.05 s apart, until the next observation is needed. Where planner or policy have no answer, or an
    unsafe one, the agent holds the last command from then on, so that the episode counts as failed; `failure` says why.
    Nothing else is caught: a planner that cannot be reached, or an observation that lacks something, is no failure of
    the policy.

    Args:
        planner: None for the condition without a path.
        policy: this agent's own; it is reset.
        camera: name of the view that the planner draws on.
        replan_every: keyposes between two calls of the planner; 0 plans once.
        safety_filter: checks every action before its first step; the default is that of the tabletop.

    Attributes:
        path: in force; None before the first.
        failure: why the agent holds still; None if it does not.
        n_steps: control steps that were returned in this episode.

    Raises:
        ValueError: for a `replan_every` below 0.
    """

    def __init__(
        self,
        planner: PlannerLike | None,
        policy: PolicyLike,
        *,
        camera: str = "front",
        replan_every: int = 0,
        safety_filter: SafetyFilter | None = None,
    ) -> None:
        check_replan(replan_every, None)
        self._planner, self._policy, self._camera, self._replan_every = planner, policy, camera, replan_every
        self._safety_filter = safety_filter or SafetyFilter()
        self.reset()

    def reset(self) -> None:
        """Begin a new episode."""
        self.path: Path2D | None = None
        self.failure: Exception | None = None
        self._replanner = Replanner(SimulatedPlannerCall(0.0, clock=lambda: 0.0), self._replan_every)
        self._setpoint: Setpoint | None = None
        self.n_steps = self._n_keyposes = 0
        self._policy.reset()

    def act(self, observation: Observation, instruction: str) -> NDArray[np.float64]:
        """Return the next control steps, at least one, with the columns `COLUMNS`.

        Args:
            observation: after the last of the steps that were returned before.
            instruction: of the task.

        Returns:
            (T, 8).

        Raises:
            ValueError: if the observation lacks the planner's view, the tool's pose, or what the policy needs.
            PlannerUnavailableError: if the planner's server cannot be asked.
        """
        if observation.tool_pose_world is None:
            raise ValueError("the observation has no tool_pose_world, where the motion starts")
        if self._setpoint is None:
            pose_world = np.array(observation.tool_pose_world, np.float64)
            self._setpoint = Setpoint(pose_world, observation.gripper_open)
        steps: list[NDArray[np.float64]] = []
        if self.failure is None:
            try:
                self._plan(observation, instruction)
                steps = self._move(self._setpoint, observation, instruction)
            except (PlanError, PolicyError, UnsafeActionError) as error:
                self.failure = error
                _log.warning("holding still to the episode's end: %s: %s", type(error).__name__, error)
        steps = steps or [_row(self._setpoint.tool_pose_world, self._setpoint.gripper_open)]
        self.n_steps += len(steps)
        return np.stack(steps)

    def _plan(self, observation: Observation, instruction: str) -> None:
        if self._planner is None or not self._replanner.is_due(self._n_keyposes):
            return
        if self._camera not in observation.views:
            names = ", ".join(observation.views) or "none"
            raise ValueError(f"the observation lacks the view {self._camera!r} of the planner; there are: {names}")
        image = observation.views[self._camera].rgb
        plan = partial(plan_path, self._planner, image, instruction, observation.gripper)
        self._replanner.start(plan, self.n_steps, self._n_keyposes)
        self._replanner.poll()
        if (answer := self._replanner.take()) is not None and isinstance(answer.planned, PlannedPath):
            self.path = answer.planned.path

    def _move(self, setpoint: Setpoint, observation: Observation, instruction: str) -> list[NDArray[np.float64]]:
        action = checked_action(self._policy.act(observation, self.path, instruction), self._policy)
        poses, opening = self._safety_filter.check(
            action.poses, action.gripper_open, action.step_s, setpoint.tool_pose_world
        )
        self._n_keyposes += 1 if action.step_s else len(poses)
        return [
            _row(*command)
            for pose, is_open in zip(poses, opening > HALF_OPEN, strict=True)
            for command in setpoint.move(pose, bool(is_open), action.step_s)
        ]


def _row(tool_pose_world: NDArray[np.float64], gripper_open: bool) -> NDArray[np.float64]:
    return np.array([*tool_pose_world[:3, 3], *quaternion_from_matrix(tool_pose_world[:3, :3]), float(gripper_open)])
