"""Depth of a LeRobot episode, frame by frame, in metres at the size of the colour images.

| stored as | read as |
|---|---|
| images in parquet, PNG of 16 bits or TIFF | by `info.depth_unit` ("m", "mm"); else integers are mm, floats m |
| columns of arrays (H, W) | the same |
| video of gray16 (FFV1 …) | the same |
| video of gray12 with `video.depth_min`, `depth_max` … | LeRobot's 12-bit codes; 0 and 4095 are unknown |

LeRobot (0.6) marks such a feature by `is_depth_map` in its `info`. Its writer clips what was not measured, or is
farther than `depth_max`, to the lowest and highest code: these are no surfaces.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data.depth import Depth, camera_of_depth, check_plausible, decode_depth, fit_depth, to_metres
from hamster.data.lerobot.columns import numbers, read_table
from hamster.data.lerobot.frames import Absent, Images, TableImages, VideoFrames
from hamster.data.lerobot.metadata import array_shape, feature_info, file_inside
from hamster.data.video import DamagedFrameError

HIGHEST_CODE = 4095  # of 12 bits
UNITS = {"m": 1.0, "mm": 1e-3}
CODES = ("depth_min", "depth_max", "shift", "use_log")


@dataclass(frozen=True)
class DepthCodes:
    """LeRobot's quantisation of depth to 12 bits; lengths in metres."""

    depth_min: float
    depth_max: float
    shift: float
    use_log: bool

    def to_metres(self, codes: NDArray[np.uint16]) -> Depth:
        """Return metres, 0 where nothing was measured.

        Args:
            codes: (H, W), 0 to 4095.
        """
        part = codes / HIGHEST_CODE
        if self.use_log:
            low, high = math.log(self.depth_min + self.shift), math.log(self.depth_max + self.shift)
            depth_m = np.exp(low + part * (high - low)) - self.shift
        else:
            depth_m = self.depth_min + part * (self.depth_max - self.depth_min)
        return np.where((codes > 0) & (codes < HIGHEST_CODE), depth_m, 0).astype(np.float32)


@dataclass(frozen=True, eq=False)
class ArrayColumn:
    """Depth in a column of arrays, (H, W) a row."""

    folder: Path
    data: str
    column: str
    episode: int
    shape: tuple[int, int]

    @cached_property
    def _table(self) -> Any:
        return read_table(file_inside(self.folder, self.data), [self.column], self.episode)

    def __getitem__(self, i: int) -> NDArray[np.float64]:
        values = numbers(self._table.slice(i, 1), self.column)
        if values.size != self.shape[0] * self.shape[1]:
            raise ValueError(f"{self.data}: {self.column} has {values.size} numbers at frame {i}, not {self.shape}")
        return values.reshape(self.shape)


@dataclass(frozen=True, eq=False)
class DepthFrames:
    """A camera's depth, by the number of the row.

    Attributes:
        name: of the feature.
        stored: where it is.
        metres: that one stored unit stands for, None if that is not stated.
        codes: of quantised video.
    """

    name: str
    stored: VideoFrames | TableImages | ArrayColumn
    metres: float | None
    codes: DepthCodes | None = None

    def at(self, i: int, width: int, height: int) -> Depth:
        """Return (height, width) metres; 0 where nothing was measured, everywhere if the row has no depth.

        Args:
            i: index of the row.
            width, height: of the colour image, pixels.
        """
        try:
            depth_m = self._metres(i)
        except DamagedFrameError:
            depth_m = None
        if depth_m is None:
            return np.zeros((height, width), np.float32)
        return fit_depth(depth_m, width, height, self.name)

    def check(self, rows: int, width: int, height: int) -> None:
        """Raise ValueError if the first depth image is no plausible metric depth for images of this size."""
        lacking = frozenset() if isinstance(self.stored, ArrayColumn) else self.stored.lacking
        first = next((i for i in range(rows) if i not in lacking), None)
        if first is None:
            raise ValueError(f"{self.name} has no image of any frame")
        check_plausible(self.at(first, width, height), self.name)

    def _metres(self, i: int) -> Depth | None:
        if isinstance(self.stored, VideoFrames):
            stored: NDArray[Any] | None = self.stored.gray(i)
            if stored is not None and self.codes is not None:
                return self.codes.to_metres(stored)
        elif isinstance(self.stored, TableImages):
            data = self.stored.encoded(i)
            stored = None if data is None else decode_depth(data, f"{self.name}, frame {i}")
        else:
            stored = self.stored[i]
        return None if stored is None else to_metres(stored, self.name, self.metres)


def depth_frames(
    features: Mapping[str, Mapping[str, Any]],
    colour: Mapping[str, tuple[int, int]],
    stated: Mapping[str, tuple[str, float | None]],
    images: Callable[[str], Images],
    array: Callable[[str, tuple[int, int]], ArrayColumn],
    rows: int,
) -> tuple[dict[str, DepthFrames], list[str]]:
    """Return the depth of the colour cameras that have usable depth, and notes on depth that is not used.

    Args:
        features: those that hold depth, by key.
        colour: (width, height) of the images by camera.
        stated: by camera, the feature of its depth and the metres of one stored unit, as meta/cameras.json names them.
        images: returns the images, or frames of a video, of a feature.
        array: returns the column of arrays of a feature.
        rows: of the episode.
    """
    frames, notes = dict[str, DepthFrames](), list[str]()
    named = {key: camera for camera, (key, _) in stated.items()}
    for key, feature in features.items():
        camera = named.get(key) or camera_of_depth(key, [name for name in colour if name not in stated])
        if camera is None or camera in frames:
            notes.append(f"{key} holds depth, but of which camera its name does not say: it is not used")
            continue
        try:
            frames[camera] = _frames(key, feature, stated.get(camera, ("", None))[1], images, array)
            frames[camera].check(rows, *colour[camera])
        except (ValueError, OSError) as error:
            frames.pop(camera, None)
            notes.append(f"depth of camera {camera} is not used: {error}")
    return frames, notes


def _frames(
    key: str,
    feature: Mapping[str, Any],
    stated_metres: float | None,
    images: Callable[[str], Images],
    array: Callable[[str, tuple[int, int]], ArrayColumn],
) -> DepthFrames:
    described = feature_info(feature)
    unit = described.get("depth_unit")
    if unit is not None and unit not in UNITS:
        raise ValueError(f"meta/info.json: {key} has the depth_unit {unit!r}; 'm' and 'mm' are known")
    metres = stated_metres if stated_metres is not None else None if unit is None else UNITS[unit]
    if feature["dtype"] not in ("image", "video"):
        shape = array_shape(feature)
        if shape is None:
            raise ValueError(f"meta/info.json: {key} has the shape {feature.get('shape')}; (height, width) is needed")
        if metres is None and not str(feature["dtype"]).startswith("float"):
            metres = UNITS["mm"]  # the column's numbers are read as floats
        return DepthFrames(key, array(key, shape), metres)
    stored = images(key)
    if isinstance(stored, Absent):
        raise ValueError(f"{key}: its videos were left out of the dataset")
    if isinstance(stored, VideoFrames) and stored.video.bits < 16:
        return DepthFrames(key, stored, None, _codes(key, described, stored.video.bits))
    return DepthFrames(key, stored, metres)


def _codes(key: str, described: Mapping[str, Any], bits: int) -> DepthCodes:
    """Return the quantisation of a video; ValueError if it is not stated: nobody knows what its shades mean."""
    values = [described.get(f"video.{name}") for name in CODES]
    if bits != 12 or not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        raise ValueError(
            f"{key} is a video of {bits} bits without LeRobot's quantisation "
            f"({', '.join(f'video.{name}' for name in CODES)}): not metric"
        )
    depth_min, depth_max, shift = (float(value) for value in values[:3] if value is not None)
    use_log = bool(values[3])
    if not (0 <= depth_min < depth_max and (depth_min + shift > 0 or not use_log)):
        raise ValueError(f"{key}: depth from {depth_min:g} to {depth_max:g} m, shifted by {shift:g} m, is no range")
    return DepthCodes(depth_min, depth_max, shift, use_log)
