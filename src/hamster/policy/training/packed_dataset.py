"""A label set of demonstrations, packed once into memory-mapped arrays of the frames worth training on."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from hamster.data import Instruction, View
from hamster.geometry import Camera
from hamster.label.dataset import read_episodes, read_manifest, shards
from hamster.label.episodes import DEPTH_UNIT_M, LabelledEpisode, is_absent
from hamster.path import Path2D
from hamster.policy.config import ActorConfig
from hamster.policy.scene import Body
from hamster.policy.training.frames import chosen, lacking, moments, track_of
from hamster.policy.training.trajectory import poses_ahead

Array = NDArray[Any]
FORMAT = 3
META = ["episode", "frame", "first", "key", "phase", "family", "tool", "gripper", "open"]
META += ["target", "target_open", "touches", "last"]
TRACKS = ["tool", "open", "keypose", "time_s", "asked"]
LENS = ["intrinsics", "world_from_camera"]


@dataclass(frozen=True, eq=False)
class Pack:
    """N frames of E episodes. Arrays of images are memory-mapped; `paths` holds, per frame, the path to the end.

    `meta` has, per frame: episode, frame (in its episode), first (row of the episode's first frame), key (was a keypose
    just reached, or is it the first frame), phase (index of the next keypose), family (index into `families`), tool
    (4, 4), gripper (measured), open (commanded at the last keypose), target (4, 4), target_open, touches (NaN where
    nobody knows), last (is it the last keypose); and, per camera, intrinsics_NAME and world_from_camera_NAME, NaN where
    it is not calibrated.
    `tracks` has all frames of all episodes: start (E + 1,), tool (F, 4, 4), open (F,), keypose (F,), time_s (F,), and
    asked (F,), where a policy would be.
    `left_out` counts the episodes of the label set that lack a camera of the policy's, by what they lack.
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
        """What these cameras saw at a frame."""
        return {name: self._view(row, name) for name in cameras}

    def words(self, row: int) -> list[str]:
        """What is said at a frame, in any of its phrasings."""
        frame = int(self.meta["frame"][row])
        spoken = self.instructions[self.meta["episode"][row]]
        return [each.text for each in spoken if each.first <= frame < each.stop]

    def goal(self, row: int, config: ActorConfig) -> tuple[Array, Array, Array]:
        """What came after a frame, as this actor answers: poses (K, 4, 4), gripper open (K,), and contact (K,)."""
        episode = self.meta["episode"][row]
        span = slice(self.tracks["start"][episode], self.tracks["start"][episode + 1])
        if config.head == "keypose":
            return tuple(self.meta[name][row][None] for name in ("target", "target_open", "touches"))
        tool, is_open, keypose, time_s, _ = (self.tracks[name][span] for name in TRACKS)
        frame, step_s = self.meta["frame"][row], config.step_s
        ahead = poses_ahead(tool, is_open, keypose, time_s, frame, config.head, config.horizon, step_s)
        return *ahead, np.full(config.horizon, np.nan)

    def before(self, row: int, most: int) -> Body | None:
        """The robot when a policy would have been asked before a frame, remembering no more than `most` times."""
        start, before = self.tracks["start"][self.meta["episode"][row]], None
        asked = self.tracks["asked"][start : start + self.meta["frame"][row]]
        for frame in start + np.flatnonzero(asked)[-most:]:
            is_open = bool(self.tracks["open"][frame])
            before = Body(self.tracks["tool"][frame], float(is_open), is_open, before)
        return before

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


def load_pack(data_dir: Path, config: ActorConfig, cache: Path, between: int = 2) -> Pack:
    """Opens the pack of a label set, making it in the folder `cache` if it is not there or of other data.

    Args:
        config: says which cameras are looked through, and whether depth is needed.
        between: frames kept between two keyposes, besides those at which one was reached; a chunk may start anywhere,
            so that for chunks all frames are kept.

    Raises:
        ValueError: if the folder holds no label set of kind "episodes", no episode of a robot, or none with a view of
            that name, or with depth where the policy needs it. Single episodes that lack these are left out, and said.
    """
    made_of = {"shards": list(shards(data_dir)), "cameras": config.cameras, "between": between}
    made_of |= {
        "format": FORMAT,
        "depth": config.needs_depth,
        "chunks": config.head == "chunk",
        "meta": META,
        "tracks": TRACKS,
    }
    digest = hashlib.sha256(json.dumps(made_of).encode()).hexdigest()
    stamp = cache / "stamp.txt"
    if not (stamp.is_file() and stamp.read_text() == digest):
        _write(data_dir, config, cache, between)
        stamp.write_text(digest)
    return _open(cache, config.cameras)


def _open(cache: Path, cameras: Sequence[str]) -> Pack:
    with np.load(cache / "meta.npz", allow_pickle=False) as stored:
        meta = dict(stored)
    with np.load(cache / "tracks.npz", allow_pickle=False) as stored:
        tracks = dict(stored)
    record = json.loads((cache / "words.json").read_text())
    rgb = {name: np.load(cache / f"rgb_{name}.npy", mmap_mode="r") for name in cameras}
    with_depth = [name for name in cameras if (cache / f"depth_{name}.npy").is_file()]
    depth = {name: np.load(cache / f"depth_{name}.npy", mmap_mode="r") for name in with_depth}
    paths = [Path2D.from_json(path) for path in record["paths"]]
    spoken = [[Instruction(*each) for each in episode] for episode in record["instructions"]]
    left_out = record.get("left_out", {})
    return Pack(rgb, depth, meta, tracks, paths, record["families"], spoken, record["sources"], left_out)


def _write(data_dir: Path, config: ActorConfig, cache: Path, between: int) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    for old in (file for kind in ("stamp.txt", "*.npy") for file in cache.glob(kind)):
        old.unlink()
    plan, left_out = list[list[int]](), Counter[str]()
    for each in _of_robots(data_dir):
        if reason := lacking(each, config):
            left_out[reason] += 1
        else:
            plan.append(chosen(each, config.head, between))
    if not plan and not left_out:
        raise ValueError(f"{data_dir} has no episode of a robot whose motion was recorded: nothing to imitate")
    if not plan:
        raise ValueError(left_out.most_common(1)[0][0])
    for reason, count in left_out.items():
        line = f"left out: {count} of {len(plan) + left_out.total()} episodes: {reason}"
        Console(stderr=True).print(line, style="yellow", markup=False, soft_wrap=True)
    total = sum(map(len, plan))
    meta: dict[str, list[Any]] = {}
    tracks: dict[str, list[Array]] = {name: [] for name in TRACKS}
    paths, families, words, images = list[Any](), list[str](), list[list[Instruction]](), dict[str, Array]()
    usable = (each for each in _of_robots(data_dir) if not lacking(each, config))
    progress = track(zip(usable, plan, strict=True), "packing demonstrations", total=len(plan))
    for number, (each, rows) in enumerate(progress):
        words.append(_words(each))
        for frame, seen in moments(each, rows, config, number, families):
            for name, image in seen.items():
                _room(images, cache / f"{name}.npy", total, image)[len(paths)] = image
            frame["first"] = len(paths) - frame["first"]
            paths.append(frame.pop("path"))
            for name, value in frame.items():
                meta.setdefault(name, []).append(value)
        for name, values in track_of(each, config.head).items():
            tracks[name].append(values)
    for stored in images.values():
        stored.flush()  # type: ignore[attr-defined]
    arrays: dict[str, Any] = {name: np.array(values) for name, values in meta.items()}
    np.savez(cache / "meta.npz", **arrays)
    start = np.cumsum([0, *map(len, tracks["open"])])
    arrays = {"start": start, **{name: np.concatenate(values) for name, values in tracks.items()}}
    np.savez(cache / "tracks.npz", **arrays)
    record: dict[str, Any] = {
        "paths": [path.to_json() for path in paths],
        "families": families,
        "left_out": dict(left_out),
    }
    record["instructions"] = [[astuple(each) for each in spoken] for spoken in words]
    record["sources"] = read_manifest(data_dir).get("sources", [])
    (cache / "words.json").write_text(json.dumps(record))


def _of_robots(data_dir: Path) -> Iterator[LabelledEpisode]:
    """Those whose motion was recorded, and that have pictures."""
    return (e for e in read_episodes(data_dir) if e.episode.keyposes is not None and not is_absent(e.episode))


def _words(each: LabelledEpisode) -> list[Instruction]:
    """What goes with the path of each frame: the words for the whole, else those of the first part with that frame."""
    if each.episode.instructions:
        return [Instruction(text, 0, len(each.labels)) for text in each.episode.instructions]
    spans = list(dict.fromkeys((part.first, part.stop) for part in each.episode.parts))
    taken: list[Instruction] = []
    at = 0
    for first, stop in spans:  # in order: where parts overlap, the earlier one has the path
        if max(first, at) < stop:
            phrasings = [part for part in each.episode.parts if (part.first, part.stop) == (first, stop)]
            taken += [replace(part, first=max(first, at)) for part in phrasings]
            at = stop
    return taken


def _room(images: dict[str, Array], file: Path, total: int, image: Array) -> Array:
    """The memory-mapped array that images of this name go into; ValueError if this one has another size."""
    if file.stem not in images:
        images[file.stem] = np.lib.format.open_memmap(file, "w+", image.dtype, (total, *image.shape))
    stored = images[file.stem]
    if stored.shape[1:] != image.shape:
        raise ValueError(f"{file.stem}: images of {stored.shape[1:]} and of {image.shape}; a policy needs one size")
    return stored
