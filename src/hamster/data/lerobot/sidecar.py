"""meta/cameras.json: calibration and the meaning of the robot's columns, for which LeRobot has no field.

    {"observation.images.front": {"convention": "opencv", "width": 640, "height": 480,
                                  "intrinsics": [[…], […], […]],
                                  "world_from_camera": [[…], […], […], […]]},
     "observation.images.wrist": {…, "world_from_camera": "camera.wrist.world_from_camera"},
     "robot": {"tool_position": "observation.state[0:3]", "tool_rotation": "observation.state[3:7]",
               "rotation": "quaternion_wxyz", "gripper": "observation.state[7]", "open": 1.0, "closed": 0.0}}

A text in the place of a matrix names a column that holds it for every frame, row by row. A camera may be named by the
last part of its feature (`front`). Its `depth` names the feature with its depth, and `depth_unit_m` the metres that one
stored unit stands for, where the dataset does not say. Anything else in the file is refused: what is misspelt would be
lost without a word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data.text import decode_text
from hamster.files import write_atomic
from hamster.geometry import Camera
from hamster.registry import closest

FILE = Path("meta") / "cameras.json"
MAX_BYTES = 64 << 20
ROBOT = "robot"
ROBOT_NAMES = ("tool_position", "tool_rotation", "rotation", "recorded_from_tool", "gripper", "open", "closed")
CAMERA_NAMES = ("convention", "width", "height", "intrinsics", "world_from_camera")
DEPTH_NAMES = ("depth", "depth_unit_m")
_PLACE = re.compile(r"^(?:observation\.)?(?:images?\.|videos?\.)?")
_COLUMN = re.compile(r"(.+?)(?:\[(\d{1,4})(?::(\d{1,4}))?\])?")
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CameraEntry:
    """One camera of the sidecar: matrices, or the names of the columns that hold them per frame.

    Attributes:
        depth: the feature with its depth, "" if that follows from the features' names.
        depth_unit_m: metres that one stored unit of depth stands for, None if the dataset says it.
    """

    width: int
    height: int
    intrinsics: Array | str
    world_from_camera: Array | str
    depth: str = ""
    depth_unit_m: float | None = None

    @property
    def columns(self) -> list[str]:
        """The columns that `cameras` needs."""
        return [value for value in (self.intrinsics, self.world_from_camera) if isinstance(value, str)]

    def cameras(self, columns: Mapping[str, Array], frames: int) -> list[Camera | None]:
        """Return one per frame; None where a column says NaN: that frame is not calibrated."""
        intrinsics = _per_frame(self.intrinsics, columns, frames, (3, 3))
        poses = _per_frame(self.world_from_camera, columns, frames, (4, 4))
        if not columns or not self.columns:
            return [Camera(intrinsics[0], poses[0], self.width, self.height)] * frames
        flat = np.hstack([intrinsics.reshape(frames, 9), poses.reshape(frames, 16)])
        known = np.asarray(np.isfinite(flat).all(1))
        for t in np.flatnonzero(known).tolist():
            try:
                check_matrices(intrinsics[t], poses[t], self.width, self.height)
            except ValueError as error:
                raise ValueError(f"{' and '.join(self.columns)}, frame {t}: {error}") from None
        return [Camera(intrinsics[t], poses[t], self.width, self.height) if known[t] else None for t in range(frames)]


def read_sidecar(folder: Path, features: Collection[str]) -> tuple[dict[str, CameraEntry], dict[str, Any]]:
    """Return the cameras by feature, and the entry about the robot; both empty without the file.

    Args:
        folder: of the dataset.
        features: of the dataset, which cameras are named after.

    Raises:
        ValueError: if it is there but not as described above.
    """
    file = folder / FILE
    if not file.is_file():
        return {}, {}
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{FILE} is larger than {MAX_BYTES >> 20} MiB")
    try:
        content = json.loads(decode_text(file.read_bytes(), file.name))
    except (ValueError, RecursionError):
        raise ValueError(f"{FILE} is not JSON, or cut off") from None
    if not isinstance(content, dict) or not all(isinstance(entry, dict) for entry in content.values()):
        raise ValueError(f"{FILE} is not an object with an object per camera")
    robot = content.pop(ROBOT, {})
    _check_names(ROBOT, robot, ROBOT_NAMES)
    cameras: dict[str, CameraEntry] = {}
    for name, entry in content.items():
        key = _feature(name, features)
        if key in cameras:
            raise ValueError(f"{FILE} has {key!r} twice, the second time as {name!r}")
        cameras[key] = _camera(name, entry, features)
    return cameras, robot


def write_camera(folder: Path, camera: str, entry: Mapping[str, Any], features: Collection[str], replace: bool) -> Path:
    """Write one camera into meta/cameras.json of a dataset, in one step, and return the file; the rest of it stays.

    Args:
        folder: of the dataset.
        camera: by its whole or its short name.
        entry: as described above.
        features: of the dataset.
        replace: whether an entry that this camera has may be replaced.

    Raises:
        ValueError: if there is no such camera, it has an entry, or the file is not as described above.
    """
    calibrated, _ = read_sidecar(folder, features)
    key = _feature(camera, features)
    if key in calibrated and not replace:
        raise ValueError(f"{FILE} has the camera {camera} already; --replace replaces it, --out writes another file")
    content = json.loads(decode_text((folder / FILE).read_bytes(), FILE.name)) if (folder / FILE).is_file() else {}
    old = {name: value for name, value in content.items() if name == ROBOT or _feature(name, features) != key}
    kept = {name: value for name, value in content.get(camera, content.get(key, {})).items() if name in DEPTH_NAMES}
    _camera(key, {**entry, **kept}, features)
    write_atomic(folder / FILE, json.dumps({**old, key: {**entry, **kept}}, indent=1) + "\n")
    return folder / FILE


def short_name(feature: str) -> str:
    """Return the short name of a feature, `front` for observation.images.front, fit for a file's name."""
    return re.sub(r"\W", "_", _PLACE.sub("", feature) or feature)


def example(sizes: Mapping[str, Sequence[int]]) -> str:
    """Return the text of a sidecar for cameras of these sizes (width, height), with made-up numbers in it.

    Its camera stands a metre in front of the robot's base (the world), half a metre above it, and looks at it.
    """
    pose = [[0.0, 0.4472, -0.8944, 1.0], [1.0, 0.0, 0.0, 0.0], [0.0, -0.8944, -0.4472, 0.5], [0.0, 0.0, 0.0, 1.0]]
    entries = []
    for key, (width, height) in sizes.items():
        lens = [[float(width), 0.0, width / 2], [0.0, float(width), height / 2], [0.0, 0.0, 1.0]]
        entries.append(
            f' {json.dumps(key)}: {{"convention": "opencv", "width": {width}, "height": {height},\n'
            f'  "intrinsics": {json.dumps(lens)},\n  "world_from_camera": {json.dumps(pose)}}}'
        )
    return "{\n" + ",\n".join(entries) + "\n}"


def column_of(text: str) -> tuple[str, slice]:
    """Return the column and which of its numbers `name`, `name[3]` or `name[0:3]` mean."""
    match = _COLUMN.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} names no column; say name, name[3] or name[0:3]")
    name, start, stop = match.groups()
    if start is None:
        return name, slice(None)
    return name, slice(int(start), int(stop) if stop else int(start) + 1)


def _feature(name: str, features: Collection[str]) -> str:
    """Return the feature that a camera of the sidecar means, by its whole or its short name."""
    if name in features:
        return name
    meant = [feature for feature in features if short_name(feature) == name]
    if len(meant) == 1:
        return meant[0]
    images = [feature for feature in features if short_name(feature) != feature.replace(".", "_")] or list(features)
    raise ValueError(f"{FILE}: no camera {name!r}{_hint(name, [*images, *map(short_name, images), ROBOT])}")


def _hint(name: str, known: Sequence[str]) -> str:
    near = closest(name, known)
    return f"; did you mean {near!r}?" if near else f"; there are {', '.join(known[:8])}"


def _check_names(where: str, entry: Mapping[str, Any], known: Sequence[str]) -> None:
    for name in entry:
        if name not in known:
            raise ValueError(f"{FILE}: {where}: unknown key {name!r}{_hint(name, known)}")


def _camera(key: str, entry: Mapping[str, Any], features: Collection[str]) -> CameraEntry:
    _check_names(key, entry, (*CAMERA_NAMES, *DEPTH_NAMES))
    if entry.get("convention", "opencv") != "opencv":
        raise ValueError(f"{FILE}: {key}: convention {entry['convention']!r}; only 'opencv' is read")
    missing = [name for name in CAMERA_NAMES[1:] if name not in entry]
    if missing:
        raise ValueError(f"{FILE}: {key} lacks {', '.join(missing)}")
    try:
        size = _side(entry, "width"), _side(entry, "height")
        lens = _matrix(entry, "intrinsics", (3, 3))
        pose = _matrix(entry, "world_from_camera", (4, 4))
        check_matrices(lens, pose, *size)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{FILE}: {key}: {error}") from None
    return CameraEntry(*size, lens, pose, *_depth(key, entry, features))


def _depth(key: str, entry: Mapping[str, Any], features: Collection[str]) -> tuple[str, float | None]:
    depth, unit_m = entry.get("depth", ""), entry.get("depth_unit_m")
    if depth and (not isinstance(depth, str) or depth not in features):
        raise ValueError(f"{FILE}: {key}: depth {depth!r} is no feature{_hint(str(depth), list(features))}")
    is_number = isinstance(unit_m, int | float) and not isinstance(unit_m, bool)
    if unit_m is not None and not (is_number and 0 < unit_m <= 1):
        raise ValueError(f"{FILE}: {key}: depth_unit_m is metres per unit (0.001 for millimetres), got {unit_m!r}")
    if unit_m is not None and not depth:
        raise ValueError(f"{FILE}: {key}: depth_unit_m without depth, the feature that it holds for")
    return depth, None if unit_m is None else float(unit_m)


def check_matrices(lens: Array | str, pose: Array | str, width: int, height: int) -> None:
    """Refuse intrinsics (3, 3) or a pose (4, 4) that no camera of such images has; texts stand for columns.

    Args:
        lens: (3, 3) intrinsics in pixels, or the name of a column.
        pose: (4, 4) world_from_camera in metres, or the name of a column.
        width, height: of the images, pixels.

    Raises:
        ValueError: says what is wrong.
    """
    if not isinstance(lens, str):
        if np.abs(lens[[1, 2, 2], [0, 0, 1]]).max() > 1e-6 or abs(lens[2, 2] - 1) > 1e-6:
            raise ValueError("intrinsics must be [[fx, 0, cx], [0, fy, cy], [0, 0, 1]], row by row")
        if not (0 < lens[0, 2] < width and 0 < lens[1, 2] < height):
            middle = f"({lens[0, 2]:g}, {lens[1, 2]:g})"
            raise ValueError(
                f"the principal point {middle} is not in the image of {width} x {height}: width and height must be "
                "those that the intrinsics were calibrated for"
            )
        Camera(lens, np.eye(4), width, height)
    if not isinstance(pose, str):
        if np.abs(pose[3] - [0, 0, 0, 1]).max() > 1e-6:
            raise ValueError("the last row of world_from_camera must be 0, 0, 0, 1: it goes row by row, metres last")
        Camera(np.eye(3), pose, width, height)


def _side(entry: Mapping[str, Any], name: str) -> int:
    value = entry[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or value != int(value) or not 0 < value < 1 << 16:
        raise ValueError(f"{name} must be a whole number of pixels, got {value!r}")
    return int(value)


def _matrix(entry: Mapping[str, Any], name: str, shape: tuple[int, int]) -> Array | str:
    value = entry[name]
    if isinstance(value, str):
        return value
    try:
        matrix = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        matrix = np.zeros(0)
    if matrix.shape != shape:
        raise ValueError(f"{name} must be a {shape} matrix, row by row, or the name of a column")
    if not np.isfinite(matrix).all():
        raise ValueError(f"{name} is not finite")
    return matrix


def _per_frame(value: Array | str, columns: Mapping[str, Array], frames: int, shape: tuple[int, int]) -> Array:
    if not isinstance(value, str):
        return np.broadcast_to(value, (frames, *shape))
    if value not in columns or columns[value].shape != (frames, shape[0] * shape[1]):
        raise ValueError(f"{FILE} names the column {value!r}, which does not hold a {shape} matrix per frame")
    return columns[value].reshape(frames, *shape)
