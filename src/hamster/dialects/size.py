"""The size of the image in whose pixels some models answer."""

from __future__ import annotations

import math
from typing import NamedTuple

Size = tuple[int, int]
"""Width and height in pixels."""

MAX_SIDE_PX = 1 << 20


class ScaledSize(NamedTuple):
    """The size of the image as the model sees it: dialects that count pixels count them in it as it is."""

    width: int
    height: int


class SizeNeededError(ValueError):
    """The text is in pixels, and the size of the image is not given."""


def checked_size(size: Size) -> Size:
    """Return the same size; ValueError if no image has it."""
    if len(size) != 2 or not all(1 <= side <= MAX_SIDE_PX for side in size):
        raise ValueError(f"an image is 1 to {MAX_SIDE_PX} pixels wide and high, got {size}")
    return size


def image_itself(size: Size) -> Size:
    """Return the size as it is: for models that answer in pixels of the image that they were given."""
    return size


def smart_resize(size: Size, factor: int = 28, min_pixels: int = 56 * 56, max_pixels: int = 16384 * 28 * 28) -> Size:
    """Return the size to which Qwen2.5-VL's processor scales an image, and in whose pixels the model answers.

    Both sides become multiples of `factor` (a patch of 14, merged by 2), the area stays between `min_pixels` and
    `max_pixels`, and the proportions as close as can be. The defaults are those of the published checkpoints; a size
    that was made so already comes back as it is, so for other limits give the scaled size instead.

    Args:
        size: width and height in pixels.
        factor: of which both sides are made multiples.
        min_pixels, max_pixels: bounds on the number of pixels.

    Raises:
        ValueError: if one side is over 200 times the other; the model refuses that, too.
    """
    width, height = checked_size(size)
    if max(size) > 200 * min(size):
        raise ValueError(f"an image of {width} x {height} is too narrow for Qwen2.5-VL: at most 200 to 1")
    w, h = round(width / factor) * factor, round(height / factor) * factor
    if w * h > max_pixels:
        shrink = math.sqrt(width * height / max_pixels)
        return _at_most(width / shrink, factor), _at_most(height / shrink, factor)
    if w * h < min_pixels:
        grow = math.sqrt(min_pixels / (width * height))
        return math.ceil(width * grow / factor) * factor, math.ceil(height * grow / factor) * factor
    return w, h


def _at_most(side: float, factor: int) -> int:
    return max(factor, math.floor(side / factor) * factor)
