"""Parse an observation that came over the wire; everything in it may be wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from hamster_client.errors import RequestError
from numpy.typing import NDArray

from hamster.data import Observation, View
from hamster.data.instructions import MAX_INSTRUCTION_CHARS
from hamster.geometry import Camera
from hamster.path import Path2D
from hamster.serving.policy.fields import choice, image, mapping, matrix, number, rigid, text
from hamster.serving.policy.stated_path import read_path

MAX_CAMERAS = 8
MAX_PIXELS = 1 << 22  # of one image
MAX_TOTAL_PIXELS = 1 << 23  # of all views together

OBSERVATION = {
    "views": "{camera: {rgb, depth_m, intrinsics, world_from_camera}}",
    "tool_pose_world": "(4, 4) metres, from the tool's tip to the world",
    "gripper": "measured opening, 0 closed to 1 open",
    "prompt": "the instruction",
    "path": "{uv (N, 2), gripper, depth_m, height_m (N,)}, {text, dialect, image_size} or None; absent: the last one",
    "time_s": "since the start of the episode",
    "reset": "True begins a new episode; alone, it is all of the message",
}
VIEW = {
    "rgb": "(H, W, 3) uint8",
    "depth_m": "(H, W) float32 metres, 0 where unknown",
    "intrinsics": "(3, 3) pixels",
    "world_from_camera": "(4, 4) metres, OpenCV axes",
}


@dataclass(frozen=True, eq=False)
class Request:
    """One message of a client.

    Attributes:
        observation: None where the client only begins a new episode.
        states_path: whether the message states a path or None; if not, the last one stands.
        path: None if the client states that there is none.
    """

    reset: bool
    observation: Observation | None
    instruction: str = ""
    states_path: bool = False
    path: Path2D | None = None


def read_request(message: Any) -> Request:
    """Parse a client's message.

    Raises:
        RequestError: "malformed", "oversized" or "not_finite", with one line that names the field.
    """
    fields = mapping(message, OBSERVATION, "the observation")
    reset = choice(fields.get("reset", False), "reset")
    if reset and set(fields) == {"reset"}:
        return Request(reset, None)
    observation = _observation(fields)
    path = read_path(fields.get("path"), observation)
    return Request(
        reset, observation, text(fields.get("prompt", ""), "prompt", MAX_INSTRUCTION_CHARS), "path" in fields, path
    )


def _observation(fields: dict[str, Any]) -> Observation:
    views = fields.get("views")
    if not isinstance(views, dict) or not views or not all(isinstance(name, str) for name in views):
        raise RequestError("malformed", "views must be a map from camera names to views, at least one")
    if len(views) > MAX_CAMERAS:
        raise RequestError("oversized", f"an observation has at most {MAX_CAMERAS} views, not {len(views)}")
    tool, gripper = fields.get("tool_pose_world"), fields.get("gripper")
    parsed: dict[str, View] = {}
    for name, view in views.items():
        parsed[name] = _view(view, f"views/{name[:40]}")
        if sum(v.rgb.shape[0] * v.rgb.shape[1] for v in parsed.values()) > MAX_TOTAL_PIXELS:
            raise RequestError("oversized", f"the views have more than {MAX_TOTAL_PIXELS} pixels together")
    return Observation(
        parsed,
        None if tool is None else rigid(tool, "tool_pose_world"),
        None if gripper is None else number(gripper, "gripper", 0, 1),
        number(fields.get("time_s", 0.0), "time_s", 0, 1e9),
    )


def _view(value: Any, where: str) -> View:
    fields = mapping(value, VIEW, where)
    rgb = image(fields.get("rgb"), f"{where}/rgb", "uint8", (None, None, 3), MAX_PIXELS)
    height, width = rgb.shape[:2]
    depth_m = fields.get("depth_m")
    if depth_m is not None:
        depth_m = image(depth_m, f"{where}/depth_m", "float32", (height, width), MAX_PIXELS)
        if depth_m.min() < 0:
            raise RequestError("malformed", f"{where}/depth_m must be metres >= 0, 0 where unknown")
    return View(rgb, depth_m, _camera(fields, where, width, height))


def _camera(fields: dict[str, Any], where: str, width: int, height: int) -> Camera | None:
    intrinsics, world_from_camera = fields.get("intrinsics"), fields.get("world_from_camera")
    if intrinsics is None and world_from_camera is None:
        return None
    if intrinsics is None or world_from_camera is None:
        raise RequestError("malformed", f"{where} must have both intrinsics and world_from_camera, or neither")
    k: NDArray[np.float64] = matrix(intrinsics, f"{where}/intrinsics", (3, 3))
    pose = rigid(world_from_camera, f"{where}/world_from_camera")
    try:
        return Camera(k, pose, width, height)
    except ValueError as error:
        raise RequestError("malformed", f"{where}: {error}") from None
