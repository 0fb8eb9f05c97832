"""meta/cameras.json: calibration, and what the robot's columns mean. LeRobot has no place for either.

    {"observation.images.front": {"convention": "opencv", "width": 640, "height": 480,
                                  "intrinsics": [[…], […], […]],
                                  "world_from_camera": [[…], […], […], […]]},
     "observation.images.wrist": {…, "world_from_camera": "camera.wrist.world_from_camera"},
     "robot": {"tool_position": "observation.state[0:3]", "tool_rotation": "observation.state[3:7]",
               "rotation": "quaternion_wxyz", "gripper": "observation.state[7]", "open": 1.0, "closed": 0.0}}

A text in the place of a matrix names a column that holds it for every frame, row by row.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.geometry import Camera

FILE = Path("meta") / "cameras.json"
MAX_BYTES = 64 << 20
ROBOT = "robot"
_COLUMN = re.compile(r"(.+?)(?:\[(\d{1,4})(?::(\d{1,4}))?\])?")
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CameraEntry:
    """One camera of the sidecar: matrices, or the names of the columns that hold them per frame."""

    width: int
    height: int
    intrinsics: Array | str
    world_from_camera: Array | str

    @property
    def columns(self) -> list[str]:
        """The columns that `cameras` needs."""
        return [value for value in (self.intrinsics, self.world_from_camera) if isinstance(value, str)]

    def cameras(self, columns: Mapping[str, Array], frames: int) -> list[Camera | None]:
        """One per frame; None where a column says NaN: that frame is not calibrated."""
        intrinsics = _per_frame(self.intrinsics, columns, frames, (3, 3))
        poses = _per_frame(self.world_from_camera, columns, frames, (4, 4))
        if not columns or not self.columns:
            return [Camera(intrinsics[0], poses[0], self.width, self.height)] * frames
        flat = np.hstack([intrinsics.reshape(frames, 9), poses.reshape(frames, 16)])
        known = np.asarray(np.isfinite(flat).all(1))
        return [Camera(intrinsics[t], poses[t], self.width, self.height) if known[t] else None for t in range(frames)]


def read_sidecar(folder: Path) -> tuple[dict[str, CameraEntry], dict[str, Any]]:
    """The cameras by feature, and the entry about the robot; both empty without the file.

    Raises:
        ValueError: if it is there but not as described above.
    """
    file = folder / FILE
    if not file.is_file():
        return {}, {}
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{FILE} is larger than {MAX_BYTES >> 20} MiB")
    try:
        found = json.loads(file.read_text("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError(f"{FILE} is not JSON, or cut off") from None
    if not isinstance(found, dict) or not all(isinstance(entry, dict) for entry in found.values()):
        raise ValueError(f"{FILE} is not an object with an object per camera")
    robot = found.pop(ROBOT, {})
    return {key: _camera(key, entry) for key, entry in found.items()}, robot


def column_of(text: str) -> tuple[str, slice]:
    """`name`, `name[3]` or `name[0:3]` -> the column and which of its numbers."""
    match = _COLUMN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} names no column; say name, name[3] or name[0:3]")
    name, start, stop = match.groups()
    if start is None:
        return name, slice(None)
    return name, slice(int(start), int(stop) if stop else int(start) + 1)


def _camera(key: str, entry: Mapping[str, Any]) -> CameraEntry:
    if entry.get("convention", "opencv") != "opencv":
        raise ValueError(f"{FILE}: {key}: convention {entry['convention']!r}; only 'opencv' is read")
    missing = [name for name in ("width", "height", "intrinsics", "world_from_camera") if name not in entry]
    if missing:
        raise ValueError(f"{FILE}: {key} lacks {', '.join(missing)}")
    try:
        size = int(entry["width"]), int(entry["height"])
        lens = _matrix(entry["intrinsics"], (3, 3))
        pose = _matrix(entry["world_from_camera"], (4, 4))
        if not isinstance(lens, str) and not isinstance(pose, str):
            Camera(lens, pose, *size)  # says at once what is wrong with it
    except (TypeError, ValueError) as error:
        raise ValueError(f"{FILE}: {key}: {error}") from None
    return CameraEntry(*size, lens, pose)


def _matrix(value: Any, shape: tuple[int, int]) -> Array | str:
    if isinstance(value, str):
        return value
    matrix = np.asarray(value, np.float64)
    if matrix.shape != shape or not np.isfinite(matrix).all():
        raise ValueError(f"a finite {shape} matrix or the name of a column is needed")
    return matrix


def _per_frame(value: Array | str, columns: Mapping[str, Array], frames: int, shape: tuple[int, int]) -> Array:
    if not isinstance(value, str):
        return np.broadcast_to(value, (frames, *shape))
    if value not in columns or columns[value].shape != (frames, shape[0] * shape[1]):
        raise ValueError(f"{FILE} names the column {value!r}, which does not hold a {shape} matrix per frame")
    return columns[value].reshape(frames, *shape)
