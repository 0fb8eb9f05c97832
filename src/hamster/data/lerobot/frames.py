"""The observations of one LeRobot episode, decoded when they are indexed."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from hamster.data.images import FORMATS, FORMATS_TEXT, MAX_BYTES, MAX_PIXELS, read_image
from hamster.data.lazy import LazyObservations
from hamster.data.lerobot.catalogue import inside
from hamster.data.lerobot.columns import read_table
from hamster.data.records import Observation, View
from hamster.data.video import VideoFile
from hamster.geometry import Camera

Array = NDArray[np.float64]
Rgb = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class VideoFrames:
    """A camera's images in a video: numbers (T,) of its frames."""

    film: VideoFile
    numbers: NDArray[np.intp]

    @classmethod
    def at(cls, file: Path, times_s: Array) -> VideoFrames:
        """The frames that are shown at these times; ValueError if the video has none there."""
        if not file.is_file():
            raise ValueError(f"{file.name} of {file.parent.name} is missing")
        film = VideoFile(file)
        after = np.searchsorted(film.times_s, times_s).clip(1, max(1, len(film) - 1))
        before = after - 1
        after = np.minimum(after, len(film) - 1)
        closer = np.abs(film.times_s[after] - times_s) < np.abs(film.times_s[before] - times_s)
        numbers = np.where(closer, after, before)
        away = ~(np.abs(film.times_s[numbers] - times_s) <= 0.6 / film.fps)  # so that NaN is away, too
        if away.any():
            t = float(times_s[np.argmax(away)])
            raise ValueError(
                f"{file.name} has no frame at {t:.3f} s, which is that of frame {np.argmax(away)}; "
                f"its {len(film)} frames end at {film.times_s[-1]:.3f} s"
            )
        return cls(film, numbers)

    def __getitem__(self, i: int) -> Rgb:
        return self.film.frame(int(self.numbers[i]))


@dataclass(frozen=True, eq=False)
class TableImages:
    """A camera's images in the parquet file, read with the first one of them."""

    folder: Path
    data: str
    column: str
    episode: int

    @cached_property
    def _cells(self) -> list[Any]:
        table = read_table(inside(self.folder, self.data), [self.column], self.episode)
        cells: list[Any] = table[self.column].to_pylist()
        return cells

    def __getitem__(self, i: int) -> Rgb:
        cell = self._cells[i]
        if not isinstance(cell, Mapping):
            raise ValueError(f"{self.data}: {self.column} has no image at frame {i}")
        data, file = cell.get("bytes"), cell.get("path")
        if data is None and file:
            return read_image(inside(self.folder, str(file)))
        if not isinstance(data, bytes):
            raise ValueError(f"{self.data}: {self.column} has no image at frame {i}")
        return _decoded(data, f"{self.data}: {self.column}, frame {i}")


@dataclass(frozen=True, eq=False)
class Absent:
    """A camera whose videos somebody left out of the dataset: black, of the declared size."""

    height: int
    width: int

    def __getitem__(self, i: int) -> Rgb:
        return np.zeros((self.height, self.width, 3), np.uint8)


Images = VideoFrames | TableImages | Absent


@dataclass(frozen=True, eq=False)
class Frames(LazyObservations):
    """Observations of an episode; in order, each costs the decoding of one image per camera."""

    images: Mapping[str, Images]
    cameras: Mapping[str, Sequence[Camera | None]]
    tool_poses_world: Array | None
    gripper: Array | None
    times_s: Array

    def __len__(self) -> int:
        return len(self.times_s)

    def read(self, i: int) -> Observation:
        """One frame."""
        pose = None if self.tool_poses_world is None else self.tool_poses_world[i]
        gripper = None if self.gripper is None else float(self.gripper[i])
        return Observation({name: self._view(name, i) for name in self.images}, pose, gripper, float(self.times_s[i]))

    def _view(self, name: str, i: int) -> View:
        rgb = self.images[name][i]
        known = self.cameras.get(name)
        camera = known[i] if known is not None else None
        if camera is not None and (camera.width, camera.height) != (rgb.shape[1], rgb.shape[0]):
            camera = camera.resized(rgb.shape[1], rgb.shape[0])
        return View(rgb, None, camera)


def _decoded(data: bytes, where: str) -> Rgb:
    """A PNG, JPEG or WebP in memory as (H, W, 3), its size checked before a pixel is decoded."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"{where} has {len(data) >> 20} MiB; at most {MAX_BYTES >> 20} MiB are read")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise ValueError("too many pixels")
            return np.array(image.convert("RGB"))
    except UnidentifiedImageError:
        raise ValueError(f"{where} is not a {FORMATS_TEXT} image") from None
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        raise ValueError(f"{where} is cut off, damaged or too large") from None
