"""What is kept of one rollout."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from hamster.path import Path2D
from hamster.rollout.video import Video

Outcome = Literal[
    "success",
    "timeout",
    "plan_error",
    "not_in_view",
    "policy_error",
    "unsafe_action",
    "env_error",
    "planner_unavailable",
]
"""How an episode ended; docs/cli.md explains the names."""
UNMEASURED = frozenset({"planner_unavailable", "env_error"})
"""The outcomes that say nothing about planner or policy: the planner's server, or robot or simulator, broke down."""


@dataclass(frozen=True, eq=False)
class Rollout:
    """One episode of one condition, complete enough that every number of a report can be made from it again.

    Attributes:
        outcome: how it ended; "success" is the only success, and those in `UNMEASURED` are no results at all.
        message: why, where the outcome is an error; "" otherwise.
        n_steps, n_keyposes: control steps taken, keyposes commanded.
        paths: every path that was asked for, the first one first; empty in the condition without paths.
        raw_texts: what the planner printed, one per question asked.
        planner_s, policy_s: latency of every question, in seconds.
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

    @property
    def is_measured(self) -> bool:
        """Whether the episode says anything: one that a breakdown of what is not measured cut off does not."""
        return self.outcome not in UNMEASURED

    @property
    def success(self) -> bool:
        """Whether the task was done, by physics."""
        return self.outcome == "success"

    def to_json(self) -> dict[str, Any]:
        """Everything but the video, as plain JSON values."""
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
        }
