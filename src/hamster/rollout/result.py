"""The record of one rollout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hamster.path import Path2D
from hamster.rollout.video import Video

Outcome = Literal[
    "success",
    "timeout",
    "stalled",
    "failed",
    "plan_error",
    "not_in_view",
    "policy_error",
    "unsafe_action",
    "env_error",
    "planner_unavailable",
    "policy_unavailable",
]
"""How an episode ended; docs/cli.md explains the names."""
UNMEASURED = frozenset({"planner_unavailable", "policy_unavailable", "env_error"})
"""Outcomes that are no measurement of planner or policy: a server, the robot or the simulator failed."""


@dataclass(frozen=True, eq=False)
class Rollout:
    """One episode, complete enough to compute every number of a report from it.

    Attributes:
        instruction: of the task.
        outcome: how it ended; only "success" is a success, and those in `UNMEASURED` are no measurements.
        message: the reason of an error; "" otherwise.
        n_steps: control steps taken.
        n_keyposes: keyposes commanded.
        paths: the paths that the policy followed, in order; empty in the condition without a path.
        raw_texts: the planner's answers, one per call.
        planner_s: latency of every call of the planner, in seconds.
        policy_s: latency of every call of the policy, in seconds.
        video: frames of the camera "front".
        path_steps: for each of `paths`, the control step of the image that it was drawn on.
        n_kept_paths: how often a refusal or plan error under way kept the path that was in force.
    """

    instruction: str
    outcome: Outcome
    message: str
    n_steps: int
    n_keyposes: int
    paths: tuple[Path2D, ...]
    raw_texts: tuple[str, ...]
    planner_s: tuple[float, ...]
    policy_s: tuple[float, ...]
    video: Video
    path_steps: tuple[int, ...] = ()
    n_kept_paths: int = 0

    @property
    def is_measured(self) -> bool:
        """Whether the episode counts; one that an outage cut off does not."""
        return self.outcome not in UNMEASURED

    @property
    def success(self) -> bool:
        """Whether the task was done, by physics."""
        return self.outcome == "success"

    def to_json(self) -> dict[str, Any]:
        """Return everything but the video, as plain JSON values."""
        return {
            "instruction": self.instruction,
            "success": self.success,
            "outcome": self.outcome,
            "message": self.message,
            "n_steps": self.n_steps,
            "n_keyposes": self.n_keyposes,
            "paths": [path.to_json() for path in self.paths],
            "raw_texts": list(self.raw_texts),
            "planner_s": [round(s, 4) for s in self.planner_s],
            "policy_s": [round(s, 4) for s in self.policy_s],
            "path_steps": list(self.path_steps),
            "n_kept_paths": self.n_kept_paths,
        }
