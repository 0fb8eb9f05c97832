"""A label set of demonstrations, packed once into memory-mapped arrays of the frames to train on."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track as progress_bar

from hamster.data import Instruction, View
from hamster.geometry import Camera
from hamster.label.dataset import read_episodes, read_manifest, shards
from hamster.label.episodes import DEPTH_UNIT_M, LabelledEpisode, is_absent
from hamster.path import Path2D
from hamster.policy.config import ActorConfig
from hamster.policy.policy_input import RobotState
from hamster.policy.training.frames import frame_records, missing_input, select_frames, track
from hamster.policy.training.goal import Goal
from hamster.policy.training.trajectory import poses_ahead

Array = NDArray[Any]
FORMAT = 4
META = ["episode", "frame", "first", "key", "phase", "family", "tool", "gripper", "open"]
META += ["target", "target_open", "contact", "last"]
TRACKS = ["tool", "open", "keypose", "time_s", "policy_call"]
CALIBRATION = ["intrinsics", "world_from_camera"]


@dataclass(frozen=True, eq=False)
class PackedDataset:
    """N frames of E episodes.

    Attributes:
        rgb: by camera (N, H, W, 3), memory-mapped.
        depth: by camera (N, H, W) in units of `DEPTH_UNIT_M`, memory-mapped.
        meta: per frame: episode, frame (in its episode), first (row of the episode's first frame), key (was a keypose
            just reached, or is it the first frame), phase (index of the next keypose), family (index into `families`),
            tool (4, 4), gripper (measured), open (commanded at the last keypose), target (4, 4), target_open, contact
            (NaN where unknown), last (is it the last keypose); and, per camera, intrinsics_NAME and
            world_from_camera_NAME, NaN where it is not calibrated.
        tracks: of all F frames of all episodes: start (E + 1,), tool (F, 4, 4), open (F,), keypose (F,), time_s (F,),
            and policy_call (F,), whether a policy would be called there.
        paths: per frame, the path from there to the end.
        families: names of task families.
        instructions: per episode.
        sources: of the label set.
        left_out: number of episodes that lack a camera of the policy's, by what they lack.
    """

    rgb: dict[str, NDArray[np.uint8]]
    depth: dict[str, NDArray[np.uint16]]
    meta: dict[str, Array]
    tracks: dict[str, Array]
    paths: list[Path2D]
    families: list[str]
    instructions: list[list[Instruction]]
    sources: list[str]
    left_out: dict[str, int] = field(default_factory=dict)

    def views(self, row: int, cameras: Sequence[str]) -> dict[str, View]:
        """Return what these cameras saw at a row."""
        return {name: self._view(row, name) for name in cameras}

    def phrasings(self, row: int) -> list[str]:
        """Return the instruction at a row, in all of its phrasings."""
        frame = int(self.meta["frame"][row])
        instructions = self.instructions[self.meta["episode"][row]]
        return [instruction.text for instruction in instructions if instruction.first <= frame < instruction.stop]

    def goal(self, row: int, config: ActorConfig, done: bool = False) -> Goal:
        """Return what came after a row, as an actor of this configuration predicts it.

        Args:
            row: of the dataset.
            config: of the actor.
            done: whether the goal is marked as reached already.
        """
        if config.action_type == "keypose":
            target, target_open, contact = (self.meta[name][row][None] for name in ("target", "target_open", "contact"))
            return Goal(target, target_open, contact, done)
        episode = self.meta["episode"][row]
        span = slice(self.tracks["start"][episode], self.tracks["start"][episode + 1])
        episode_track = {name: self.tracks[name][span] for name in TRACKS}
        poses, is_open = poses_ahead(episode_track, int(self.meta["frame"][row]), config)
        return Goal(poses, is_open, np.full(config.horizon, np.nan), done)

    def previous_state(self, row: int, n_history: int, since: int | None = None) -> RobotState | None:
        """Return the robot at the previous policy call before a row, with `n_history` calls in all.

        Args:
            row: of the dataset.
            n_history: number of calls, at least 1.
            since: row of the same episode, at whose frame the policy is called and before which no call counts; None
                for all calls of the episode.
        """
        start, state = self.tracks["start"][self.meta["episode"][row]], None
        first = start + (0 if since is None else self.meta["frame"][since])
        is_call = self.tracks["policy_call"][first : start + self.meta["frame"][row]].astype(bool)
        if since is not None:
            is_call[:1] = True
        for frame in first + np.flatnonzero(is_call)[-n_history:]:
            is_open = bool(self.tracks["open"][frame])
            state = RobotState(self.tracks["tool"][frame], float(is_open), is_open, state)
        return state

    def used(self, fraction: float) -> NDArray[np.bool_]:
        """Return (N,) True for this fraction of each family's episodes; a larger fraction includes a smaller one."""
        return self._of_episodes(lambda episodes: episodes[: max(1, round(fraction * len(episodes)))])

    def held_out(self, every: int) -> NDArray[np.bool_]:
        """Return (N,) True for each `every`-th episode of each family; none if `every` is 0."""
        return self._of_episodes(lambda episodes: episodes[every - 1 :: every] if every else episodes[:0])

    def _of_episodes(self, select: Callable[[Array], Array]) -> NDArray[np.bool_]:
        by_family = (self.meta["episode"][self.meta["family"] == family] for family in range(len(self.families)))
        selected = [select(np.unique(episodes)) for episodes in by_family]
        return np.isin(self.meta["episode"], np.concatenate(selected))

    def _view(self, row: int, name: str) -> View:
        rgb = self.rgb[name][row]
        depth_m = (self.depth[name][row] * DEPTH_UNIT_M).astype(np.float32) if name in self.depth else None
        intrinsics, pose = (self.meta[f"{part}_{name}"][row] for part in CALIBRATION)
        is_calibrated = not np.isnan(intrinsics).any()
        return View(rgb, depth_m, Camera(intrinsics, pose, rgb.shape[1], rgb.shape[0]) if is_calibrated else None)


def load_packed_dataset(
    data_dir: Path, config: ActorConfig, cache: Path, frames_between: int = 2, estimated_depth: bool = False
) -> PackedDataset:
    """Open the packed form of a label set, made in the folder `cache` if it is not there or of other data.

    Args:
        data_dir: the label set, of kind "episodes".
        config: names the cameras, and whether depth is needed.
        cache: folder of the packed form.
        frames_between: frames kept between two keyposes, besides those at which one was reached; for chunks, which may
            start anywhere, all frames are kept.
        estimated_depth: whether depth that a model estimated is accepted.

    Raises:
        ValueError: if the folder holds no label set of kind "episodes", no episode of a robot, or none with a view of
            that name, or with depth where the policy needs it. Single episodes that lack these are left out, with a
            line on standard error.
    """
    identity = {"shards": list(shards(data_dir)), "cameras": config.cameras, "between": frames_between}
    identity |= {
        "format": FORMAT,
        "depth": config.needs_depth,
        "chunks": config.action_type == "chunk",
        "meta": META,
        "tracks": TRACKS,
    }
    identity |= {"estimated_depth": True} if estimated_depth else {}
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()
    stamp = cache / "stamp.txt"
    if not (stamp.is_file() and stamp.read_text() == digest):
        _write(data_dir, config, cache, frames_between, estimated_depth)
        stamp.write_text(digest)
    return _open(cache, config.cameras)


def _open(cache: Path, cameras: Sequence[str]) -> PackedDataset:
    with np.load(cache / "meta.npz", allow_pickle=False) as stored:
        meta = dict(stored)
    with np.load(cache / "tracks.npz", allow_pickle=False) as stored:
        tracks = dict(stored)
    record = json.loads((cache / "words.json").read_text())
    with_depth = [name for name in cameras if (cache / f"depth_{name}.npy").is_file()]
    return PackedDataset(
        rgb={name: np.load(cache / f"rgb_{name}.npy", mmap_mode="r") for name in cameras},
        depth={name: np.load(cache / f"depth_{name}.npy", mmap_mode="r") for name in with_depth},
        meta=meta,
        tracks=tracks,
        paths=[Path2D.from_json(path) for path in record["paths"]],
        families=record["families"],
        instructions=[[Instruction(*fields) for fields in episode] for episode in record["instructions"]],
        sources=record["sources"],
        left_out=record.get("left_out", {}),
    )


def _write(data_dir: Path, config: ActorConfig, cache: Path, frames_between: int, estimated_depth: bool) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    for old in (file for pattern in ("stamp.txt", "*.npy") for file in cache.glob(pattern)):
        old.unlink()
    selected, left_out = list[list[int]](), Counter[str]()
    for demonstration in _of_robots(data_dir):
        if reason := missing_input(demonstration, config, estimated_depth):
            left_out[reason] += 1
        else:
            selected.append(select_frames(demonstration, config.action_type, frames_between))
    if not selected and not left_out:
        raise ValueError(f"{data_dir} has no episode of a robot whose motion was recorded: nothing to imitate")
    if not selected:
        raise ValueError(left_out.most_common(1)[0][0])
    for reason, count in left_out.items():
        line = f"left out: {count} of {len(selected) + left_out.total()} episodes: {reason}"
        Console(stderr=True).print(line, style="yellow", markup=False, soft_wrap=True)
    total = sum(map(len, selected))
    meta: dict[str, list[Any]] = {}
    tracks: dict[str, list[Array]] = {name: [] for name in TRACKS}
    paths, families, images = list[Any](), list[str](), dict[str, Array]()
    instructions: list[list[Instruction]] = []
    usable = (d for d in _of_robots(data_dir) if not missing_input(d, config, estimated_depth))
    bar = progress_bar(zip(usable, selected, strict=True), "packing demonstrations", total=len(selected))
    for number, (demonstration, frames) in enumerate(bar):
        instructions.append(_instructions(demonstration))
        for record in frame_records(demonstration, frames, config, number, families):
            row = len(paths)
            for name, image in record.images.items():
                _memory_map(images, cache / f"{name}.npy", total, image)[row] = image
            for name, value in (record.meta | {"first": row - record.meta["first"]}).items():
                meta.setdefault(name, []).append(value)
            paths.append(record.path.to_json())
        for name, values in track(demonstration, config.action_type).items():
            tracks[name].append(values)
    for stored in images.values():
        stored.flush()  # type: ignore[attr-defined]
    meta_arrays: dict[str, Any] = {name: np.array(values) for name, values in meta.items()}
    np.savez(cache / "meta.npz", **meta_arrays)
    start = np.cumsum([0, *map(len, tracks["open"])])
    track_arrays: dict[str, Any] = {name: np.concatenate(values) for name, values in tracks.items()}
    np.savez(cache / "tracks.npz", start=start, **track_arrays)
    texts = {
        "paths": paths,
        "families": families,
        "instructions": [[astuple(instruction) for instruction in episode] for episode in instructions],
        "sources": read_manifest(data_dir).get("sources", []),
        "left_out": dict(left_out),
    }
    (cache / "words.json").write_text(json.dumps(texts))


def _of_robots(data_dir: Path) -> Iterator[LabelledEpisode]:
    """Yield the episodes whose motion was recorded, and that have images."""
    return (e for e in read_episodes(data_dir) if e.episode.keyposes is not None and not is_absent(e.episode))


def _instructions(demonstration: LabelledEpisode) -> list[Instruction]:
    """Return the instruction of each frame's path: that of the episode, else that of the first part with that frame."""
    episode = demonstration.episode
    if episode.instructions:
        return [Instruction(text, 0, len(demonstration.labels)) for text in episode.instructions]
    spans = list(dict.fromkeys((part.first, part.stop) for part in episode.parts))
    instructions: list[Instruction] = []
    end = 0
    for first, stop in spans:  # in order: where parts overlap, the earlier one has the path
        if max(first, end) < stop:
            phrasings = [part for part in episode.parts if (part.first, part.stop) == (first, stop)]
            instructions += [replace(part, first=max(first, end)) for part in phrasings]
            end = stop
    return instructions


def _memory_map(images: dict[str, Array], file: Path, total: int, image: Array) -> Array:
    """Return the memory-mapped array for images of this name; ValueError if this one has another size."""
    if file.stem not in images:
        images[file.stem] = np.lib.format.open_memmap(file, "w+", image.dtype, (total, *image.shape))
    stored = images[file.stem]
    if stored.shape[1:] != image.shape:
        raise ValueError(f"{file.stem}: images of {stored.shape[1:]} and of {image.shape}; a policy needs one size")
    return stored
