"""How a run ended, in words for a page."""

from __future__ import annotations

from collections.abc import Sequence

ENDINGS = {
    "success": "Done: the task of this scene is carried out.",
    "timeout": "The time is up, and the task of this scene is not done.",
    "stalled": "The robot has come to rest, and the task of this scene is not done.",
    "failed": "The task of this scene cannot be done any more.",
    "plan_error": "There was no path to follow.",
    "not_in_view": "The planner thinks that what you named is not in view.",
    "policy_error": "The policy had no action to offer.",
    "unsafe_action": "The safety filter refused the policy's action.",
    "env_error": "The simulation broke down.",
    "planner_unavailable": "The planner's server does not answer.",
    "policy_unavailable": "The policy's server does not answer.",
    "stopped": "Stopped.",
}
"""By `rollout.Outcome`, and "stopped" for somebody's stop."""


def ending(outcome: str, message: str, done: Sequence[str]) -> str:
    """Return how a run ended.

    Args:
        outcome: a key of `ENDINGS`.
        message: what the loop said beside it, "" for nothing.
        done: what is done in the scene now, beside its task; see `TabletopView.tasks_done`.
    """
    parts = [ENDINGS[outcome], *([f"{message[0].upper()}{message[1:]}."] if message else [])]
    if done and outcome != "success":
        parts.append(f"But {' and '.join(done)}.")
    return " ".join(parts)
