"""A whole video at low resolution: tracking needs every frame, but few of its pixels."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.label.tracking.opencv import opencv

SIDE_PX = 128  # of the longer side: enough to see to 1 % of the image where an arm is
LEVEL = 0.03  # of a frame's brightness: smaller changes are not worth the work
BRIGHT, LIFT = 0.4, 0.4  # the median of images that are bright enough, and the least exponent: below is only noise
MAX_FRAMES = 5000  # together about 200 MB


@dataclass(frozen=True, eq=False)
class Clip:
    """A video as the tracker needs it.

    Attributes:
        rgb: (T, h, w, 3) uint8, small.
        fps: frames per second.
    """

    rgb: NDArray[np.uint8]
    fps: float

    def __len__(self) -> int:
        return len(self.rgb)

    @property
    def size_px(self) -> NDArray[np.float64]:
        """(2,) width and height of the small frames."""
        return np.array([self.rgb.shape[2], self.rgb.shape[1]], np.float64)

    @property
    def long_px(self) -> float:
        """The longer of the two."""
        return float(max(self.rgb.shape[1:3]))


def small(rgb: NDArray[np.uint8], side_px: int = SIDE_PX) -> NDArray[np.uint8]:
    """Return an image (H, W, 3), shrunk until its longer side has at most `side_px`; smaller ones stay as they are."""
    height, width = rgb.shape[:2]
    scale = min(1.0, side_px / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    cv2: Any = opencv()
    # By a whole factor first, by leaving out pixels: a camera's image is never as sharp as its pixels are fine.
    step = max(1, int(1 / scale))
    return np.asarray(cv2.resize(np.ascontiguousarray(rgb[::step, ::step]), size, interpolation=cv2.INTER_LINEAR))


def read_clip(frames: Iterable[NDArray[np.uint8]], fps: float, side_px: int = SIDE_PX) -> Clip:
    """Return frames (H, W, 3) of one size, each looked at once, small.

    Args:
        frames: (H, W, 3) uint8 RGB, of one size.
        fps: frames per second.
        side_px: length of the longer side to which they are shrunk.

    Raises:
        ValueError: if there is none, there are too many, or their sizes differ.
    """
    pictures: list[NDArray[np.uint8]] = []
    for rgb in frames:
        pictures.append(small(rgb, side_px))
        if len(pictures) > MAX_FRAMES:
            raise ValueError(f"more than {MAX_FRAMES} frames; cut the video into one file per task")
        if pictures[-1].shape != pictures[0].shape:
            raise ValueError(f"frame {len(pictures) - 1} has another shape than the frames before it")
    if not pictures:
        raise ValueError("a video without frames")
    return Clip(_levelled(np.stack(pictures)), fps)


def brightened(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return images (..., h, w, 3), dark ones with the gamma that lifts their median to the middle."""
    median = float(np.median(rgb[..., ::4, ::4, :].mean(-1))) / 255
    exponent = float(np.log(BRIGHT) / np.log(np.clip(median, 0.02, 0.99)))
    if exponent >= 1:
        return rgb
    table = (255 * (np.arange(256) / 255) ** max(exponent, LIFT)).round().astype(np.uint8)
    return np.asarray(table[rgb], np.uint8)


def _levelled(rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return frames (T, h, w, 3), each as bright as the middle one: cameras adapt when an arm comes into view."""
    sample = rgb[:, ::6, ::6].astype(np.float32) + 8  # not so dark that a ratio is noise
    gain = np.median(sample[len(rgb) // 2] / sample, axis=(1, 2))
    for frame, factor in zip(rgb, gain, strict=True):
        if np.abs(factor - 1).max() > LEVEL:
            frame[...] = np.clip((frame.astype(np.float32) + 8) * factor - 8, 0, 255).round()
    return rgb
