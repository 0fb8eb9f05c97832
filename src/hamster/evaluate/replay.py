"""An episode of an evaluation once more: its scene and its paths, and the policy that follows them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation
from hamster.evaluate.journal import read_records
from hamster.evaluate.suites import close, find_suite
from hamster.evaluate.worker import seed_everything
from hamster.path import NotInViewError, Path2D, PlanError
from hamster.rollout import Rollout, rollout
from hamster.rollout.baselines import BaselinePlan
from hamster.rollout.environment import Environment
from hamster.rollout.interfaces import ActionChunkLike, PolicyLike

Array = NDArray[np.float64]
Record = Mapping[str, Any]


class ReplayListener(Protocol):
    """What is told of an episode while it happens."""

    def acted(self, time_s: float, observation: Observation, path: Path2D | None, action: ActionChunkLike) -> None:
        """The policy has acted on an observation and a path."""

    def moved(self, time_s: float, tool_pose_world: Array, gripper_open: bool) -> None:
        """A control step has ended with the tool at a pose (4, 4), and the gripper commanded open or not."""


def read_episodes(folder: Path) -> dict[str, Record]:
    """Return the records of a result folder by key.

    Raises:
        ValueError: if it holds none; it names result folders below.
    """
    records: dict[str, Record] = dict(read_records(folder / "rollouts.jsonl"))
    if not records:
        below = ", ".join(str(file.parent) for file in sorted(folder.glob("**/rollouts.jsonl"))[:8])
        hint = f"there are: {below}" if below else "`hamster eval` and `hamster demo` write them"
        raise ValueError(f"{folder} is no result folder, it has no episodes in rollouts.jsonl; {hint}")
    return records


def episode_of(records: Mapping[str, Record], key: str) -> Record:
    """Return the record of an episode; ValueError lists the nearest keys."""
    if key not in records:
        scene = key.partition("-")[0]
        near = [other for other in records if other.startswith(scene)] or list(records)[:8]
        raise ValueError(f"no episode {key!r}; there are {', '.join(near)}{', …' if len(near) < len(records) else ''}")
    return records[key]


def replay(folder: Path, record: Record, listener: ReplayListener, device: str | None = None) -> Rollout:
    """Run an episode again with the paths that were followed then, and tell a listener of it.

    No planner is asked. With the same versions and device the episode is the same again, as far as the policy is a
    function of what it sees.

    Args:
        folder: result folder, whose eval_info.json names suite and policy.
        record: of the episode, as in rollouts.jsonl.
        listener: is told.
        device: of the policy, as in `load_policy`.

    Raises:
        ValueError: if the evaluation was not finished, or suite or policy are not known here by their names.
    """
    from hamster.policy import load_policy

    if not (folder / "eval_info.json").is_file():
        raise ValueError(f"{folder} has no eval_info.json yet: start its `hamster eval` again, which finishes it")
    meta = json.loads((folder / "eval_info.json").read_text())["meta"]
    suite, policy = find_suite(meta["suite"]), load_policy(meta["policy"], device=device)
    seed_everything(record["seed"])
    env = _HeardEnvironment(suite.make(record["family"], record["seed"]), listener)
    try:
        return rollout(
            env,
            None if record["condition"] == "none" else _RecordedPlanner(record, env),
            _HeardPolicy(policy, env, listener),
            replan_every=meta.get("replan", 0),
            planner_latency_s=meta.get("planner_latency_s"),
            **suite.end_conditions(record["family"]),
            video_every=0,
        )
    finally:
        close(env)


class _HeardEnvironment:
    """An environment that counts its steps and tells of them."""

    def __init__(self, env: Environment, listener: ReplayListener) -> None:
        self._env, self._listener, self.n_steps = env, listener, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._env, name)

    def step(self, tool_pose_world: Array, gripper_open: bool) -> bool:
        done = self._env.step(tool_pose_world, gripper_open)
        self.n_steps += 1
        self._listener.moved(self.time_s, np.asarray(self._env.tool_pose_world()), gripper_open)
        return done

    @property
    def time_s(self) -> float:
        return self.n_steps * self._env.dt_s


class _RecordedPlanner:
    """Returns the paths of a record, each for the image that it was drawn on."""

    def __init__(self, record: Record, env: _HeardEnvironment) -> None:
        paths = [Path2D.from_json(path) for path in record["paths"]]
        steps = record.get("path_steps") or [0] * len(paths)
        self._path_at, self._env = dict(zip(steps, paths, strict=True)), env
        self._error = NotInViewError if record["outcome"] == "not_in_view" else PlanError
        self._message = record["message"] or "the planner had no path here"

    def plan(self, image: NDArray[np.uint8], instruction: str) -> BaselinePlan:
        del image, instruction
        if self._env.n_steps not in self._path_at:
            raise self._error(self._message)
        return BaselinePlan((self._path_at[self._env.n_steps],))


class _HeardPolicy:
    """A policy that tells of its actions."""

    def __init__(self, policy: PolicyLike, env: _HeardEnvironment, listener: ReplayListener) -> None:
        self._policy, self._env, self._listener = policy, env, listener

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    def reset(self) -> None:
        self._policy.reset()

    def act(self, observation: Observation, path: Path2D | None, instruction: str) -> ActionChunkLike:
        action = self._policy.act(observation, path, instruction)
        self._listener.acted(self._env.time_s, observation, path, action)
        return action
