"""Folders of RGB-D recordings, as RealSense and Open3D tools write them.

    EPISODE/
      rgb/ or color/      PNG, JPEG or WebP
      depth/              16-bit PNG (or TIFF), a file for each colour image: of the same name, or in the same order
      camera.json         or intrinsics.json, camera_intrinsic.json: see below
      instruction.txt     a phrasing a line; else the folder's name

The camera's file has `width`, `height` and either `fx`, `fy`, `ppx` or `cx`, `ppy` or `cy` (RealSense), or
`intrinsic_matrix`, 9 numbers column by column (Open3D), or `intrinsics`, a 3 x 3 matrix row by row. Optional are
`depth_scale` (metres that one unit of depth stands for; without it integers are millimetres), `fps` (30), and
`world_from_camera` (4 x 4, metres, OpenCV axes), without which nothing can be projected. The robot is not recorded:
paths come from tracking, as of videos.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from hamster.data.depth import Depth, check_plausible, decode_depth, fit_depth, to_metres
from hamster.data.images import MAX_BYTES, read_image
from hamster.data.inputs import Inputs
from hamster.data.lazy import LazyObservations
from hamster.data.records import Episode, Observation, Provenance, Unreadable, View
from hamster.data.text import decode_text, instruction_from_name, lines_of, natural_key
from hamster.geometry import Camera

COLOUR, DEPTH = ("rgb", "color", "colour"), "depth"
CAMERA_FILES = ("camera.json", "intrinsics.json", "camera_intrinsic.json")
INSTRUCTION = "instruction.txt"
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp")
FPS = 30.0
VIEW = "camera"
_MAX_TEXT_BYTES = 1 << 20


@dataclass(frozen=True)
class RGBD:
    """The recordings in a folder or below it, one episode each: a `hamster.data.Source`.

    Raises:
        ValueError: if there is none.
    """

    folder: Path
    per_shard: int = 1
    _episodes: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        folder = Path(self.folder)
        parents = {place.parent for name in COLOUR for place in [folder / name, *folder.rglob(name)] if place.is_dir()}
        episodes = sorted((str(p.relative_to(folder)) for p in parents if (p / DEPTH).is_dir()), key=natural_key)
        if not episodes:
            raise ValueError(f"no recording in {folder}: folders rgb (or color) and depth side by side are needed")
        object.__setattr__(self, "folder", folder)
        object.__setattr__(self, "_episodes", tuple(episodes))

    @property
    def uri(self) -> str:
        """rgbd:DIR."""
        return f"rgbd:{self.folder}"

    def __len__(self) -> int:
        return len(self._episodes)

    def __getitem__(self, index: int) -> Episode | Unreadable:
        name = self._episodes[index]
        try:
            return read_recording(self.folder / name, name)
        except (ValueError, OSError) as error:
            return Unreadable(name, str(error))

    def inputs(self, index: int) -> Inputs:
        """Return all images and what describes them."""
        name = self._episodes[index]
        folder = self.folder / name
        described = [folder / file for file in (*CAMERA_FILES, INSTRUCTION)]
        return Inputs(name, [*described, *_files(_colour_folder(folder)), *_files(folder / DEPTH)], name)


def read_recording(folder: Path, name: str) -> Episode:
    """Return one recording as an episode; its images are decoded on access.

    Args:
        folder: of the recording.
        name: for the provenance.

    Raises:
        ValueError: in one line, if there are no images, no camera file, or it is wrong.
    """
    rgb, depth = _files(_colour_folder(folder)), _files(folder / DEPTH)
    if not rgb:
        raise ValueError(f"{name}: no PNG, JPEG or WebP images in {_colour_folder(folder).name}")
    by_stem = {file.stem: file for file in depth}
    if all(file.stem in by_stem for file in rgb):
        depth = [by_stem[file.stem] for file in rgb]
    elif len(depth) != len(rgb):
        raise ValueError(
            f"{name}: {len(rgb)} colour and {len(depth)} depth images of other names: which belong together?"
        )
    lens = _read_lens(folder)
    frames = _Frames(tuple(rgb), tuple(depth), lens)
    height, width, _ = read_image(rgb[0]).shape
    notes = list[str]()
    try:
        check_plausible(frames.depth(0, width, height), depth[0].name)
    except ValueError as error:
        frames, notes = _Frames(tuple(rgb), (), lens), [f"depth of camera {VIEW} is not used: {error}"]
    if lens.world_from_camera is None:
        notes.append("the camera's file has no world_from_camera: nothing can be projected")
    digest = hashlib.sha256("".join(f"{file.name}:{file.stat().st_size}\n" for file in (*rgb, *depth)).encode())
    extra = {"fps": lens.fps, **({"notes": notes} if notes else {})}
    return Episode(
        instructions=_instructions(folder),
        observations=frames,
        provenance=Provenance(f"rgbd:{name}", name, digest.hexdigest(), "", extra),
    )


@dataclass(frozen=True, eq=False)
class _Lens:
    """What the camera's file says."""

    intrinsics: np.ndarray[Any, np.dtype[np.float64]]
    size: tuple[int, int]
    world_from_camera: np.ndarray[Any, np.dtype[np.float64]] | None
    depth_scale: float | None
    fps: float

    def camera(self, width: int, height: int) -> Camera | None:
        """Return the camera for images of this size, None without its pose."""
        if self.world_from_camera is None:
            return None
        return Camera(self.intrinsics, self.world_from_camera, *self.size).resized(width, height)


@dataclass(frozen=True, eq=False)
class _Frames(LazyObservations):
    """Observations of a recording."""

    rgb_files: tuple[Path, ...]
    depth_files: tuple[Path, ...]
    lens: _Lens

    def __len__(self) -> int:
        return len(self.rgb_files)

    def read(self, i: int) -> Observation:
        """Return one frame."""
        rgb = read_image(self.rgb_files[i])
        height, width, _ = rgb.shape
        depth_m = self.depth(i, width, height) if self.depth_files else None
        return Observation({VIEW: View(rgb, depth_m, self.lens.camera(width, height))}, None, None, i / self.lens.fps)

    def depth(self, i: int, width: int, height: int) -> Depth:
        """Return the depth of an image (height, width), metres."""
        file = self.depth_files[i]
        if file.stat().st_size > MAX_BYTES:
            raise ValueError(f"{file.name} is larger than {MAX_BYTES >> 20} MiB")
        stored = decode_depth(file.read_bytes(), file.name)
        return fit_depth(to_metres(stored, file.name, self.lens.depth_scale), width, height, file.name)


def _read_lens(folder: Path) -> _Lens:
    file = next((folder / name for name in CAMERA_FILES if (folder / name).is_file()), None)
    if file is None:
        raise ValueError(f"{folder.name} has no {' or '.join(CAMERA_FILES)}: the intrinsics are needed")
    if file.stat().st_size > _MAX_TEXT_BYTES:
        raise ValueError(f"{file.name} is larger than {_MAX_TEXT_BYTES >> 20} MiB")
    try:
        record = json.loads(decode_text(file.read_bytes(), file.name))
        pose = record.get("world_from_camera")
        lens = _Lens(
            _intrinsics(record),
            (int(record["width"]), int(record["height"])),
            None if pose is None else np.array(pose, np.float64).reshape(4, 4),
            None if record.get("depth_scale") is None else float(record["depth_scale"]),
            float(record.get("fps", FPS)),
        )
        Camera(lens.intrinsics, np.eye(4) if lens.world_from_camera is None else lens.world_from_camera, *lens.size)
    except KeyError as error:
        raise ValueError(f"{file.name} lacks {error.args[0]}") from None
    except (TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"{file.name} describes no camera: {' '.join(str(error).split())[:160]}") from None
    if not 0 < lens.fps <= 1000 or not (lens.depth_scale is None or 0 < lens.depth_scale <= 1):
        raise ValueError(f"{file.name}: fps is frames per second, and depth_scale metres per unit (0.001: millimetres)")
    return lens


def _intrinsics(record: Mapping[str, Any]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Return (3, 3) pixels from RealSense's, Open3D's or our own fields."""
    if "intrinsic_matrix" in record:
        return np.array(record["intrinsic_matrix"], np.float64).reshape(3, 3).T
    if "intrinsics" in record:
        return np.array(record["intrinsics"], np.float64).reshape(3, 3)
    cx = record["ppx"] if "ppx" in record else record["cx"]
    cy = record["ppy"] if "ppy" in record else record["cy"]
    return np.array([[record["fx"], 0, cx], [0, record["fy"], cy], [0, 0, 1]], np.float64)


def _instructions(folder: Path) -> tuple[str, ...]:
    file = folder / INSTRUCTION
    if not file.is_file():
        return (instruction_from_name(folder.resolve().name),)
    if file.stat().st_size > _MAX_TEXT_BYTES:
        raise ValueError(f"{file.name} is larger than {_MAX_TEXT_BYTES >> 20} MiB")
    return tuple(line.strip() for line in lines_of(decode_text(file.read_bytes(), file.name)) if line.strip())


def _colour_folder(folder: Path) -> Path:
    return next((folder / name for name in COLOUR if (folder / name).is_dir()), folder / COLOUR[0])


def _files(folder: Path) -> list[Path]:
    suffixes = (*SUFFIXES, ".tif", ".tiff") if folder.name == DEPTH else SUFFIXES
    return sorted((f for f in folder.glob("*") if f.suffix.lower() in suffixes), key=lambda f: natural_key(f.name))
