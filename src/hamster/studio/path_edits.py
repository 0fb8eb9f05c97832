"""Changes of the path, as functions from state to state."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from hamster.path import Gripper, Path2D
from hamster.path.simplify import EPSILON, simplify
from hamster.studio.errors import invalid
from hamster.studio.state import UV, Origin, State


def with_path(state: State, path: Path2D | None = None, origin: Origin | None = None) -> State:
    """Return the state with another path, or without one."""
    return replace(state, path=path, origin=origin, path_version=state.path_version + 1, is_path_kept=False)


def with_edited_path(state: State, path: Path2D | None) -> State:
    """Return the state with a path that somebody has changed by hand, or cleared."""
    origin: Origin = "mended" if state.origin in ("planned", "mended") else "drawn"
    return with_path(state, path, None if path is None else origin)


def with_answer(state: State, index: int) -> State:
    """Return the state with one of the planner's answers as the path; StudioError if there is no such answer."""
    if state.plan is None or not 0 <= index < len(state.plan.paths):
        raise invalid(f"there is no answer {index}")
    plan = replace(state.plan, chosen=index)
    return replace(with_path(state, plan.paths[index], "planned"), plan=plan)


def with_stroke(state: State, uv: ArrayLike, tool_uv: UV | None, most_waypoints: int) -> State:
    """Return the state with a stroke as the path, or as its continuation if it begins where the path ends.

    The stroke is simplified to waypoints. A new path starts at the tool, as those do that policies are trained with: if
    the stroke does not, a straight line leads to it.

    Args:
        state: before.
        uv: (N, 2) relative to the image, as a pointer recorded them.
        tool_uv: relative place of the tool on the image, or None if it is not known.
        most_waypoints: of a path.
    """
    points = np.clip(np.asarray(uv, np.float64), 0.0, 1.0)
    stroke = simplify(Path2D(points, np.full(len(points), Gripper.UNKNOWN)))
    before = state.path
    if before is not None and _is_near(before.uv[-1], stroke.uv[0]):
        gripper = np.concatenate([before.gripper, np.full(len(stroke) - 1, before.gripper[-1])])
        longer = Path2D(np.concatenate([before.uv, stroke.uv[1:]]), gripper)
        return with_edited_path(state, checked(longer, most_waypoints))
    if tool_uv is not None and not _is_near(tool_uv, stroke.uv[0]):
        lead_in = np.concatenate([[tool_uv], stroke.uv])
        stroke = Path2D(lead_in, np.concatenate([[Gripper.UNKNOWN], stroke.gripper]))
    return with_path(state, checked(stroke, most_waypoints), "drawn")


def checked(path: Path2D, most_waypoints: int) -> Path2D:
    """Return the path; StudioError if it has too many waypoints."""
    if len(path) > most_waypoints:
        raise invalid(f"a path has at most {most_waypoints} waypoints; this one has {len(path)}")
    return path


def _is_near(a: ArrayLike, b: ArrayLike) -> bool:
    return bool(np.linalg.norm(np.asarray(a) - np.asarray(b)) <= EPSILON)
