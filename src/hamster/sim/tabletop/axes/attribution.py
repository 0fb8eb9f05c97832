"""Why an episode failed, decided by fixed rules in a fixed order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

Failure = Literal["", "refused", "wrong object", "wrong goal", "later path wrong", "not followed", "wrong execution"]
FOLLOWED_M = 0.03
"""Largest mean distance of the tool's track from a path that it followed."""


def failure(
    outcome: str,
    paths_right: Sequence[Mapping[str, bool]],
    distance_m: float | None,
    first_reached_is_target: bool,
    lies_on_other_goal: bool,
) -> Failure:
    """Return why an episode failed; "" if it did not.

    Args:
        outcome: of the rollout, which was measured (`Rollout.is_measured`).
        paths_right: for each path that the policy followed, whether its "start" and "end" are right (`grounding`).
        distance_m: mean distance of the tool's track from the paths; None without a path.
        first_reached_is_target: whether the first thing that the tool came near is the target. It stands for a path's
            start where there is none.
        lies_on_other_goal: whether the target ended on a thing other than the goal; stands for a path's end.
    """
    if outcome == "success":
        return ""
    if outcome in ("plan_error", "not_in_view"):
        return "refused"
    first = paths_right[0] if paths_right else {"start": first_reached_is_target, "end": not lies_on_other_goal}
    if not first["start"]:
        return "wrong object"
    if not first["end"]:
        return "wrong goal"
    if not all(path["start"] and path["end"] for path in paths_right[1:]):
        return "later path wrong"
    if distance_m is not None and distance_m > FOLLOWED_M:
        return "not followed"
    return "wrong execution"
