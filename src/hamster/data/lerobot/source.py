"""The source: episodes of a LeRobotDataset, each read alone."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data.images import has_same_shape
from hamster.data.inputs import Inputs
from hamster.data.lerobot import demonstrations, keypoints
from hamster.data.lerobot.columns import column_names, numbers, read_table
from hamster.data.lerobot.demonstrations import read_demonstration
from hamster.data.lerobot.depth import ArrayColumn, DepthFrames, depth_frames
from hamster.data.lerobot.extents import column_extent
from hamster.data.lerobot.frames import Absent, Frames, Images, TableImages, VideoFrames
from hamster.data.lerobot.instructions import SUBTASKS, read_words
from hamster.data.lerobot.joints import find_joints
from hamster.data.lerobot.metadata import MODALITY, DatasetMetadata, EpisodeEntry, dataset_metadata, file_inside
from hamster.data.lerobot.robot import Robot, feature_names, robot_of
from hamster.data.lerobot.sidecar import FILE, CameraEntry, example, read_sidecar, short_name, write_camera
from hamster.data.records import Episode, Provenance, Unreadable
from hamster.data.robots import NO_GRIPPER, UNKNOWN_GRIPPER
from hamster.geometry import Camera

Array = NDArray[np.float64]
MAX_FRAMES = 1_000_000  # of an episode: nine hours
_GROWS = ("total_", "splits")  # entries of meta/info.json that change when an episode is added
SOURCE_TIME = "source.time_s"  # of our exports: when the frame was recorded, while `timestamp` counts frames
JOINTS_ADVICE = (
    "the dataset records joints and no tool poses, so nothing can be projected, and the tip is tracked in the images: "
    "name the robot to project, --robot so101 or --robot-model FILE --tool NAME"
)
ABSENT = "absent"  # `extra["images"]` of an episode whose videos were left out of the dataset


@dataclass(frozen=True)
class LeRobot:
    """The episodes of a LeRobotDataset v3.0, v2.1 or v2.0, in the order of their numbers: a `hamster.data.Source`.

    Raises:
        ValueError: if there is no dataset, no episode in it, or its meta/cameras.json is wrong.
    """

    folder: Path
    _written_ns: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not (self.folder / "meta" / "info.json").is_file():
            raise ValueError(f"no LeRobotDataset in {self.folder}: meta/info.json is missing; say lerobot:DIR")
        object.__setattr__(self, "_written_ns", (self.folder / "meta" / "info.json").stat().st_mtime_ns)
        dataset = self._metadata  # says now what is wrong with the whole
        sidecar, described = read_sidecar(self.folder, dataset.features)
        _of_images(dataset, sidecar)
        robot_of(dataset.features, described, _robot_type(dataset))

    @property
    def uri(self) -> str:
        """lerobot:DIR."""
        return f"lerobot:{self.folder}"

    @property
    def per_shard(self) -> int:
        """An episode a file."""
        return 1

    @property
    def _metadata(self) -> DatasetMetadata:
        written_ns = (self.folder / "meta" / "info.json").stat().st_mtime_ns
        if written_ns != self._written_ns:  # its episodes may have other numbers now
            raise ValueError(f"{self.folder} was written to while it was read; run the same command again")
        return dataset_metadata(str(self.folder), written_ns)

    def __len__(self) -> int:
        return len(self._metadata)

    def __getitem__(self, index: int) -> Episode | Unreadable:
        index = range(len(self))[index]
        name = f"episode {index}"
        try:
            entry = self._metadata.entry(index)
            name = f"{entry.data}#{entry.number}" if self._metadata.is_v3 else entry.data
            return _episode(self._metadata, entry)
        except (ValueError, OSError) as error:
            return Unreadable(name, str(error))

    def inputs(self, index: int) -> Inputs:
        """Return the files that hold the episode, its calibration, and what the dataset says of it."""
        dataset = self._metadata
        entry = dataset.entry(range(len(self))[index])
        name = f"{entry.data}#{entry.number}" if dataset.is_v3 else entry.data
        videos = [video.file for video in entry.videos.values()]
        files = [file_inside(dataset.folder, file) for file in dict.fromkeys([entry.data, *videos])]
        info = {key: value for key, value in dataset.info.items() if not key.startswith(_GROWS)}
        tasks = {number: text for number, text in dataset.tasks.items() if text in entry.tasks}
        if dataset.annotations or len(set(tasks.values())) < max(1, len(set(entry.tasks))):
            tasks = dataset.tasks
        gripper = _robot(dataset).gripper  # whose unit follows from all episodes
        gripper_text = "None" if gripper is None else gripper.digest_text()
        facts = json.dumps([entry.digest_text(), info, sorted(tasks.items()), gripper_text])
        meta = dataset.folder / "meta"
        modality = [meta / MODALITY] if (meta / MODALITY).is_file() else []
        described = [f for f in [dataset.folder / demonstrations.FILE] if f.is_file()]
        return Inputs(name, [*files, dataset.folder / FILE, meta / SUBTASKS, *modality, *described], facts)

    @property
    def advice(self) -> str:
        """A hint on what is missing to project its episodes, and how to supply it; "" if nothing is."""
        dataset = self._metadata
        _, described = read_sidecar(dataset.folder, dataset.features)
        if robot_of(dataset.features, described).position is None:
            return JOINTS_ADVICE if find_joints(dataset.features, feature_names) else ""
        if (dataset.folder / FILE).is_file():
            return ""
        column_3d, columns_2d = keypoints.columns_of(list(dataset.features), dataset.cameras)
        if column_3d is not None and columns_2d:
            return ""
        sides = {key: _size(dataset, key).astype(int).tolist() for key in dataset.cameras}
        return (
            f"{dataset.folder / FILE} is missing: the dataset says where the tool is, but not where the cameras are, "
            "so nothing can be projected, and the tip is tracked in the images. To project, write that file, with your "
            "own numbers in the place of these; for a camera that moves, name the column with its 16 numbers per row:\n"
            f"{example(sides)}"
        )

    def write_camera(self, camera: str, entry: Mapping[str, Any], replace: bool = False) -> Path:
        """Write a camera's calibration into meta/cameras.json, which later readings use.

        Args:
            camera: by the name of its views.
            entry: as in that file.
            replace: whether its present calibration may be replaced.

        Raises:
            ValueError: if there is no such camera, or it is calibrated.
        """
        return write_camera(self.folder, camera, entry, self._metadata.features, replace)

    def keypoints_uv(self, index: int) -> dict[str, Array]:
        """Return per camera where the dataset's keypoints see the gripper (T, 2), relative to the image; {} without.

        To be compared with a projection; what is out of view is outside [0, 1].
        """
        dataset, entry = self._metadata, self._metadata.entry(range(len(self))[index])
        file = file_inside(dataset.folder, entry.data)
        column_3d, columns_2d = keypoints.columns_of(column_names(file), dataset.cameras)
        if column_3d is None:
            return {}
        table = read_table(file, [column_3d, *columns_2d.values()], entry.number)
        good = keypoints.on_gripper(keypoints.read_points(table[column_3d], 3, column_3d))
        return {
            short_name(camera): keypoints.read_points(table[name], 2, name)[:, good].mean(1) / _size(dataset, camera)
            for camera, name in columns_2d.items()
        }


def _episode(dataset: DatasetMetadata, entry: EpisodeEntry) -> Episode:
    file = file_inside(dataset.folder, entry.data)
    sidecar, _ = read_sidecar(dataset.folder, dataset.features)
    robot, robot_type = _robot(dataset), _robot_type(dataset)
    calibrated = _of_images(dataset, sidecar)
    joints = find_joints(dataset.features, feature_names)
    named = [
        "timestamp",
        "frame_index",
        SOURCE_TIME,
        *robot.columns,
        *(c for e in calibrated.values() for c in e.columns),
    ]
    columns_to_read = [*named, *(joints.columns if joints else ())]
    table = read_table(file, list(dict.fromkeys(columns_to_read)), entry.number)
    frames = _checked_length(len(table), entry)
    columns = _numbers(table, optional=set(joints.columns if joints else ()) - set(named))
    clocks = _clocks(dataset, entry, columns, frames)
    times_s = next(iter(clocks.values()))
    recorded_s = columns[SOURCE_TIME][:, 0] if SOURCE_TIME in columns else times_s
    if not (np.isfinite(recorded_s).all() and (np.diff(recorded_s) > 0).all()):
        recorded_s = times_s
    demonstration = read_demonstration(dataset.folder, entry.number, frames)
    poses, gripper = robot.poses(columns), robot.opening(columns)
    cameras = _cameras(calibrated, columns, frames)
    if not cameras and (marked := _from_keypoints(dataset, entry, file, poses)):
        poses, cameras = marked
    images, absent, clock = _images(dataset, entry, clocks)
    unmarked = [key for key in dataset.cameras if _is_depth(images[short_name(key)])]
    if len(unmarked) == len(images):
        unmarked = []
    images = {name: of for name, of in images.items() if name not in map(short_name, unmarked)}
    depth, depth_notes = _depth(dataset, entry, unmarked, sidecar, clocks[clock])
    instructions, parts = read_words(dataset, entry, times_s)
    task = (*instructions, *(part.text for part in parts))[0]
    extra = {"task": demonstration.task or task, "episode": entry.number, "robot": robot_type}
    notes = list[str]()
    if clock != "timestamp":
        notes.append(f"the rows' times do not increase, or do not fit the images: matched by {clock} / fps")
    notes += depth_notes
    if poses is not None and not cameras:
        notes.append(f"{FILE} {'names none of its cameras' if (dataset.folder / FILE).is_file() else 'is missing'}")
    if robot.gripper is not None and gripper is None:
        notes.append(UNKNOWN_GRIPPER)
    if robot.gripper is None and poses is not None:
        notes.append(NO_GRIPPER)
    return Episode(
        instructions=instructions,
        observations=Frames(images, cameras, poses, gripper, recorded_s - recorded_s[0], depth),
        provenance=Provenance(
            source=f"lerobot:{dataset.folder.name}",
            file=entry.data,
            sha256=_digest(str(file), file.stat().st_mtime_ns),
            extra=extra | ({"images": ABSENT} if absent else {}) | ({"notes": notes} if notes else {}),
        ),
        tool_poses_world=poses,
        gripper=gripper,
        keyposes=demonstration.keyposes,
        joints=joints.read(columns, column_extent(dataset, joints.state), robot_type) if joints else None,
        parts=parts,
    )


def _numbers(table: Any, optional: Set[str]) -> dict[str, Array]:
    """Return the columns (T, D); of those that are optional, the ones that hold numbers alone."""
    columns: dict[str, Array] = {}
    for name in table.column_names:
        try:
            columns[name] = numbers(table, name)
        except ValueError:
            if name not in optional:
                raise
    return columns


def _robot(dataset: DatasetMetadata) -> Robot:
    _, described = read_sidecar(dataset.folder, dataset.features)
    return robot_of(dataset.features, described, _robot_type(dataset), partial(column_extent, dataset))


def _robot_type(dataset: DatasetMetadata) -> str:
    return str(dataset.info.get("robot_type") or "")


def _of_images(dataset: DatasetMetadata, sidecar: Mapping[str, CameraEntry]) -> dict[str, CameraEntry]:
    """Return the entries of colour cameras; ValueError if one was calibrated for images of another shape."""
    calibrated = {key: entry for key, entry in sidecar.items() if key in dataset.cameras}
    for key, entry in calibrated.items():
        width, height = _size(dataset, key).tolist()
        if not has_same_shape((entry.width, entry.height), (width, height)):
            raise ValueError(
                f"{FILE}: {key} was calibrated for images of {entry.width} x {entry.height}, but they have "
                f"{width:g} x {height:g}: another shape, not only another scale"
            )
    return calibrated


def _clocks(
    dataset: DatasetMetadata, entry: EpisodeEntry, columns: Mapping[str, Array], frames: int
) -> dict[str, Array]:
    """Return when each row (T,) was recorded, seconds: as stored, and as numbered; only clocks that increase.

    Raises:
        ValueError: if a time is not finite, or images are to be dataset by times, and these do not increase.
    """
    times_s = columns["timestamp"][:, 0] if "timestamp" in columns else np.arange(frames) / dataset.fps
    if not np.isfinite(times_s).all():
        raise ValueError("column 'timestamp' is not finite")
    clocks = {"timestamp": times_s}
    if "frame_index" in columns:
        clocks["frame_index"] = columns["frame_index"][:, 0] / dataset.fps
    going = {clock: of for clock, of in clocks.items() if (np.diff(of) > 0).all()}
    if not going and not entry.videos:
        return {"timestamp": np.arange(frames) / dataset.fps}
    if not going:
        stuck = int(np.flatnonzero(~(np.diff(times_s) > 0))[0]) + 1
        raise ValueError(
            f"the times of the rows do not increase at frame {stuck}: which images belong to them is unknown"
        )
    return going


def _checked_length(frames: int, entry: EpisodeEntry) -> int:
    if not 0 < frames <= MAX_FRAMES:
        raise ValueError(f"{frames} frames; an episode has 1 to {MAX_FRAMES:,}")
    if entry.length is not None and entry.length != frames:
        raise ValueError(f"{frames} frames, but the list of episodes says {entry.length}")
    return frames


def _cameras(
    sidecar: Mapping[str, CameraEntry], columns: Mapping[str, Array], frames: int
) -> dict[str, Sequence[Camera | None]]:
    return {short_name(key): entry.cameras(columns, frames) for key, entry in sidecar.items()}


def _from_keypoints(
    dataset: DatasetMetadata, entry: EpisodeEntry, file: Path, poses: Array | None
) -> tuple[Array, dict[str, Sequence[Camera | None]]] | None:
    """Return tool poses and cameras from keypoints, in their world; orientations are as recorded."""
    column_3d, columns_2d = keypoints.columns_of(column_names(file), dataset.cameras)
    if column_3d is None or not columns_2d:
        return None
    table = read_table(file, [column_3d, *columns_2d.values()], entry.number)
    points = keypoints.read_points(table[column_3d], 3, column_3d)
    good = keypoints.on_gripper(points)
    placed = np.tile(np.eye(4), (len(points), 1, 1)) if poses is None else poses.copy()
    placed[:, :3, 3] = points[:, good].mean(1)
    cameras: dict[str, Sequence[Camera | None]] = {}
    for camera, name in columns_2d.items():
        width, height = _size(dataset, camera)
        px = keypoints.read_points(table[name], 2, name)
        cameras[short_name(camera)] = keypoints.cameras_from_points(
            points[:, good], px[:, good], (int(width), int(height))
        )
    return placed, cameras


def _images(
    dataset: DatasetMetadata, entry: EpisodeEntry, clocks: Mapping[str, Array]
) -> tuple[dict[str, Images], bool, str]:
    """Return per camera its images; whether the dataset came without any video; and the clock they are found by.

    The rows' own times count. Their numbers do only where the times do not go on, or do not fit: no row has an image by
    these, or several share one although each has its own by its number.
    """
    absent = bool(entry.videos) and not (dataset.folder / "videos").is_dir()
    by_clock = {
        clock: {short_name(key): _camera_images(dataset, entry, key, times_s, absent) for key in dataset.cameras}
        for clock, times_s in clocks.items()
    }
    videos = {clock: [video for video in images.values() if isinstance(video, VideoFrames)]
             for clock, images in by_clock.items()}  # fmt: skip
    first, *others = by_clock
    shown = [video for video in videos[first] if (video.numbers >= 0).any()]
    better = list[str]()
    if shown and not all(video.in_order for video in shown):
        better = [c for c in others if all(video.in_order and not video.lacking for video in videos[c])]
    elif videos[first] and not shown:
        same_rate = [c for c in others if np.ptp(clocks[c] - clocks[first]) < 0.5 / dataset.fps]  # else they contradict
        better = [c for c in same_rate if any(video.in_order for video in videos[c])]
    clock = better[0] if better else first
    return by_clock[clock], absent, clock


def _camera_images(dataset: DatasetMetadata, entry: EpisodeEntry, key: str, times_s: Array, absent: bool) -> Images:
    if key not in entry.videos:
        return TableImages(dataset.folder, entry.data, key, entry.number)
    if absent:
        width, height = _size(dataset, key)
        return Absent(int(height), int(width))
    video = entry.videos[key]
    steps_s = np.diff(times_s)
    step_s = float(np.median(steps_s)) if len(steps_s) and np.median(steps_s) > 0 else 1 / dataset.fps
    window_s = video.start_s, video.end_s
    return VideoFrames.at(file_inside(dataset.folder, video.file), video.start_s + times_s, step_s, window_s)


def _is_depth(images: Images) -> bool:
    return isinstance(images, TableImages) and images.is_depth


def _depth(
    dataset: DatasetMetadata,
    entry: EpisodeEntry,
    unmarked: Sequence[str],
    sidecar: Mapping[str, CameraEntry],
    times_s: Array,
) -> tuple[dict[str, DepthFrames], list[str]]:
    """Return the depth of each camera that has it, and notes on depth that is not used.

    Args:
        dataset: to read from.
        entry: of the episode.
        unmarked: features of 16-bit images that meta/info.json takes for colour cameras.
        sidecar: by feature, which may name the depth of a camera.
        times_s: (T,) of the rows, by the clock that fits the images.
    """
    features = dataset.depth_features | {key: dataset.features[key] for key in unmarked}
    sizes = {
        short_name(key): _size(dataset, key).astype(int).tolist() for key in dataset.cameras if key not in unmarked
    }
    stated = {short_name(key): (of.depth, of.depth_unit_m) for key, of in sidecar.items() if of.depth}
    absent = bool(entry.videos) and not (dataset.folder / "videos").is_dir()
    return depth_frames(
        features,
        {name: (width, height) for name, (width, height) in sizes.items()},
        stated,
        lambda key: _camera_images(dataset, entry, key, times_s, absent),
        lambda key, shape: ArrayColumn(dataset.folder, entry.data, key, entry.number, shape),
        len(times_s),
    )


def _size(dataset: DatasetMetadata, camera: str) -> Array:
    """Return (2,) width and height as declared."""
    feature = dataset.features[camera]
    shape, names = list(feature.get("shape") or ()), list(feature.get("names") or ())
    if len(shape) != 3 or not all(isinstance(side, int) and 0 < side <= 16384 for side in shape):
        raise ValueError(f"meta/info.json: {camera} has the shape {shape}; (height, width, channels) is needed")
    first = "channel" in str(names[0]).lower() if names else shape[0] in (1, 3) and shape[2] not in (1, 3)
    height, width = shape[1:] if first else shape[:2]
    return np.array([width, height], np.float64)


@lru_cache(maxsize=64)
def _digest(file: str, written_ns: int) -> str:
    del written_ns
    with Path(file).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
