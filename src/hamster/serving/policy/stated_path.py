"""The path in a message: points, a planner's text, or None."""

from __future__ import annotations

from typing import Any

import numpy as np
from hamster_client.errors import RequestError
from numpy.typing import NDArray

from hamster.data import Observation
from hamster.dialects import parse
from hamster.path import Gripper, Path2D
from hamster.serving.policy.fields import mapping, matrix, text

MAX_WAYPOINTS = 256
MAX_TEXT = 1 << 14  # characters
POINTS = ("uv", "gripper", "depth_m", "score", "height_m")
TEXT = ("text", "dialect", "image_size")


def read_path(value: Any, observation: Observation) -> Path2D | None:
    """Parse the path in a message; texts that count pixels count those of the first view, unless they state a size.

    Raises:
        RequestError: "malformed", "oversized", "not_finite", or "invalid_path" for a text that is no path.
    """
    if value is None:
        return None
    try:
        if isinstance(value, dict) and "text" in value:
            return _from_text(mapping(value, TEXT, "path"), observation)
        return _from_points(mapping(value, POINTS, "path"))
    except RequestError:
        raise
    except ValueError as error:
        raise RequestError("invalid_path", str(error)) from None


def _from_text(fields: dict[str, Any], observation: Observation) -> Path2D:
    height, width = next(iter(observation.views.values())).rgb.shape[:2]
    size = matrix(fields.get("image_size", [width, height]), "path/image_size", (2,))
    dialect = text(fields.get("dialect", "hamster"), "path/dialect", 40)
    return parse(text(fields["text"], "path/text", MAX_TEXT), dialect, (int(size[0]), int(size[1])))


def _from_points(fields: dict[str, Any]) -> Path2D:
    uv = matrix(fields.get("uv"), "path/uv", (None, 2))
    if len(uv) > MAX_WAYPOINTS:
        raise RequestError("oversized", f"path/uv has {len(uv)} waypoints, more than {MAX_WAYPOINTS}")
    depth_m, score, height_m = fields.get("depth_m"), fields.get("score"), fields.get("height_m")
    return Path2D(
        uv,
        _gripper(fields.get("gripper"), len(uv)),
        None if depth_m is None else matrix(depth_m, "path/depth_m", (len(uv),)),
        None if score is None else float(matrix([score], "path/score", (1,))[0]),
        None if height_m is None else matrix(height_m, "path/height_m", (len(uv),)),
    )


def _gripper(value: Any, count: int) -> NDArray[np.int8]:
    """Return states (N,) by name or number, one for each waypoint; all unknown if the message has none."""
    if value is None:
        return np.full(count, Gripper.UNKNOWN, np.int8)
    names = {state.name.lower(): int(state) for state in Gripper}
    if isinstance(value, list):
        value = [names.get(state, state) if isinstance(state, str) else state for state in value]
    states = matrix(value, "path/gripper", (count,))
    if not np.isin(states, list(names.values())).all():
        known = ", ".join(f"{number} {name}" for name, number in names.items())
        raise RequestError("malformed", f"path/gripper holds a state other than {known}")
    return states.astype(np.int8)
