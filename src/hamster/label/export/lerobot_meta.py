"""Metadata of a LeRobotDataset v3.0, and the types of its columns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from hamster.data.lerobot.source import SOURCE_TIME
from hamster.data.lerobot.traces import COLUMN as EVENTS
from hamster.data.lerobot.traces import STYLE
from hamster.label.export.clips import Clip, Survey

STATE, ACTION, TIME, CAMERA = "observation.state", "action", SOURCE_TIME, "camera."
PERSISTENT = "language_persistent"
CHUNK = 1000  # files to a folder
DATA_PATH = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
TOOL = ["x", "y", "z", "qw", "qx", "qy", "qz"]
CARD = """---
task_categories: [robotics]
tags: [LeRobot]
configs: [{config_name: default, data_files: data/*/*.parquet}]
---
A LeRobotDataset v3.0 written by HAMSTER. Each frame has, in `language_events`, the path of the end effector from there
to the end of the episode: rows of style `trace`, content `hamster-trace/1`. Cameras are in `meta/cameras.json`. Depth,
where there is any, is in metres: TIFF of 32-bit floats, 0 where nothing was measured.
"""
_COUNTERS = {"timestamp": "float32", "frame_index": "int64", "episode_index": "int64", "index": "int64",
             "task_index": "int64"}  # fmt: skip


def image_key(camera: str) -> str:
    """Return the feature of a camera's images."""
    return f"observation.images.{camera}"


def depth_key(camera: str) -> str:
    """Return the feature of a camera's depth."""
    return f"{image_key(camera)}_depth"


def camera_column(camera: str, what: str) -> str:
    """Return the feature of a camera's calibration."""
    return f"{CAMERA}{camera}.{what}"


def data_file(number: int) -> str:
    """Return relative path of a parquet file."""
    return DATA_PATH.format(chunk_index=number // CHUNK, file_index=number % CHUNK)


def video_file(key: str, number: int) -> str:
    """Return relative path of a video."""
    return VIDEO_PATH.format(video_key=key, chunk_index=number // CHUNK, file_index=number % CHUNK)


def features(overview: Survey) -> dict[str, dict[str, Any]]:
    """Return the features of info.json, in the order of the columns."""
    entries: dict[str, dict[str, Any]] = {}
    for camera in overview.cameras:
        width, height = overview.sizes[camera]
        shape = {"shape": [height, width, 3], "names": ["height", "width", "channels"]}
        described = {"info": _video_info(width, height, overview.fps)} if overview.longest > 1 else {}
        entries[image_key(camera)] = {"dtype": "video" if overview.longest > 1 else "image", **shape, **described}
    for camera in (camera for camera in overview.cameras if camera in overview.with_depth):
        if depth_key(camera) in entries:
            raise ValueError(f"the depth of camera {camera} has the name of another camera: {depth_key(camera)}")
        width, height = overview.sizes[camera]
        shape = {"shape": [height, width, 1], "names": ["height", "width", "channels"]}
        entries[depth_key(camera)] = {"dtype": "image", **shape, "info": {"is_depth_map": True, "depth_unit": "m"}}
    if overview.robot:
        entries[STATE] = {"dtype": "float32", "shape": [8], "names": [*TOOL, "gripper_opening"]}
        entries[ACTION] = {"dtype": "float32", "shape": [8], "names": [*TOOL, "gripper_open"]}
    for camera in overview.cameras:
        if camera in overview.calibrated:
            entries[camera_column(camera, "intrinsics")] = {"dtype": "float64", "shape": [9], "names": None}
            entries[camera_column(camera, "world_from_camera")] = {"dtype": "float64", "shape": [16], "names": None}
    entries[TIME] = {"dtype": "float64", "shape": [1], "names": None}
    if overview.phrasings:
        entries[PERSISTENT] = {"dtype": "language", "shape": [1], "names": None}
    entries[EVENTS] = {"dtype": "language", "shape": [1], "names": None}
    return entries | {name: {"dtype": kind, "shape": [1], "names": None} for name, kind in _COUNTERS.items()}


def counters(fps: int, episode: int, start: int, tasks: Sequence[int]) -> dict[str, NDArray[Any]]:
    """Return the columns that LeRobot fills in itself: (T,) each; `tasks` (T,) are the numbers of what is done.

    Args:
        fps: frames per second.
        episode: its index.
        start: index of its first frame in the dataset.
        tasks: (T,) task numbers.
    """
    frames = len(tasks)
    number = np.arange(frames)
    return {
        "timestamp": (number / fps).astype(np.float32),
        "frame_index": number,
        "episode_index": np.full(frames, episode),
        "index": start + number,
        "task_index": np.array(tasks, np.int64),
    }


def schema(features: Mapping[str, Mapping[str, Any]]) -> Any:
    """Return the columns of the data files."""
    return pa.schema(
        [(name, _type(name, feature)) for name, feature in features.items() if feature["dtype"] != "video"]
    )


def table(features: Mapping[str, Mapping[str, Any]], columns: Mapping[str, Any], clip: Clip, camera_key: str) -> Any:
    """Return one episode's rows.

    Args:
        features: of info.json.
        columns: (T, ...) values by name.
        clip: the episode.
        camera_key: feature of the camera that the paths are on.
    """
    events = [[_row(content, STYLE, camera_key) for content in rows] for rows in clip.traces]
    words = [_row(text, "task_aug", None, role="user") for text in clip.instructions]
    arrays = {}
    for field in schema(features):
        if field.name in (EVENTS, PERSISTENT):
            arrays[field.name] = _language(events if field.name == EVENTS else [words] * len(clip), field.type)
        else:
            values = columns[field.name]
            values = list(values) if isinstance(values, np.ndarray) and values.ndim > 1 else values
            arrays[field.name] = pa.array(values, field.type)
    return pa.table(arrays, schema=schema(features))


def tasks_table(tasks: Mapping[str, int]) -> Any:
    """Return the table of instructions and their numbers, with the instructions as pandas index, as in LeRobot."""
    described = [
        {"name": name, "field_name": name, "pandas_type": kind, "numpy_type": numpy, "metadata": None}
        for name, kind, numpy in (("task_index", "int64", "int64"), ("task", "unicode", "object"))
    ]
    pandas = {"index_columns": ["task"], "column_indexes": [], "columns": described, "pandas_version": "2.2.0"}
    fields = [("task_index", pa.int64()), ("task", pa.string())]
    columns = {"task_index": list(tasks.values()), "task": list(tasks)}
    return pa.table(columns, schema=pa.schema(fields, metadata={"pandas": json.dumps(pandas)}))


def info(
    overview: Survey, features: Mapping[str, Any], videos: bool, episodes: int, frames: int, tasks: int
) -> dict[str, Any]:
    """Return the content of meta/info.json.

    Args:
        overview: of the label set.
        features: by name.
        videos: whether images are stored as video.
        episodes, frames, tasks: their numbers.
    """
    return {
        "codebase_version": "v3.0",
        "robot_type": "unknown",
        "total_episodes": episodes,
        "total_frames": frames,
        "total_tasks": tasks,
        "chunks_size": CHUNK,
        "data_files_size_in_mb": 100,
        "video_files_size_in_mb": 200,
        "fps": overview.fps,
        "splits": {"train": f"0:{episodes}"},
        "data_path": DATA_PATH,
        "video_path": VIDEO_PATH if videos else None,
        "features": dict(features),
    }


def sidecar(overview: Survey, still: Mapping[str, NDArray[np.float64] | None]) -> dict[str, Any]:
    """Return the content of meta/cameras.json: constants in full, else the columns that hold them per frame."""
    entries: dict[str, Any] = {}
    for camera in overview.cameras:
        if camera in overview.calibrated:
            width, height = overview.sizes[camera]
            matrices = {}
            for what in ("intrinsics", "world_from_camera"):
                column = camera_column(camera, what)
                matrix = still.get(column)
                matrices[what] = column if matrix is None else matrix.tolist()
            entries[image_key(camera)] = {"convention": "opencv", "width": width, "height": height, **matrices}
    if overview.robot:
        entries["robot"] = {
            "tool_position": f"{STATE}[0:3]",
            "tool_rotation": f"{STATE}[3:7]",
            "rotation": "quaternion_wxyz",
            "gripper": f"{STATE}[7]",
            "open": 1.0,
            "closed": 0.0,
        }
    return entries


def _video_info(width: int, height: int, fps: int) -> dict[str, Any]:
    even = width % 2 == height % 2 == 0
    return {
        "video.height": height,
        "video.width": width,
        "video.codec": "h264",
        "video.pix_fmt": "yuv420p" if even else "yuv444p",
        "video.is_depth_map": False,
        "video.fps": fps,
        "video.channels": 3,
        "has_audio": False,
    }


def _type(name: str, feature: Mapping[str, Any]) -> Any:
    if feature["dtype"] == "image":
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    if feature["dtype"] == "language":
        return pa.list_(pa.struct(_language_fields(timed=name == PERSISTENT)))
    kind = getattr(pa, feature["dtype"])()
    return kind if feature["shape"] == [1] else pa.list_(kind, feature["shape"][0])


def _language_fields(timed: bool) -> list[Any]:
    """Return the language fields of a row, in LeRobot's order."""
    fields = [pa.field("role", pa.string(), nullable=False), ("content", pa.string()), ("style", pa.string())]
    if timed:
        fields.append(pa.field("timestamp", pa.float32(), nullable=False))
    return [*fields, ("camera", pa.string()), ("tool_calls", pa.list_(pa.json_()))]


def _row(content: str, style: str, camera: str | None, role: str = "assistant") -> dict[str, Any]:
    return {"role": role, "content": content, "style": style, "camera": camera, "timestamp": 0.0}


def _language(rows: Sequence[Sequence[Mapping[str, Any]]], kind: Any) -> Any:
    """Return a column of lists of rows, put together by hand: Arrow cannot make JSON columns out of Python's values."""
    flat = [row for of_frame in rows for row in of_frame]
    fields = list(kind.value_type)
    columns = [pa.array([row.get(f.name) for row in flat], f.type) if f.name != "tool_calls"
               else pa.nulls(len(flat), f.type) for f in fields]  # fmt: skip
    offsets = np.cumsum([0, *(len(of_frame) for of_frame in rows)])
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.StructArray.from_arrays(columns, fields=fields))
