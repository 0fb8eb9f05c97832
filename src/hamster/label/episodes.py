"""Labelled episodes: arrays in an .npz, words and paths in a .json beside it, and a picture of the first frame.

What a camera with depth saw is kept as it was, for the policies that learn from it; any other camera is a video.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data import Episode, Instruction, Keyposes, Observation, Provenance, View
from hamster.data.estimated_depth import depth_estimator_of
from hamster.data.lazy import LazyObservations, chosen_frames
from hamster.data.video import VideoFile
from hamster.data.video_writer import VideoWriter
from hamster.geometry import Camera
from hamster.label.annotated import provenance_json
from hamster.label.camera_choice import Choice, choose_camera
from hamster.label.frozen import FROZEN, frozen_frames, tips_in_view
from hamster.label.gripper import commanded_events, gripper_events, is_open, with_start
from hamster.label.keyposes import find_keyposes
from hamster.label.method import LabelMethod, Skipped
from hamster.label.nothing_shown import colour_name, is_one_colour, why_nothing_is_shown
from hamster.label.project import Label, paths_from_events
from hamster.label.storage import json_bytes, npz_bytes
from hamster.path import Gripper, Path2D
from hamster.path.draw import draw

DEPTH_UNIT_M = 1e-4
PROJECTED = LabelMethod("projection")
MOST_BYTES = 1 << 28  # of images of an episode that are kept in memory
STILL_M = 0.005  # a tool that moves by less rests
_NOTHING = np.zeros((0, 0, 3), np.uint8)
_SILENT = Label(Path2D(np.full((1, 2), 0.5), np.zeros(1, np.int8)), np.zeros(1, np.uint8), np.zeros(1, np.intp))
REASONS = {
    "without_image": "without an image",
    "damaged": "with a damaged image",
    "of_one_colour": "with an image of one colour",
    "frozen": "whose image stays the same while the tool moves",
    "without_pose": "without a pose of the tool",
    "across_unknown_poses": "whose path leads through poses that are not known",
    "not_calibrated": "without a calibration",
    "without_words": "without words",
    "not_yet_in_view": "before the tool has come into view",
    "no_longer_in_view": "after the tool has left the view",
    "out_of_view": "from which on the tool is out of view",
}
"""Why frames are left out: as counted, and in words."""


@dataclass(frozen=True, eq=False)
class LabelledEpisode:
    """An episode and, for each of its frames, the path from there to the end of its instruction, on one camera.

    Attributes:
        episode: those of its frames that have a path.
        camera: on whose images the paths are.
        labels: (T,) to the end of the episode, if the whole has an instruction; else to the end of the frame's
            first part.
        task: its name, "" if the source has none.
        method: by which the paths were made; the score of each, where the method gives any, is in `Path2D.score`.
        part_labels: for each of the episode's parts, one for each of its frames, to the end of the part.
        left_out: numbers of frames of the episode that were left out, by reason.
    """

    episode: Episode
    camera: str
    labels: Sequence[Label]
    task: str
    method: LabelMethod = PROJECTED
    part_labels: Sequence[Sequence[Label]] = ()
    left_out: Mapping[str, int] = field(default_factory=dict)

    def at(self, frame: int) -> list[tuple[str, Label]]:
        """Return pairs of instruction and path at a frame: of the whole episode first, then of parts."""
        pairs = [(text, self.labels[frame]) for text in self.episode.instructions]
        for part, labels in zip(self.episode.parts, self.part_labels, strict=True):
            if part.first <= frame < part.stop and labels[frame - part.first].shows:
                pairs.append((part.text, labels[frame - part.first]))
        return pairs

    @property
    def first(self) -> tuple[str, Label]:
        """The instruction at the first frame, and its path."""
        return self.at(0)[0]


def label_words(
    episode: Episode, camera: str, method: LabelMethod, paths: Callable[[tuple[int, int]], Sequence[Label]]
) -> LabelledEpisode:
    """Return the episode with a path for each frame and for every instruction that holds there.

    Args:
        episode: to label.
        camera: on whose images the paths are.
        method: by which the paths are made.
        paths: from a span of frames [first, stop) to the path from each of them to the end of the span.
    """
    total = len(episode.observations)
    by_span = {span: paths(span) for span in dict.fromkeys((part.first, part.stop) for part in episode.parts)}
    of_parts = [by_span[part.first, part.stop] for part in episode.parts]
    if episode.instructions or not episode.parts:
        return LabelledEpisode(episode, camera, paths((0, total)), task_of(episode), method, of_parts)
    named: dict[int, Label] = {}
    for part, labels in reversed(list(zip(episode.parts, of_parts, strict=True))):
        named |= zip(range(part.first, part.stop), labels, strict=True)
    spoken = LabelledEpisode(episode, camera, [named.get(t, _SILENT) for t in range(total)], task_of(episode), method,
                             of_parts)  # fmt: skip
    return only(spoken, {"without_words": set(range(total)) - named.keys()})


def only(labelled: LabelledEpisode, without: Mapping[str, Collection[int]]) -> LabelledEpisode:
    """Return the labelled episode without some of its frames, given by the reason for which they are left out."""
    total = len(labelled.labels)
    gone = set[int]()
    left_out = Counter(labelled.left_out)
    for reason, frames in without.items():
        left_out[reason] += len(set(frames) - gone)
        gone |= set(frames)
    if not gone:
        return labelled
    kept = [t for t in range(total) if t not in gone]
    place = np.maximum(np.cumsum([t not in gone for t in range(total)]) - 1, 0)  # of each frame among those kept

    def moved(label: Label) -> Label:
        return replace(label, frames=place[label.frames])

    parts, part_labels = list[Instruction](), list[list[Label]]()
    for part, labels in zip(labelled.episode.parts, labelled.part_labels, strict=True):
        ahead = [moved(labels[t - part.first]) for t in range(part.first, part.stop) if t not in gone]
        if ahead:
            first = int(np.searchsorted(kept, part.first))
            parts.append(Instruction(part.text, first, first + len(ahead)))
            part_labels.append(ahead)
    episode = replace(chosen_frames(replace(labelled.episode, parts=()), kept), parts=tuple(parts))
    labels = [moved(labelled.labels[t]) for t in kept]
    return replace(labelled, episode=episode, labels=labels, part_labels=part_labels,
                   left_out={reason: n for reason, n in left_out.items() if n})  # fmt: skip


def label_episode(episode: Episode, camera: str | Choice | None, epsilon: float) -> LabelledEpisode | Skipped:
    """Project the robot's motion into every frame of which one camera, the best unless chosen, has an image.

    The frames that are left out, since they have no image, no calibration or no words, or the tool is out of view for
    good, are still part of the paths of the others.

    Args:
        episode: with tool poses.
        camera: name of the camera, or the choice; the best one if None.
        epsilon: of the simplification, relative to the image.

    Raises:
        ValueError: if the robot was not recorded, there is no such camera, or an image cannot be read.
    """
    poses = episode.tool_poses_world
    if poses is None:
        raise ValueError("the robot's tool poses were not recorded; paths cannot be projected")
    observations = at_hand(episode.observations)
    episode = replace(episode, observations=observations)
    choice = camera if isinstance(camera, Choice) else choose_camera(episode, camera)
    name, total = choice.name, len(observations)
    views, damaged = list[View | None](), list[int]()
    for observation in observations:  # each is decoded once
        if name in observation.damaged:
            damaged.append(len(views))
        views.append(observation.views.get(name))
    lenses = [None if view is None else view.camera for view in views]
    measured = not depth_estimator_of(episode.provenance)  # estimated depth does not say what is occluded
    depths_m = [view.depth_m if view is not None and measured else None for view in views]
    without = {
        "without_image": [t for t in range(total) if views[t] is None and t not in damaged],
        "damaged": damaged,
        "of_one_colour": [] if is_absent(episode) else [t for t, view in enumerate(views) if _is_blank(view)],
        "frozen": [] if is_absent(episode) else _frozen(views, poses),
        "not_calibrated": [t for t in range(total) if views[t] is not None and lenses[t] is None],
    }
    gone = {t for frames in without.values() for t in frames}
    frames = [t for t in range(total) if t not in gone]
    provenance = episode.provenance
    if not frames:
        return Skipped(provenance.file or provenance.source, _why_no_frame(name, total, without, views))
    seen_by = _filled(lenses)
    why = why_nothing_is_shown(poses[frames, :3, 3], [seen_by[t] for t in frames])
    events = recorded_events(episode)
    if not why and np.ptp(poses[:, :3, 3], axis=0).max() < STILL_M and not [frame for frame, _ in events if frame >= 0]:
        why = "the tool does not move, and its gripper neither opens nor closes"
    if why:
        return Skipped(provenance.file or provenance.source, f"camera {name}: {why}")
    method = replace(PROJECTED, notes=notes_of(episode, choice))
    labelled = label_words(
        episode, name, method, lambda span: paths_from_events(poses, events, seen_by, depths_m, epsilon, span=span)
    )
    return shown(labelled, without)


def notes_of(episode: Episode, choice: Choice) -> tuple[str, ...]:
    """Return what the reader and the choice of the camera have to say about an episode."""
    return (*episode.provenance.extra.get("notes", ()), *filter(None, (choice.note, choice.assumed)))


def shown(labelled: LabelledEpisode, without: Mapping[str, Collection[int]]) -> LabelledEpisode | Skipped:
    """Return the labelled episode without some frames, by reason, and those from which on the tool is out of view."""
    blind = [t for t, label in enumerate(labelled.labels) if not label.shows]
    kept = only(labelled, {**without, "out_of_view": blind})
    if not kept.labels:
        provenance = labelled.episode.provenance
        reasons = ", ".join(f"{n} {REASONS[reason]}" for reason, n in kept.left_out.items())
        return Skipped(provenance.file or provenance.source, f"no frame shows anything: {reasons}")
    return kept


def recorded_events(episode: Episode) -> list[tuple[int, Gripper]]:
    """Return (frame, new state) as the robot recorded it, with (-1, CLOSED) first if it has something to begin with."""
    opening = episode.gripper
    return [] if opening is None else with_start(_events(episode, opening), opening)


def is_absent(episode: Episode) -> bool:
    """Return whether its pictures were left out of the dataset, which is known and needs no look at them."""
    return episode.provenance.extra.get("images") == "absent"


def task_of(episode: Episode) -> str:
    """Return the name of its task, "" if the source has none."""
    extra = episode.provenance.extra
    return str(extra.get("task", extra.get("family", "")))


def pack(labelled: LabelledEpisode, stem: str) -> dict[str, bytes]:
    """Return the files of one episode, by name."""
    observations = labelled.episode.observations
    images, videos = _image_arrays(observations)
    arrays = {**_robot(labelled.episode), **images}
    record = {
        "instructions": list(labelled.episode.instructions),
        "task": labelled.task,
        "camera": labelled.camera,
        "labels": [label.to_json() for label in labelled.labels],
        **({"parts": _parts_json(labelled)} if labelled.episode.parts else {}),
        **({"left_out": dict(labelled.left_out)} if labelled.left_out else {}),
        "how": labelled.method.to_json(),
        "success": bool(labelled.episode.provenance.extra.get("success", True)),
        "provenance": provenance_json(labelled.episode.provenance),
    }
    rgb = observations[0].views[labelled.camera].rgb
    drawn = io.BytesIO()
    Image.fromarray(draw(rgb, labelled.first[1].path)).save(drawn, "PNG")
    return {
        f"{stem}.npz": npz_bytes(arrays),
        f"{stem}.json": json_bytes(record),
        **{f"{stem}.{name}.mp4": video for name, video in videos.items()},
        f"drawn/{stem}.png": drawn.getvalue(),
    }


def unpack(folder: Path, names: Sequence[str]) -> LabelledEpisode:
    """Return an episode from its label set's folder and its file names there; images are read on access."""
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
        parts=tuple(Instruction(part["text"], part["first"], part["stop"]) for part in record.get("parts", ())),
    )
    labels = [Label.from_json(label) for label in record["labels"]]
    of_parts = [
        [Label.from_json(label) for label in part["labels"]] if "labels" in part
        else labels[part["first"] : part["stop"]] for part in record.get("parts", ())
    ]  # fmt: skip
    method, left_out = LabelMethod.from_json(record["how"]), record.get("left_out", {})
    return LabelledEpisode(episode, record["camera"], labels, record["task"], method, of_parts, left_out)


def _parts_json(labelled: LabelledEpisode) -> list[dict[str, Any]]:
    """Return the parts, each with its labels unless they are the episode's own."""
    parts = []
    for part, labels in zip(labelled.episode.parts, labelled.part_labels, strict=True):
        own = labelled.labels[part.first : part.stop]
        same = all(a.path == b.path and np.array_equal(a.frames, b.frames) for a, b in zip(labels, own, strict=True))
        parts.append(vars(part) | ({} if same else {"labels": [label.to_json() for label in labels]}))
    return parts


def _keyposes(small: Mapping[str, NDArray[Any]]) -> Keyposes | None:
    if "keyposes" not in small:
        return None
    return Keyposes(small["keyposes"], small["keypose_open"], small["keypose_index"], small.get("keypose_touches"))


@dataclass(frozen=True)
class _Stored(LazyObservations):
    """Observations in an .npz, decompressed at the first look at one, and in videos."""

    npz: Path
    small: dict[str, NDArray[Any]]
    videos: dict[str, VideoFile]

    @cached_property
    def _images(self) -> dict[str, NDArray[Any]]:
        with np.load(self.npz, allow_pickle=False) as stored:
            return {name: stored[name] for name in stored.files if name.startswith(("rgb_", "depth_"))}

    def __len__(self) -> int:
        return len(self.small["time_s"])

    def read(self, i: int) -> Observation:
        """Return one frame."""
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


def _is_blank(view: View | None) -> bool:
    return view is not None and is_one_colour(view.rgb)


def _frozen(views: Sequence[View | None], tool_poses_world: NDArray[np.float64]) -> list[int]:
    pictures = [None if view is None or _is_blank(view) else view.rgb for view in views]
    lenses = [None if view is None else view.camera for view in views]
    return frozen_frames(pictures, *tips_in_view(tool_poses_world[:, :3, 3], lenses))


def _why_no_frame(name: str, total: int, without: Mapping[str, Collection[int]], views: Sequence[View | None]) -> str:
    if len(without["of_one_colour"]) == total:
        return f"camera {name}: all images are of one colour, {colour_name(next(v.rgb for v in views if v))}"
    if len(without["frozen"]) == total:
        return f"camera {name}: {FROZEN}"
    reasons = ", ".join(f"{len(frames)} {REASONS[reason]}" for reason, frames in without.items() if frames)
    return f"camera {name}: none of {total} frames can be labelled: {reasons}"


def _filled(lenses: Sequence[Camera | None]) -> list[Camera]:
    """Return one per frame; where there is none, the one before, or the first one: no label of such a frame is kept."""
    last = next(lens for lens in lenses if lens is not None)
    filled = []
    for lens in lenses:
        last = last if lens is None else lens
        filled.append(last)
    return filled


def _events(episode: Episode, opening: NDArray[np.float64]) -> list[tuple[int, Gripper]]:
    """Return gripper events from the commands where the source recorded them, else from the measured opening."""
    if episode.keyposes is not None:
        at_start = np.r_[opening[0] > 0.5, episode.keyposes.gripper_open]
        return commanded_events(at_start[episode.keyposes.next], opening)
    if episode.actions is not None:
        return commanded_events(episode.actions[:, 7] > 0.5, opening)
    return gripper_events(opening)


def _robot(episode: Episode) -> dict[str, NDArray[Any]]:
    """Return what the robot did; nothing where that was not recorded."""
    if episode.tool_poses_world is None:
        return {}
    poses, opening = episode.tool_poses_world, episode.gripper
    if opening is None:
        return {"tool_poses_world": poses}
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


def at_hand(observations: Sequence[Observation]) -> Sequence[Observation]:
    """Return the observations in memory where they are few, so that each is decoded, or rendered, once."""
    if not len(observations):
        return observations
    size = sum(view.rgb.nbytes for view in observations[0].views.values()) * len(observations)
    return list(observations) if 0 < size <= MOST_BYTES else observations


def _image_arrays(observations: Sequence[Observation]) -> tuple[dict[str, NDArray[Any]], dict[str, bytes]]:
    """Return what goes into the .npz, and the videos by camera, in one pass over the observations.

    Of a camera that lacks the image of a frame nothing is kept: the one with the paths has them all.
    """
    first, times_s = observations[0].views, list[float]()
    step_s = observations[1].time_s - observations[0].time_s if len(observations) > 1 else 1.0
    fps = min(max(1 / step_s if step_s > 0 else 1.0, 0.1), 240.0)
    kept: dict[str, list[View]] = {name: [] for name in first}
    with TemporaryDirectory() as folder, ExitStack() as stack:
        files = {
            name: Path(folder) / f"{i}.mp4" for i, (name, view) in enumerate(first.items()) if view.depth_m is None
        }
        writers = {name: stack.enter_context(VideoWriter(file, fps)) for name, file in files.items()}
        for observation in observations:
            times_s.append(observation.time_s)
            for name in [name for name in kept if name not in observation.views]:
                del kept[name]
            for name in kept:
                view = observation.views[name]
                if view.rgb.shape != first[name].rgb.shape:
                    raise ValueError(_of_another_size(name, view, first[name]))
                if name in writers:
                    writers[name].add(view.rgb)
                    view = replace(view, rgb=_NOTHING)
                kept[name].append(view)
        stack.close()
        videos = {name: file.read_bytes() for name, file in files.items() if name in kept}
    arrays = [_view_arrays(name, views) for name, views in kept.items()]
    return {"time_s": np.array(times_s), **{key: value for columns in arrays for key, value in columns.items()}}, videos


def _of_another_size(name: str, view: View, first: View) -> str:
    (height, width), (first_height, first_width) = view.rgb.shape[:2], first.rgb.shape[:2]
    return (
        f"camera {name}: an image has {width} x {height}, the first {first_width} x {first_height}; one size is needed"
    )


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
