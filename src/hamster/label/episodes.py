"""Labelled episodes: arrays in an .npz, words and paths in a .json beside it, and a picture of the first frame.

What a camera with depth saw is kept as it was, for the policies that learn from it; any other camera is a video.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path as File
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data import Episode, Keyposes, Observation, Provenance, View
from hamster.data.lazy import LazyObservations
from hamster.data.video import VideoFile
from hamster.data.video_writer import VideoWriter
from hamster.geometry import Camera
from hamster.label.annotated import provenance_json
from hamster.label.gripper import commanded_events, gripper_events, is_open, with_start
from hamster.label.how import How
from hamster.label.keyposes import find_keyposes
from hamster.label.project import Label, Visibility, paths_from_events
from hamster.label.storage import json_bytes, npz_bytes
from hamster.path import Gripper, Path
from hamster.path.draw import draw

DEPTH_UNIT_M = 1e-4
PROJECTED = How("projection")
MOST_BYTES = 1 << 28  # of images of an episode that are kept in memory
_NOTHING = np.zeros((0, 0, 3), np.uint8)


@dataclass(frozen=True, eq=False)
class LabelledEpisode:
    """An episode and, for each of its frames, the path from there to the end on the image of one camera.

    `how` says by which method; the score of each path, where the method gives any, is in `Path.score`.
    """

    episode: Episode
    camera: str
    labels: Sequence[Label]
    task: str
    how: How = PROJECTED


def label_episode(episode: Episode, camera: str | None, epsilon: float) -> LabelledEpisode:
    """Projects the robot's motion into every frame of one camera (the first one, unless named).

    Raises:
        ValueError: if robot, camera or calibration are missing, or an image cannot be read.
    """
    poses, opening = _recorded(episode)
    observations = _at_hand(episode.observations)
    first = observations[0].views
    name = camera or next(iter(first), "")
    if name not in first:
        raise ValueError(f"no camera {name!r}; there are {', '.join(first) or 'none'}")
    seen = [(_calibrated(each.views[name], name), each.views[name].depth_m) for each in observations]
    cameras, depths_m = [camera for camera, _ in seen], [depth_m for _, depth_m in seen]
    labels = paths_from_events(poses, recorded_events(episode, opening), cameras, depths_m, epsilon)
    return LabelledEpisode(replace(episode, observations=observations), name, labels, task_of(episode))


def recorded_events(episode: Episode, opening: NDArray[np.float64]) -> list[tuple[int, Gripper]]:
    """(frame, new state) as the robot recorded it, with (-1, CLOSED) first if it has something to begin with."""
    return with_start(_events(episode, opening), opening)


def task_of(episode: Episode) -> str:
    """The name of its task, "" if the source has none."""
    extra = episode.provenance.extra
    return str(extra.get("task", extra.get("family", "")))


def pack(labelled: LabelledEpisode, stem: str) -> dict[str, bytes]:
    """The files of one episode, by name."""
    observations = labelled.episode.observations
    seen, videos = _seen(observations)
    arrays = {**_robot(labelled.episode), **seen}
    record = {
        "instructions": list(labelled.episode.instructions),
        "task": labelled.task,
        "camera": labelled.camera,
        "labels": [label.to_json() for label in labelled.labels],
        "how": asdict(labelled.how),
        "success": bool(labelled.episode.provenance.extra.get("success", True)),
        "provenance": provenance_json(labelled.episode.provenance),
    }
    rgb = observations[0].views[labelled.camera].rgb
    drawn = io.BytesIO()
    Image.fromarray(draw(rgb, labelled.labels[0].path)).save(drawn, "PNG")
    return {
        f"{stem}.npz": npz_bytes(arrays),
        f"{stem}.json": json_bytes(record),
        **{f"{stem}.{name}.mp4": video for name, video in videos.items()},
        f"drawn/{stem}.png": drawn.getvalue(),
    }


def unpack(folder: File, names: Sequence[str]) -> LabelledEpisode:
    """An episode from the folder of its label set and the names of its files there; images are read when asked for."""
    npz, text = (next(folder / name for name in names if name.endswith(suffix)) for suffix in (".npz", ".json"))
    record = json.loads(text.read_bytes())
    with np.load(npz, allow_pickle=False) as stored:
        small = {name: stored[name] for name in stored.files if not name.startswith(("rgb_", "depth_"))}
    videos = {name.split(".")[-2]: VideoFile(folder / name) for name in names if name.endswith(".mp4")}
    episode = Episode(
        instructions=record["instructions"],
        observations=_Stored(npz, small, videos),
        provenance=Provenance(**record["provenance"]),
        tool_poses_world=small.get("tool_poses_world"),
        gripper=small.get("gripper"),
        keyposes=_keyposes(small),
    )
    labels = [
        Label(
            Path.from_json(label["path"]),
            np.array([Visibility[name.upper()] for name in label["visible"]], np.uint8),
            np.array(label["frames"], np.intp),
        )
        for label in record["labels"]
    ]
    return LabelledEpisode(episode, record["camera"], labels, record["task"], How(**record["how"]))


def _keyposes(small: Mapping[str, NDArray[Any]]) -> Keyposes | None:
    if "keyposes" not in small:
        return None
    return Keyposes(small["keyposes"], small["keypose_open"], small["keypose_index"], small.get("keypose_touches"))


@dataclass(frozen=True)
class _Stored(LazyObservations):
    """Observations in an .npz, decompressed at the first look at one, and in videos."""

    npz: File
    small: dict[str, NDArray[Any]]
    videos: dict[str, VideoFile]

    @cached_property
    def _images(self) -> dict[str, NDArray[Any]]:
        with np.load(self.npz, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files if name.startswith(("rgb_", "depth_"))}

    def __len__(self) -> int:
        return len(self.small["time_s"])

    def read(self, i: int) -> Observation:
        """One frame."""
        small = self.small
        kept = [name.removeprefix("rgb_") for name in self._images if name.startswith("rgb_")]
        views = {name: self._view(name, i) for name in (*kept, *self.videos)}
        pose = small["tool_poses_world"][i] if "tool_poses_world" in small else None
        gripper = float(small["gripper"][i]) if "gripper" in small else None
        return Observation(views, pose, gripper, float(small["time_s"][i]))

    def _view(self, name: str, i: int) -> View:
        rgb = self.videos[name].frame(i) if name in self.videos else self._images[f"rgb_{name}"][i]
        stored = self._images.get(f"depth_mm10_{name}")
        depth_m = None if stored is None else (stored[i] * DEPTH_UNIT_M).astype(np.float32)
        if f"intrinsics_{name}" not in self.small:
            return View(rgb, depth_m)
        pose = self.small[f"world_from_camera_{name}"][i]
        return View(rgb, depth_m, Camera(self.small[f"intrinsics_{name}"], pose, rgb.shape[1], rgb.shape[0]))


def _recorded(episode: Episode) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    if episode.tool_poses_world is None or episode.gripper is None:
        raise ValueError("the robot's tool poses or its gripper were not recorded; paths cannot be projected")
    return episode.tool_poses_world, episode.gripper


def _calibrated(view: View, name: str) -> Camera:
    if view.camera is None:
        raise ValueError(f"camera {name!r} is not calibrated; paths cannot be projected")
    return view.camera


def _events(episode: Episode, opening: NDArray[np.float64]) -> list[tuple[int, Gripper]]:
    """From the commands where the source recorded them, else from the measured opening."""
    if episode.keyposes is not None:
        at_start = np.r_[opening[0] > 0.5, episode.keyposes.gripper_open]
        return commanded_events(at_start[episode.keyposes.next], opening)
    if episode.actions is not None:
        return commanded_events(episode.actions[:, 7] > 0.5, opening)
    return gripper_events(opening)


def _robot(episode: Episode) -> dict[str, NDArray[Any]]:
    """What the robot did; nothing where that was not recorded."""
    if episode.tool_poses_world is None:
        return {}
    poses, opening = _recorded(episode)
    commanded = is_open(_events(episode, opening), opening)
    keyposes = episode.keyposes or find_keyposes(poses, commanded)
    touches = {} if keyposes.touches is None else {"keypose_touches": keyposes.touches}
    return {
        "tool_poses_world": poses,
        "gripper": opening,
        "gripper_open": commanded,
        "keyframe": np.append(False, keyposes.next[1:] != keyposes.next[:-1]),
        "keypose_index": np.minimum(keyposes.next, len(keyposes.gripper_open) - 1),
        "keyposes": keyposes.tool_poses_world,
        "keypose_open": keyposes.gripper_open,
        **touches,
    }


def _at_hand(observations: Sequence[Observation]) -> Sequence[Observation]:
    """In memory where that is no burden, so that each is decoded, or rendered, once."""
    size = sum(view.rgb.nbytes for view in observations[0].views.values()) * len(observations)
    return list(observations) if size <= MOST_BYTES else observations


def _seen(observations: Sequence[Observation]) -> tuple[dict[str, NDArray[Any]], dict[str, bytes]]:
    """What goes into the .npz, and the videos by camera, in one pass over the observations."""
    first, times_s = observations[0].views, list[float]()
    step_s = observations[1].time_s - observations[0].time_s if len(observations) > 1 else 1.0
    fps = min(max(1 / step_s if step_s > 0 else 1.0, 0.1), 240.0)
    kept: dict[str, list[View]] = {name: [] for name in first}
    with TemporaryDirectory() as folder, ExitStack() as stack:
        files = {
            name: File(folder) / f"{i}.mp4" for i, (name, view) in enumerate(first.items()) if view.depth_m is None
        }
        writers = {name: stack.enter_context(VideoWriter(file, fps)) for name, file in files.items()}
        for observation in observations:
            times_s.append(observation.time_s)
            for name in first:
                view = observation.views[name]
                if name in writers:
                    writers[name].add(view.rgb)
                    view = replace(view, rgb=_NOTHING)
                kept[name].append(view)
        stack.close()
        videos = {name: file.read_bytes() for name, file in files.items()}
    arrays = [_view_arrays(name, views) for name, views in kept.items()]
    return {"time_s": np.array(times_s), **{key: value for each in arrays for key, value in each.items()}}, videos


def _view_arrays(name: str, views: Sequence[View]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    if views[0].depth_m is not None:
        arrays[f"rgb_{name}"] = np.stack([view.rgb for view in views])
        unknown = np.zeros_like(views[0].depth_m)
        depths = [unknown if view.depth_m is None else view.depth_m for view in views]
        units = np.nan_to_num(np.stack(depths) / DEPTH_UNIT_M, nan=0.0, posinf=0.0, neginf=0.0).round()
        # 6.5 m and more does not fit into 16 bits, and counts as unknown.
        arrays[f"depth_mm10_{name}"] = np.where((units > 0) & (units < 2**16), units, 0).astype(np.uint16)
    cameras = [view.camera for view in views if view.camera is not None]
    if len(cameras) == len(views):
        arrays[f"intrinsics_{name}"] = cameras[0].intrinsics
        arrays[f"world_from_camera_{name}"] = np.stack([camera.world_from_camera for camera in cameras])
    return arrays
