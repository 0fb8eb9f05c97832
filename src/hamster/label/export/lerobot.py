"""A LeRobotDataset v3.0 with cameras (meta/cameras.json) and paths (`language_events` of style `trace`).

Episodes follow one another in parquet and mp4 files of bounded size, with a row group per episode. What is known of row
groups and frames stays in memory until their file is complete: so a file takes a limited number of episodes.

One frame is the time unit: `timestamp` is the frame's number / fps, as LeRobot wants it; the time at the source is
`source.time_s`.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray
from PIL import Image

from hamster.data import View
from hamster.data.depth import Depth, encode_depth, resize_nearest
from hamster.data.lazy import evenly_spaced
from hamster.data.lerobot import demonstrations
from hamster.data.lerobot.sidecar import FILE as SIDECAR
from hamster.data.video_writer import VideoWriter
from hamster.label.export import lerobot_meta as meta
from hamster.label.export.clips import Clip, Survey, clips, survey
from hamster.label.export.statistics import IMAGES_PER_EPISODE, Statistics
from hamster.label.storage import json_bytes

MAX_DATA_BYTES = 100 << 20
MAX_VIDEO_BYTES = 200 << 20
MAX_EPISODES = 100  # in a file
Rgb = NDArray[np.uint8]


def write(folder: Path, out: Path, frames: int, dialect: str) -> dict[str, int]:
    """Write all episodes and annotated images of a label set as a LeRobotDataset; return counts of what was written.

    Args:
        folder: of the label set.
        out: folder of the dataset.
        frames, dialect: not used.
    """
    del frames, dialect  # every frame has its path, in full precision
    return write_clips(out, survey(folder), clips(folder))


def write_clips(out: Path, overview: Survey, clips: Iterable[Clip | None]) -> dict[str, int]:
    """Write clips as a LeRobotDataset; return counts of what was written.

    Args:
        out: folder of the dataset.
        overview: of all clips.
        clips: read once, in order; None is counted as left out.
    """
    writer = _Writer(out, overview)
    left_out = 0
    try:
        for clip in clips:
            if clip is None:
                left_out += 1
            else:
                writer.add(clip)
    finally:
        writer.close()
    counts = {"episodes": writer.episodes, "rows": writer.rows, "paths": writer.paths, "left_out": left_out}
    if writer.rows:
        writer.describe()
    return {"images": writer.rows * len(overview.cameras), **counts}


class _Writer:
    """Writes one clip after the other, and keeps account."""

    def __init__(self, out: Path, overview: Survey) -> None:
        self.out, self.overview = out, overview
        self.features = meta.features(overview)
        self.videos = overview.longest > 1  # a video of one frame is a bad image
        self.statistics, self.tasks = Statistics(), dict[str, int]()
        self.episodes = self.rows = self.paths = 0
        self._data_file = self._video_file = -1
        self._data_room = self._video_room = 0  # for so many more episodes
        self._data, self._films, self._notes = ExitStack(), ExitStack(), ExitStack()
        self._noted: list[dict[str, Any]] = []
        self._demonstrations: list[dict[str, Any]] = []
        self._demonstration_writer: Any = None
        self._noter: Any = None
        self._sink: Any = None
        self._table_writer: Any = None
        self._video_writers: dict[str, VideoWriter] = {}
        self._still: dict[str, NDArray[np.float64] | None] = {}

    def add(self, clip: Clip) -> None:
        self._open_files()
        began = {key: writer.frames for key, writer in self._video_writers.items()}
        columns = self._image_columns(clip)
        tasks = [self.tasks.setdefault(task, len(self.tasks)) for task in clip.tasks]
        columns |= meta.counters(self.overview.fps, self.episodes, self.rows, tasks)
        if self.overview.robot:
            columns |= {meta.STATE: clip.states, meta.ACTION: clip.actions}
        for name, values in columns.items():
            if isinstance(values, np.ndarray) and not name.startswith(meta.CAMERA):
                self.statistics.add(name, values.reshape(len(clip), -1))
        self._table_writer.write_table(meta.table(self.features, columns, clip, self._image_key(clip)))
        self._noted.append(self._entry(clip, began))
        self._demonstrations.append(clip.demonstration.row(self.episodes))
        self.episodes += 1
        self.rows += len(clip)
        self.paths += sum(len(rows) for rows in clip.traces)

    def close(self) -> None:
        self._data.close()
        self._films.close()
        self._note_episodes()
        self._notes.close()

    def describe(self) -> None:
        """Write everything in meta/ but the episodes, and the card."""
        folder = self.out / "meta"
        pq.write_table(meta.tasks_table(self.tasks), folder / "tasks.parquet")
        info = meta.info(self.overview, self.features, self.videos, self.episodes, self.rows, len(self.tasks))
        (folder / "info.json").write_bytes(json_bytes(info, indent=4))
        (folder / "stats.json").write_bytes(json_bytes(self.statistics.to_json(self.features), indent=4))
        (self.out / SIDECAR).write_bytes(json_bytes(meta.sidecar(self.overview, self._still), indent=1))
        (self.out / "README.md").write_text(meta.CARD)

    def _open_files(self) -> None:
        """Open new files where there are none yet or the last ones are full, and flush what is known of episodes."""
        if len(self._noted) == MAX_EPISODES:
            self._note_episodes()
        if not self._data_room or self._sink.tell() > MAX_DATA_BYTES:
            self._data.close()
            self._data_file, self._data_room = self._data_file + 1, MAX_EPISODES
            self._sink = self._data.enter_context(_made(self.out / meta.data_file(self._data_file)).open("wb"))
            schema = meta.schema(self.features)
            self._table_writer = self._data.enter_context(pq.ParquetWriter(self._sink, schema))
        if self.videos and (not self._video_room or self._video_bytes() > MAX_VIDEO_BYTES):
            self._films.close()
            self._video_file, self._video_room = self._video_file + 1, MAX_EPISODES
            for key in map(meta.image_key, self.overview.cameras):
                file = _made(self.out / meta.video_file(key, self._video_file))
                self._video_writers[key] = self._films.enter_context(VideoWriter(file, self.overview.fps))
        self._data_room, self._video_room = self._data_room - 1, self._video_room - 1

    def _video_bytes(self) -> int:
        return max(writer.size_bytes for writer in self._video_writers.values())

    def _image_columns(self, clip: Clip) -> dict[str, Any]:
        """Go through the frames once: images into the videos, or as PNG into columns; cameras; times."""
        values_of: dict[str, list[Any]] = {}
        sampled = set(evenly_spaced(len(clip), IMAGES_PER_EPISODE))
        for t, observation in enumerate(clip.observations):
            values_of.setdefault(meta.TIME, []).append(observation.time_s)
            for name, view in clip.views(observation, self.overview.only_main).items():
                key, rgb = meta.image_key(name), _sized(view.rgb, self.overview.sizes[name])
                if self.videos:
                    self._video_writers[key].add(rgb, key=t == 0)
                else:
                    values_of.setdefault(key, []).append({"bytes": _png(rgb), "path": None})
                if name in self.overview.with_depth:
                    measured_m = view.depth_m if clip.depth_is_measured else None
                    depth_m = _sized_depth(measured_m, self.overview.sizes[name])
                    cell = {"bytes": encode_depth(depth_m), "path": None}
                    values_of.setdefault(meta.depth_key(name), []).append(cell)
                    if t in sampled:
                        self.statistics.add_depth(meta.depth_key(name), depth_m)
                if t in sampled:
                    self.statistics.add_image(key, rgb)
                if name in self.overview.calibrated:
                    for column, matrix in self._calibration(name, view).items():
                        values_of.setdefault(column, []).append(matrix)
        images = {key for key in values_of if isinstance(values_of[key][0], dict)}
        return {key: values if key in images else np.array(values, np.float64) for key, values in values_of.items()}

    def _calibration(self, name: str, view: View) -> dict[str, NDArray[np.float64]]:
        """Return one frame's calibration, by column, at the written size; note whether it ever changed."""
        camera = view.camera and view.camera.resized(*self.overview.sizes[name])
        lens, pose = np.full((3, 3), np.nan), np.full((4, 4), np.nan)
        if camera:
            lens, pose = camera.intrinsics, camera.world_from_camera
        columns = {meta.camera_column(name, "intrinsics"): lens, meta.camera_column(name, "world_from_camera"): pose}
        for column, matrix in columns.items():
            before = self._still.setdefault(column, matrix)
            if before is not None and not np.array_equal(before, matrix):
                self._still[column] = None
        return {column: matrix.ravel() for column, matrix in columns.items()}

    def _image_key(self, clip: Clip) -> str:
        return meta.image_key(self.overview.cameras[0] if self.overview.only_main else clip.camera)

    def _entry(self, clip: Clip, began: Mapping[str, int]) -> dict[str, Any]:
        """Return the row of meta/episodes."""
        chunk, file = divmod(self._data_file, meta.CHUNK)
        entry = {
            "episode_index": self.episodes,
            "tasks": list(dict.fromkeys(clip.tasks)),
            "length": len(clip),
            "dataset_from_index": self.rows,
            "dataset_to_index": self.rows + len(clip),
            "data/chunk_index": chunk,
            "data/file_index": file,
            "meta/episodes/chunk_index": 0,
            "meta/episodes/file_index": 0,
        }
        chunk, file = divmod(self._video_file, meta.CHUNK)
        for key in self._video_writers:
            entry |= {f"videos/{key}/chunk_index": chunk, f"videos/{key}/file_index": file}
            start = began.get(key, 0)
            entry[f"videos/{key}/from_timestamp"] = start / self.overview.fps
            entry[f"videos/{key}/to_timestamp"] = (start + len(clip)) / self.overview.fps
        return entry

    def _note_episodes(self) -> None:
        """Add rows to meta/episodes."""
        if self._noted:
            table = pa.Table.from_pylist(self._noted)
            if self._noter is None:
                file = _made(self.out / "meta" / "episodes" / "chunk-000" / "file-000.parquet")
                self._noter = self._notes.enter_context(pq.ParquetWriter(file, table.schema))
                file = self.out / demonstrations.FILE
                writer = pq.ParquetWriter(file, demonstrations.SCHEMA)
                self._demonstration_writer = self._notes.enter_context(writer)
            self._noter.write_table(table)
            described = pa.Table.from_pylist(self._demonstrations, demonstrations.SCHEMA)
            self._demonstration_writer.write_table(described)
            self._noted.clear()
            self._demonstrations.clear()


def _made(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def _sized(rgb: Rgb, size: Sequence[int]) -> Rgb:
    """Return an image (H, W, 3) at a (width, height): a dataset has one size per camera."""
    if (rgb.shape[1], rgb.shape[0]) == tuple(size):
        return rgb
    return np.asarray(Image.fromarray(rgb).resize((size[0], size[1]), Image.Resampling.LANCZOS))


def _sized_depth(depth_m: Depth | None, size: tuple[int, int]) -> Depth:
    """Return depth (H, W), metres, at a (width, height), 0 where it is unknown."""
    if depth_m is None:
        return np.zeros(size[::-1], np.float32)
    height, width = depth_m.shape
    known_m = np.where(np.isfinite(depth_m) & (depth_m > 0), depth_m, np.float32(0))
    return known_m if (width, height) == size else resize_nearest(known_m, *size)


def _png(rgb: Rgb) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "PNG")
    return buffer.getvalue()
