"""A label set of demonstrations, packed once into memory-mapped arrays of the frames worth training on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as FilePath
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from hamster.data import View
from hamster.geometry import Camera
from hamster.label.dataset import read_episodes, shards
from hamster.label.episodes import LabelledEpisode
from hamster.path import Gripper, Path
from hamster.policy.config import ActorConfig
from hamster.policy.learning.trajectory import poses_ahead

Array = NDArray[Any]

# Frames on the way are kept up to half-way: nearer to its end, a motion might as well be over.
HALF_WAY, NEAR_M = 0.5, 0.03
HALF_OPEN = 0.5
DEPTH_UNIT_M = 1e-4
META = ["episode", "frame", "first", "key", "phase", "family", "tool", "gripper", "open"]
META += ["target", "target_open", "last", "previous", "has_previous", "previous_open"]
TRACKS = ["tool", "open", "keypose", "time_s"]
LENS = ["intrinsics", "world_from_camera"]


@dataclass(frozen=True, eq=False)
class Pack:
    """N frames of E episodes. Arrays of images are memory-mapped; `paths` holds, per frame, the path to the end.

    `meta` has, per frame: episode, frame (in its episode), first (row of the episode's first frame), key (was a keypose
    just reached, or is it the first frame), phase (index of the next keypose), family (index into `families`), tool
    (4, 4), gripper (measured), open (commanded at the last keypose), target (4, 4), target_open, last (is it the last
    keypose); when a policy would have been asked the last time: has_previous, previous (4, 4, the tool), previous_open
    (the command); and, per camera, intrinsics_NAME and world_from_camera_NAME, NaN where it is not calibrated.
    `tracks` has all frames of all episodes: start (E + 1,), tool (F, 4, 4), open (F,), keypose (F,), time_s (F,).
    """

    rgb: dict[str, NDArray[np.uint8]]
    depth: dict[str, NDArray[np.uint16]]
    meta: dict[str, Array]
    tracks: dict[str, Array]
    paths: list[Path]
    families: list[str]
    instructions: list[list[str]]

    def views(self, row: int, cameras: Sequence[str]) -> dict[str, View]:
        """What these cameras saw at a frame."""
        return {name: self._view(row, name) for name in cameras}

    def goal(self, row: int, config: ActorConfig) -> tuple[Array, Array]:
        """What came after a frame, as this actor answers: poses (K, 4, 4), and whether the gripper is open (K,)."""
        episode = self.meta["episode"][row]
        span = slice(self.tracks["start"][episode], self.tracks["start"][episode + 1])
        if config.head == "keypose":
            return self.meta["target"][row][None], self.meta["target_open"][row][None]
        tool, is_open, keypose, time_s = (self.tracks[name][span] for name in TRACKS)
        frame, step_s = self.meta["frame"][row], config.step_s
        return poses_ahead(tool, is_open, keypose, time_s, frame, config.head, config.horizon, step_s)

    def used(self, share: float) -> NDArray[np.bool_]:
        """(N,) True for the frames of this share of each family's episodes, the same ones for every smaller share."""
        return self._chosen(lambda episodes: episodes[: max(1, round(share * len(episodes)))])

    def held_out(self, every: int) -> NDArray[np.bool_]:
        """(N,) True for the frames of each `every`-th episode of each family; none if `every` is 0."""
        return self._chosen(lambda episodes: episodes[every - 1 :: every] if every else episodes[:0])

    def _chosen(self, choose: Any) -> NDArray[np.bool_]:
        by_family = (self.meta["episode"][self.meta["family"] == family] for family in range(len(self.families)))
        chosen = [choose(np.unique(episodes)) for episodes in by_family]
        return np.isin(self.meta["episode"], np.concatenate(chosen))

    def _view(self, row: int, name: str) -> View:
        rgb = self.rgb[name][row]
        depth_m = (self.depth[name][row] * DEPTH_UNIT_M).astype(np.float32) if name in self.depth else None
        lens, pose = (self.meta[f"{what}_{name}"][row] for what in LENS)
        camera = None if np.isnan(lens).any() else Camera(lens, pose, rgb.shape[1], rgb.shape[0])
        return View(rgb, depth_m, camera)


def load_pack(data_dir: FilePath, config: ActorConfig, cache: FilePath, between: int = 2) -> Pack:
    """Opens the pack of a label set, making it in the folder `cache` if it is not there or of other data.

    Args:
        config: says which cameras are looked through, and whether depth is needed.
        between: frames kept between two keyposes, besides those at which one was reached; a chunk may start anywhere,
            so that for chunks all frames are kept.

    Raises:
        ValueError: if the folder holds no label set of kind "episodes", no episode of a robot, no view of that name, or
            no depth where the policy needs it.
    """
    made_of = {"shards": list(shards(data_dir)), "cameras": config.cameras, "between": between}
    made_of |= {"depth": config.needs_depth, "chunks": config.head == "chunk", "meta": META, "tracks": TRACKS}
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
    stamp = cache / "stamp.txt"
    if not (stamp.is_file() and stamp.read_text() == digest):
        _write(data_dir, config, cache, between)
        stamp.write_text(digest)
    return _open(cache, config.cameras)


def _open(cache: FilePath, cameras: Sequence[str]) -> Pack:
    with np.load(cache / "meta.npz", allow_pickle=False) as stored:
        meta = dict(stored)
    with np.load(cache / "tracks.npz", allow_pickle=False) as stored:
        tracks = dict(stored)
    record = json.loads((cache / "words.json").read_text())
    rgb = {name: np.load(cache / f"rgb_{name}.npy", mmap_mode="r") for name in cameras}
    with_depth = [name for name in cameras if (cache / f"depth_{name}.npy").is_file()]
    depth = {name: np.load(cache / f"depth_{name}.npy", mmap_mode="r") for name in with_depth}
    paths = [Path.from_json(path) for path in record["paths"]]
    return Pack(rgb, depth, meta, tracks, paths, record["families"], record["instructions"])


def _write(data_dir: FilePath, config: ActorConfig, cache: FilePath, between: int) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    for old in (file for kind in ("stamp.txt", "*.npy") for file in cache.glob(kind)):
        old.unlink()
    chunks = config.head == "chunk"
    plan = [_all(each) if chunks else _rows(each, between) for each in _of_robots(data_dir)]
    if not plan:
        raise ValueError(f"{data_dir} has no episode of a robot whose motion was recorded: nothing to imitate")
    total = sum(map(len, plan))
    meta: dict[str, list[Any]] = {}
    tracks: dict[str, list[Array]] = {name: [] for name in TRACKS}
    paths, families, words, images = list[Any](), list[str](), list[list[str]](), dict[str, Array]()
    progress = track(zip(_of_robots(data_dir), plan, strict=True), "packing demonstrations", total=len(plan))
    for number, (each, rows) in enumerate(progress):
        words.append(list(each.episode.instructions))
        for frame, seen in _frames(each, rows, config, number, families):
            for name, image in seen.items():
                _room(images, cache / f"{name}.npy", total, image)[len(paths)] = image
            frame["first"] = len(paths) - frame["first"]
            paths.append(frame.pop("path"))
            for name, value in frame.items():
                meta.setdefault(name, []).append(value)
        for name, values in _track(each, chunks).items():
            tracks[name].append(values)
    for stored in images.values():
        stored.flush()  # type: ignore[attr-defined]
    arrays: dict[str, Any] = {name: np.array(values) for name, values in meta.items()}
    np.savez(cache / "meta.npz", **arrays)
    start = np.cumsum([0, *map(len, tracks["open"])])
    arrays = {"start": start, **{name: np.concatenate(values) for name, values in tracks.items()}}
    np.savez(cache / "tracks.npz", **arrays)
    record = {"paths": [path.to_json() for path in paths], "families": families, "instructions": words}
    (cache / "words.json").write_text(json.dumps(record))


def _of_robots(data_dir: FilePath) -> Iterator[LabelledEpisode]:
    """Those whose motion was recorded."""
    return (each for each in read_episodes(data_dir) if each.episode.keyposes is not None)


def _room(images: dict[str, Array], file: FilePath, total: int, image: Array) -> Array:
    """The memory-mapped array that images of this name go into; ValueError if this one has another size."""
    if file.stem not in images:
        images[file.stem] = np.lib.format.open_memmap(file, "w+", image.dtype, (total, *image.shape))
    stored = images[file.stem]
    if stored.shape[1:] != image.shape:
        raise ValueError(f"{file.stem}: images of {stored.shape[1:]} and of {image.shape}; a policy needs one size")
    return stored


def _all(demonstration: LabelledEpisode) -> list[int]:
    return list(range(len(demonstration.episode.observations)))


def _rows(demonstration: LabelledEpisode, between: int) -> list[int]:
    """Frames worth training on: the first, those at which a keypose was reached, and some on the way to the next."""
    episode = demonstration.episode
    assert episode.keyposes is not None and episode.tool_poses_world is not None
    tool, key = episode.tool_poses_world[:, :3, 3], _keyframes(episode.keyposes.next)
    following = _next(demonstration)
    chosen = []
    for index, keypose in enumerate(episode.keyposes.tool_poses_world[:, :3, 3]):
        frames = np.flatnonzero(following == index)
        ahead = np.linalg.norm(tool[frames] - keypose, axis=-1)
        far = ahead > max(NEAR_M, HALF_WAY * ahead.max(initial=0))
        anchors = frames[key[frames]][:1] if index else frames[:1]
        on_the_way = np.setdiff1d(frames[far & ~key[frames]], anchors)
        picks = np.linspace(0, len(on_the_way) - 1, between + 2)[1:-1].round().astype(int)
        chosen += [*anchors, *(on_the_way[picks] if len(on_the_way) else [])]
    return sorted({int(row) for row in chosen})


def _next(demonstration: LabelledEpisode) -> NDArray[np.int64]:
    """(T,) the keypose that each frame is on its way to, the last one also when it has been reached."""
    keyposes = demonstration.episode.keyposes
    assert keyposes is not None
    return np.minimum(keyposes.next, len(keyposes.gripper_open) - 1)


def _keyframes(following: Array) -> NDArray[np.bool_]:
    return np.append(False, following[1:] != following[:-1])


def _track(demonstration: LabelledEpisode, chunks: bool) -> dict[str, Array]:
    episode = demonstration.episode
    assert episode.tool_poses_world is not None
    following = _next(demonstration)
    times = [seen.time_s for seen in episode.observations] if chunks else range(len(following))
    is_open = _in_force(demonstration, chunks)
    return {"tool": episode.tool_poses_world, "open": is_open, "keypose": following, "time_s": np.array(times, float)}


def _in_force(demonstration: LabelledEpisode, chunks: bool) -> NDArray[np.bool_]:
    """(T,) the gripper's command in force at each frame.

    A keypose includes the wait for the gripper: its command counts once that is over. Chunks wait themselves, and their
    commands begin where the label's events are.
    """
    episode, first = demonstration.episode, demonstration.labels[0]
    if not chunks:
        return np.array([_commanded(demonstration, int(phase)) for phase in _next(demonstration)])
    is_open = np.full(len(episode.observations), _commanded(demonstration, 0))
    for waypoint, state in first.path.events:
        if state is not Gripper.UNKNOWN:
            is_open[first.frames[waypoint] :] = state is Gripper.OPEN
    return is_open


def _frames(
    demonstration: LabelledEpisode, rows: list[int], config: ActorConfig, number: int, families: list[str]
) -> Iterator[tuple[dict[str, Any], dict[str, Array]]]:
    """Of each row what is known, and what the cameras saw."""
    episode = demonstration.episode
    assert episode.keyposes is not None and episode.tool_poses_world is not None and episode.gripper is not None
    keyposes = episode.keyposes
    following, key = _next(demonstration), _keyframes(keyposes.next)
    is_open = _in_force(demonstration, config.head == "chunk")
    if demonstration.task not in families:
        families.append(demonstration.task)
    asked = np.flatnonzero(key | (np.arange(len(key)) == 0))
    for offset, row in enumerate(rows):
        phase = int(following[row])
        before = asked[asked < row][-1:]
        known = {
            "path": demonstration.labels[row].path,
            "episode": number,
            "frame": row,
            "first": offset,  # of its episode, until the rows are counted
            "key": bool(key[row]) or row == 0,
            "phase": phase,
            "family": families.index(demonstration.task),
            "tool": episode.tool_poses_world[row],
            "gripper": float(episode.gripper[row]),
            "open": bool(is_open[row]),
            "target": keyposes.tool_poses_world[phase],
            "target_open": bool(keyposes.gripper_open[phase]),
            "last": phase == len(keyposes.gripper_open) - 1,
            "previous": episode.tool_poses_world[before[0] if len(before) else row],
            "has_previous": len(before) > 0,
            "previous_open": bool(is_open[before[0] if len(before) else row]),
        }
        seen, lenses = _seen(demonstration, row, config)
        yield known | lenses, seen


def _seen(demonstration: LabelledEpisode, row: int, config: ActorConfig) -> tuple[dict[str, Array], dict[str, Array]]:
    """The images of the policy's cameras, and their calibration."""
    views = demonstration.episode.observations[row].views
    images: dict[str, Array] = {}
    lenses: dict[str, Array] = {}
    for name in config.cameras:
        if name not in views:
            raise ValueError(f"the demonstrations have no view {name!r}; there are: {', '.join(views)}")
        view, camera = views[name], views[name].camera
        if config.needs_depth and (view.depth_m is None or camera is None):
            lacking = "depth" if view.depth_m is None else "calibration"
            others = "`image` and `monolithic` do without"
            raise ValueError(f"view {name!r} has no {lacking}, which the {config.family} policy needs; {others}")
        images[f"rgb_{name}"] = view.rgb
        if config.needs_depth and view.depth_m is not None:
            images[f"depth_{name}"] = (view.depth_m / DEPTH_UNIT_M).round().clip(0, 65535).astype(np.uint16)
        lenses[f"intrinsics_{name}"] = np.full((3, 3), np.nan) if camera is None else camera.intrinsics
        lenses[f"world_from_camera_{name}"] = np.full((4, 4), np.nan) if camera is None else camera.world_from_camera
    return images, lenses


def _commanded(demonstration: LabelledEpisode, phase: int) -> bool:
    """What the gripper was told when the keypose before this phase was reached."""
    episode = demonstration.episode
    assert episode.keyposes is not None and episode.gripper is not None
    return bool(episode.keyposes.gripper_open[phase - 1]) if phase else bool(episode.gripper[0] > HALF_OPEN)
