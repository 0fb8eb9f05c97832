"""The source: episodes of a LeRobotDataset, each read alone."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hamster.data.lerobot import keypoints
from hamster.data.lerobot.catalogue import Catalogue, Entry, catalogue, inside
from hamster.data.lerobot.columns import column_names, numbers, read_table
from hamster.data.lerobot.frames import Absent, Frames, Images, TableImages, VideoFrames
from hamster.data.lerobot.robot import robot_of
from hamster.data.lerobot.sidecar import CameraEntry, read_sidecar
from hamster.data.records import Episode, Provenance
from hamster.data.unreadable import Unreadable
from hamster.geometry import Camera

Array = NDArray[np.float64]
MAX_FRAMES = 1_000_000  # of an episode: nine hours
_PLACE = re.compile(r"^(?:observation\.)?(?:images?\.|videos?\.)?")
ABSENT = "absent"  # `extra["images"]` of an episode whose videos were left out of the dataset


@dataclass(frozen=True)
class LeRobot:
    """The episodes of a LeRobotDataset v3.0, v2.1 or v2.0, in the order of their numbers: a `hamster.data.Source`.

    Raises:
        ValueError: if there is no dataset, or no episode in it.
    """

    folder: Path

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not (self.folder / "meta" / "info.json").is_file():
            raise ValueError(f"no LeRobotDataset in {self.folder}: meta/info.json is missing; say lerobot:DIR")
        self._catalogue  # noqa: B018  # says now what is wrong with the whole

    @property
    def uri(self) -> str:
        """lerobot:DIR."""
        return f"lerobot:{self.folder}"

    @property
    def per_shard(self) -> int:
        """An episode a file."""
        return 1

    @property
    def _catalogue(self) -> Catalogue:
        return catalogue(str(self.folder), (self.folder / "meta" / "info.json").stat().st_mtime_ns)

    def __len__(self) -> int:
        return len(self._catalogue)

    def __getitem__(self, index: int) -> Episode | Unreadable:
        index = range(len(self))[index]
        name = f"episode {index}"
        try:
            entry = self._catalogue.entry(index)
            name = f"{entry.data}#{entry.number}" if self._catalogue.is_v3 else entry.data
            return _episode(self._catalogue, entry)
        except (ValueError, OSError) as error:
            return Unreadable(name, str(error))

    def keypoints_uv(self, index: int) -> dict[str, Array]:
        """Per camera (T, 2) where the dataset says that the gripper is, relative to the image; {} if it does not.

        To be compared with a projection; what is out of view is outside [0, 1].
        """
        found, entry = self._catalogue, self._catalogue.entry(range(len(self))[index])
        file = inside(found.folder, entry.data)
        column_3d, columns_2d = keypoints.columns_of(column_names(file), found.cameras)
        if column_3d is None:
            return {}
        table = read_table(file, [column_3d, *columns_2d.values()], entry.number)
        good = keypoints.on_gripper(keypoints.read_points(table[column_3d], 3, column_3d))
        return {
            _short(camera): keypoints.read_points(table[name], 2, name)[:, good].mean(1) / _size(found, camera)
            for camera, name in columns_2d.items()
        }


def _episode(found: Catalogue, entry: Entry) -> Episode:
    file = inside(found.folder, entry.data)
    sidecar, described = read_sidecar(found.folder)
    robot = robot_of(found.features, described)
    calibrated = {key: entry for key, entry in sidecar.items() if key in found.cameras}
    wanted = ["timestamp", "task_index", *robot.columns, *(c for e in calibrated.values() for c in e.columns)]
    table = read_table(file, list(dict.fromkeys(wanted)), entry.number)
    frames = _checked_length(len(table), entry)
    columns = {name: numbers(table, name) for name in table.column_names}
    times_s = columns["timestamp"][:, 0] if "timestamp" in columns else np.arange(frames) / found.fps
    if not np.isfinite(times_s).all():
        raise ValueError("column 'timestamp' is not finite")
    poses, gripper = _finite(robot.poses(columns), "tool"), _finite(robot.opening(columns), "gripper")
    cameras = _cameras(calibrated, columns, frames)
    if not cameras and (marked := _from_keypoints(found, entry, file, poses)):
        poses, cameras = marked
    images, absent = _images(found, entry, times_s)
    instructions = _instructions(found, entry, columns.get("task_index"))
    extra = {"task": instructions[0], "episode": entry.number, "robot": str(found.info.get("robot_type") or "")}
    return Episode(
        instructions=instructions,
        observations=Frames(images, cameras, poses, gripper, times_s - times_s[0]),
        provenance=Provenance(
            source=f"lerobot:{found.folder.name}",
            file=entry.data,
            sha256=_digest(str(file), file.stat().st_mtime_ns),
            extra=extra | ({"images": ABSENT} if absent else {}),
        ),
        tool_poses_world=poses,
        gripper=gripper,
    )


def _checked_length(frames: int, entry: Entry) -> int:
    if not 0 < frames <= MAX_FRAMES:
        raise ValueError(f"{frames} frames; an episode has 1 to {MAX_FRAMES:,}")
    if entry.length is not None and entry.length != frames:
        raise ValueError(f"{frames} frames, but the list of episodes says {entry.length}")
    return frames


def _finite(values: Array | None, what: str) -> Array | None:
    if values is not None and not np.isfinite(values).all():
        frame = int(np.argwhere(~np.isfinite(values))[0][0])
        raise ValueError(f"the {what} is not finite at frame {frame}")
    return values


def _cameras(
    sidecar: Mapping[str, CameraEntry], columns: Mapping[str, Array], frames: int
) -> dict[str, Sequence[Camera | None]]:
    return {_short(key): entry.cameras(columns, frames) for key, entry in sidecar.items()}


def _from_keypoints(
    found: Catalogue, entry: Entry, file: Path, poses: Array | None
) -> tuple[Array, dict[str, Sequence[Camera | None]]] | None:
    """Tool poses and cameras out of keypoints, in their world; the tool is where they are, turned as recorded."""
    column_3d, columns_2d = keypoints.columns_of(column_names(file), found.cameras)
    if column_3d is None or not columns_2d:
        return None
    table = read_table(file, [column_3d, *columns_2d.values()], entry.number)
    points = keypoints.read_points(table[column_3d], 3, column_3d)
    good = keypoints.on_gripper(points)
    placed = np.tile(np.eye(4), (len(points), 1, 1)) if poses is None else poses.copy()
    placed[:, :3, 3] = points[:, good].mean(1)
    cameras: dict[str, Sequence[Camera | None]] = {}
    for camera, name in columns_2d.items():
        width, height = _size(found, camera)
        px = keypoints.read_points(table[name], 2, name)
        cameras[_short(camera)] = keypoints.cameras_from_points(points[:, good], px[:, good], (int(width), int(height)))
    return placed, cameras


def _images(found: Catalogue, entry: Entry, times_s: Array) -> tuple[dict[str, Images], bool]:
    """Per camera where its images are, and whether the dataset came without any video."""
    absent = bool(entry.videos) and not (found.folder / "videos").is_dir()
    images: dict[str, Images] = {}
    for key in found.cameras:
        if key not in entry.videos:
            images[_short(key)] = TableImages(found.folder, entry.data, key, entry.number)
        elif absent:
            width, height = _size(found, key)
            images[_short(key)] = Absent(int(height), int(width))
        else:
            video, start_s = entry.videos[key]
            shown_s = times_s if found.is_v3 else times_s - times_s[0]
            images[_short(key)] = VideoFrames.at(inside(found.folder, video), start_s + shown_s)
    return images, absent


def _instructions(found: Catalogue, entry: Entry, task_index: Array | None) -> tuple[str, ...]:
    """Those of the frames, in the order in which they come up; else those that the list of episodes has."""
    if task_index is not None and found.tasks:
        order = dict.fromkeys(int(i) for i in task_index[:, 0])
        missing = [i for i in order if i not in found.tasks]
        if missing:
            raise ValueError(f"task {missing[0]} is not among the {len(found.tasks)} of meta/tasks")
        return tuple(found.tasks[i] for i in order)
    return entry.tasks or ("",)


def _size(found: Catalogue, camera: str) -> Array:
    """(2,) width and height as declared."""
    feature = found.features[camera]
    shape, names = list(feature.get("shape") or ()), list(feature.get("names") or ())
    if len(shape) != 3 or not all(isinstance(side, int) and 0 < side <= 16384 for side in shape):
        raise ValueError(f"meta/info.json: {camera} has the shape {shape}; (height, width, channels) is needed")
    first = "channel" in str(names[0]).lower() if names else shape[0] in (1, 3) and shape[2] not in (1, 3)
    height, width = shape[1:] if first else shape[:2]
    return np.array([width, height], np.float64)


def _short(feature: str) -> str:
    """observation.images.front -> front: named like everywhere else, and fit to be part of a file's name."""
    return re.sub(r"\W", "_", _PLACE.sub("", feature) or feature)


@lru_cache(maxsize=64)
def _digest(file: str, written_ns: int) -> str:
    del written_ns
    with Path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
