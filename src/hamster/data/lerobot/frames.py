"""The observations of one LeRobot episode, decoded when they are indexed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from hamster.data.images import MAX_BYTES, NotColourError, decode_image, has_same_shape
from hamster.data.lazy import LazyObservations
from hamster.data.lerobot.columns import read_table
from hamster.data.lerobot.metadata import file_inside
from hamster.data.records import Observation, View
from hamster.data.video import DamagedFrameError, VideoFile
from hamster.geometry import Camera

if TYPE_CHECKING:
    from hamster.data.lerobot.depth import DepthFrames

Array = NDArray[np.float64]
HALF = 0.51  # of a step: a row's time is rounded
Rgb = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class VideoFrames:
    """A camera's images in a video: numbers (T,) of its frames, -1 for a row that has none."""

    video: VideoFile
    numbers: NDArray[np.intp]

    @classmethod
    def at(cls, file: Path, times_s: Array, step_s: float, window_s: tuple[float, float]) -> VideoFrames:
        """Return the frames that belong to rows at these times.

        A row has the frame that is nearest to its time, if that is less than half a step away and lies in the
        episode's window: videos lack frames, end early, and hold the frames of other episodes. How near a frame has to
        be to the window follows from the video's own rate: rows may be few.

        Args:
            file: the video.
            times_s: (T,) of the rows, by the video's clock.
            step_s: from one row to the next.
            window_s: of the episode in the video, its start and its end, which is the start of what comes next.

        Raises:
            ValueError: if there is no such video, or it is damaged.
        """
        if not file.is_file():
            raise ValueError(f"{file.name} of {file.parent.name} is missing")
        video = VideoFile(file)
        shown_s, half_s = video.times_s + video.start_s, HALF * step_s
        after = np.searchsorted(shown_s, times_s).clip(0, len(video) - 1)
        before = np.maximum(after - 1, 0)
        numbers = np.where(np.abs(shown_s[after] - times_s) < np.abs(shown_s[before] - times_s), after, before)
        at_s = shown_s[numbers]
        own = np.abs(at_s - times_s) <= half_s  # not for NaN
        slack_s = HALF * min(step_s, float(np.median(np.diff(shown_s)))) if len(video) > 1 else half_s
        own &= (at_s >= window_s[0] - slack_s) & (at_s < window_s[1] - slack_s)
        return cls(video, np.where(own, numbers, -1))

    @property
    def lacking(self) -> frozenset[int]:
        """The rows without an image."""
        return frozenset(np.flatnonzero(self.numbers < 0).tolist())

    @property
    def in_order(self) -> bool:
        """True if there are images, and each row with one has its own, later than those of earlier rows."""
        own = self.numbers[self.numbers >= 0]
        return bool(len(own)) and bool((np.diff(own) > 0).all())

    def __getitem__(self, i: int) -> Rgb | None:
        return self.video.frame(int(self.numbers[i])) if self.numbers[i] >= 0 else None

    def gray(self, i: int) -> NDArray[np.uint16] | None:
        """Return a row's frame (H, W) of grey video of more than 8 bits, None for a row that has none."""
        return self.video.gray_frame(int(self.numbers[i])) if self.numbers[i] >= 0 else None


@dataclass(frozen=True, eq=False)
class TableImages:
    """A camera's images in the parquet file, read with the first one of them."""

    folder: Path
    data: str
    column: str
    episode: int

    @cached_property
    def _cells(self) -> list[Any]:
        table = read_table(file_inside(self.folder, self.data), [self.column], self.episode)
        if self.column not in table.column_names:
            raise ValueError(f"{self.data} lacks the column {self.column!r}, which meta/info.json declares")
        cells: list[Any] = table[self.column].to_pylist()
        return cells

    @cached_property
    def lacking(self) -> frozenset[int]:
        """The rows without an image."""
        empty = ({"bytes": None, "path": None}, {"bytes": None}, None)
        return frozenset(i for i, cell in enumerate(self._cells) if cell in empty)

    @cached_property
    def is_depth(self) -> bool:
        """True if the first image has one channel of more than 8 bits, as depth has."""
        try:
            self[next(i for i in range(len(self._cells)) if i not in self.lacking)]
        except NotColourError:
            return True
        except (StopIteration, ValueError, OSError):
            pass  # says what is wrong when it is asked for
        return False

    def __getitem__(self, i: int) -> Rgb | None:
        data = self.encoded(i)
        return None if data is None else decode_image(data, f"{self.data}: {self.column}, frame {i}")

    def encoded(self, i: int) -> bytes | None:
        """Return the bytes of a row's image file, None for a row that has none."""
        if i in self.lacking:
            return None
        cell = self._cells[i]
        if not isinstance(cell, Mapping):
            raise ValueError(f"{self.data}: {self.column} has no image at frame {i}")
        data, file = cell.get("bytes"), cell.get("path")
        if data is None and file:
            place = file_inside(self.folder, str(file))
            if place.stat().st_size > MAX_BYTES:
                raise ValueError(f"{file} is larger than {MAX_BYTES >> 20} MiB")
            return place.read_bytes()
        if not isinstance(data, bytes):
            raise ValueError(f"{self.data}: {self.column} has no image at frame {i}")
        return data


@dataclass(frozen=True, eq=False)
class Absent:
    """A camera whose videos are missing from the dataset: black images of the declared size."""

    height: int
    width: int
    lacking: frozenset[int] = frozenset()

    def __getitem__(self, i: int) -> Rgb:
        return np.zeros((self.height, self.width, 3), np.uint8)


Images = VideoFrames | TableImages | Absent


@dataclass(frozen=True, eq=False)
class Frames(LazyObservations):
    """Observations of an episode; in order, each costs the decoding of one image per camera.

    A camera that has no image of a row is not among that row's views.
    """

    images: Mapping[str, Images]
    cameras: Mapping[str, Sequence[Camera | None]]
    tool_poses_world: Array | None
    gripper: Array | None
    times_s: Array
    depth: Mapping[str, DepthFrames]

    def __len__(self) -> int:
        return len(self.times_s)

    def read(self, i: int) -> Observation:
        """Return one frame."""
        pose = None if self.tool_poses_world is None else self.tool_poses_world[i]
        gripper = None if self.gripper is None else float(self.gripper[i])
        views, damaged = dict[str, View](), list[str]()
        for name, images in self.images.items():
            try:
                if (rgb := images[i]) is not None:
                    views[name] = self._view(name, rgb, i)
            except DamagedFrameError:
                damaged.append(name)
        return Observation(views, pose, gripper, float(self.times_s[i]), tuple(damaged))

    def without_image(self, camera: str) -> frozenset[int]:
        """Return the frames of which this camera is known to have no image, before any is decoded."""
        return self.images[camera].lacking if camera in self.images else frozenset()

    def _view(self, name: str, rgb: Rgb, i: int) -> View:
        known = self.cameras.get(name)
        camera = known[i] if known is not None else None
        if camera is not None and (camera.width, camera.height) != (rgb.shape[1], rgb.shape[0]):
            if not has_same_shape((camera.width, camera.height), (rgb.shape[1], rgb.shape[0])):
                raise ValueError(
                    f"camera {name} was calibrated for images of {camera.width} x {camera.height}, but that of frame "
                    f"{i} has {rgb.shape[1]} x {rgb.shape[0]}: another shape, not only another scale"
                )
            camera = camera.resized(rgb.shape[1], rgb.shape[0])
        depth_m = self.depth[name].at(i, rgb.shape[1], rgb.shape[0]) if name in self.depth else None
        return View(rgb, depth_m, camera)
