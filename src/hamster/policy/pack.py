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

from hamster.geometry import Camera
from hamster.label.dataset import shards_of
from hamster.path import Path

# Frames on the way are kept up to half-way: nearer to its end, a motion might as well be over.
HALF_WAY, NEAR_M = 0.5, 0.03
HALF_OPEN = 0.5
META = ["episode", "first", "key", "phase", "family", "intrinsics", "world_from_camera", "tool", "gripper", "open"]
META += ["target", "target_open", "last", "previous", "has_previous", "previous_open"]


@dataclass(frozen=True, eq=False)
class Pack:
    """N frames. Arrays of images are memory-mapped; `paths` holds, per frame, the path from there to the end.

    `meta` has, per frame: episode, first (row of the episode's first frame), key (was a keypose just reached, or is it
    the first frame), phase (index of the next keypose), family (index into `families`), intrinsics, world_from_camera,
    tool (4, 4), gripper (measured), open (commanded at the last keypose), target (4, 4), target_open, last (is it the
    last keypose); and when a policy would have been asked the last time: has_previous, previous (4, 4, the tool),
    previous_open (the command).
    """

    rgb: NDArray[np.uint8]
    depth_mm10: NDArray[np.uint16]
    meta: dict[str, NDArray[Any]]
    paths: list[Path]
    families: list[str]

    def camera(self, row: int) -> Camera:
        """The camera of a frame."""
        height, width = self.depth_mm10.shape[1:]
        return Camera(self.meta["intrinsics"][row], self.meta["world_from_camera"][row], width, height)

    def depth_m(self, row: int) -> NDArray[np.float32]:
        """(H, W) metres."""
        metres: NDArray[np.float32] = np.multiply(self.depth_mm10[row], 1e-4, dtype=np.float32)
        return metres

    def held_out(self, every: int) -> NDArray[np.bool_]:
        """(N,) True for the frames of each `every`-th episode of each family; none if `every` is 0."""
        if every == 0:
            return np.zeros(len(self.paths), bool)
        chosen: list[int] = []
        for family in range(len(self.families)):
            chosen += list(np.unique(self.meta["episode"][self.meta["family"] == family])[every - 1 :: every])
        return np.isin(self.meta["episode"], chosen)


def load_pack(data_dir: FilePath, camera: str, cache: FilePath, between: int = 2) -> Pack:
    """Opens the pack of a label set, making it in the folder `cache` if it is not there or of other data.

    Args:
        between: frames kept between two keyposes, besides those at which one was reached.

    Raises:
        ValueError: if the folder holds no label set of kind "episodes", or no view of that name.
    """
    files = [data_dir / name for names in shards_of(data_dir, "episodes") for name in names if name.endswith(".npz")]
    digest = _digest(files, f"{camera} {between} {META}")
    stamp = cache / "stamp.txt"
    if not (stamp.is_file() and stamp.read_text() == digest):
        _write_pack(files, camera, cache, between)
        stamp.write_text(digest)
    return _open_pack(cache)


def _digest(files: Sequence[FilePath], options: str) -> str:
    """Of names, sizes and dates of all files: labels may be written anew."""
    listed = [(p, p.stat()) for file in files for p in (file, file.with_suffix(".json"))]
    listing = "\n".join(f"{p.name} {stat.st_size} {stat.st_mtime_ns}" for p, stat in listed)
    return hashlib.sha256(f"{options}\n{listing}".encode()).hexdigest()


def _open_pack(cache: FilePath) -> Pack:
    with np.load(cache / "meta.npz", allow_pickle=False) as arrays:
        meta = dict(arrays)
    record = json.loads((cache / "paths.json").read_text())
    rgb = np.load(cache / "rgb.npy", mmap_mode="r")
    depth = np.load(cache / "depth.npy", mmap_mode="r")
    return Pack(rgb, depth, meta, [Path.from_json(p) for p in record["paths"]], record["families"])


def _write_pack(files: Sequence[FilePath], camera: str, cache: FilePath, between: int) -> None:
    cache.mkdir(parents=True, exist_ok=True)
    (cache / "stamp.txt").unlink(missing_ok=True)
    plan = [rows for f in files if len(rows := _rows(f, between))]
    total = sum(len(rows) for rows in plan)
    meta: dict[str, list[Any]] = {name: [] for name in META}
    paths: list[Any] = []
    families: list[str] = []
    images: list[NDArray[Any]] = []
    for number, (file, rows) in enumerate(track(list(zip(files, plan, strict=True)), "packing demonstrations")):
        for frame in _frames(file, rows, camera, number, families):
            if not images:
                images = [
                    np.lib.format.open_memmap(cache / name, "w+", value.dtype, (total, *value.shape))
                    for name, value in (("rgb.npy", frame["rgb"]), ("depth.npy", frame["depth"]))
                ]
            images[0][len(paths)], images[1][len(paths)] = frame["rgb"], frame["depth"]
            frame["first"] = len(paths) - frame["offset"]
            paths.append(frame["path"])
            for name in META:
                meta[name].append(frame[name])
    arrays: dict[str, Any] = {name: np.array(values) for name, values in meta.items()}
    np.savez(cache / "meta.npz", **arrays)
    (cache / "paths.json").write_text(json.dumps({"paths": paths, "families": families}))


def _rows(file: FilePath, between: int) -> list[int]:
    """Frames worth training on: the first, those at which a keypose was reached, and some on the way to the next."""
    with np.load(file, allow_pickle=False) as data:
        following, key = data["keypose_index"], data["keyframe"].astype(bool)
        tool, keyposes = data["tool_poses_world"][:, :3, 3], data["keyposes"][:, :3, 3]
    chosen = []
    for index in range(len(keyposes)):
        frames = np.flatnonzero(following == index)
        ahead = np.linalg.norm(tool[frames] - keyposes[index], axis=-1)
        far = ahead > max(NEAR_M, HALF_WAY * ahead.max(initial=0))
        anchors = frames[key[frames]][:1] if index else frames[:1]
        on_the_way = np.setdiff1d(frames[far & ~key[frames]], anchors)
        picks = np.linspace(0, len(on_the_way) - 1, between + 2)[1:-1].round().astype(int)
        chosen += [*anchors, *(on_the_way[picks] if len(on_the_way) else [])]
    return sorted({int(row) for row in chosen})


def _frames(file: FilePath, rows: list[int], camera: str, number: int, families: list[str]) -> Iterator[dict[str, Any]]:
    record = json.loads(file.with_suffix(".json").read_text())
    if record["task"] not in families:
        families.append(record["task"])
    with np.load(file, allow_pickle=False) as stored:
        if f"rgb_{camera}" not in stored:
            names = ", ".join(k[4:] for k in stored if k.startswith("rgb_"))
            raise ValueError(f"{file.name} has no view {camera!r}; there are: {names}")
        data = {k: v for k, v in stored.items() if not k.startswith(("rgb_", "depth_")) or k.endswith(f"_{camera}")}
    asked = np.flatnonzero(data["keyframe"].astype(bool) | (np.arange(len(data["keyframe"])) == 0))
    for offset, row in enumerate(rows):
        phase = int(data["keypose_index"][row])
        before = asked[asked < row][-1:]
        yield {
            "rgb": data[f"rgb_{camera}"][row],
            "depth": data[f"depth_mm10_{camera}"][row],
            "offset": offset,
            "path": record["labels"][row]["path"],
            "episode": number,
            "key": bool(data["keyframe"][row]) or row == 0,
            "phase": phase,
            "family": families.index(record["task"]),
            "intrinsics": data[f"intrinsics_{camera}"],
            "world_from_camera": data[f"world_from_camera_{camera}"][row],
            "tool": data["tool_poses_world"][row],
            "gripper": float(data["gripper"][row]),
            "open": _commanded(data, phase),
            "target": data["keyposes"][phase],
            "target_open": bool(data["keypose_open"][phase]),
            "last": phase == len(data["keyposes"]) - 1,
            "previous": data["tool_poses_world"][before[0] if len(before) else row],
            "has_previous": len(before) > 0,
            "previous_open": _commanded(data, int(data["keypose_index"][before[0]]) if len(before) else phase),
        }


def _commanded(data: dict[str, NDArray[Any]], phase: int) -> bool:
    """What the gripper was told when the keypose before this phase was reached."""
    return bool(data["keypose_open"][phase - 1]) if phase else bool(data["gripper"][0] > HALF_OPEN)
