"""Draw paths on images in HAMSTER's two published styles, or as separate numeric channels for policies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hamster.path.colours import BLUE, GREEN, RED, jet, reds
from hamster.path.path import Gripper, Path2D, arc_length
from hamster.path.simplify import resample

Style = Literal["jet", "red"]
SAMPLES = 100  # as published
TIE = np.float32(1e-6)  # of squared distances


@dataclass(frozen=True)
class _DrawStyle:
    line: Callable[[float | NDArray[np.float64]], NDArray[np.uint8]]
    markers: Mapping[Gripper, tuple[int, int, int]]
    marks_start: bool


STYLES: dict[str, _DrawStyle] = {
    # The demo's style. Red for open and blue for close, as in the published figures (a comment in the demo's code
    # claims the opposite channel order). The start is always marked: in the colour of its gripper state, or, where
    # that is unknown, in that of the line, dark blue.
    "jet": _DrawStyle(jet, {Gripper.CLOSED: BLUE, Gripper.OPEN: RED}, marks_start=True),
    # The style of the paper's figures of the policy's input: green for a grasp, blue for a release.
    "red": _DrawStyle(reds, {Gripper.CLOSED: GREEN, Gripper.OPEN: BLUE}, marks_start=False),
}


def draw(rgb: NDArray[np.uint8], path: Path2D, style: Style = "jet", weight: float = 1.0) -> NDArray[np.uint8]:
    """Return a copy of an image (H, W, 3) uint8 with the path drawn on it.

    The line is resampled to 100 points and coloured by arc length; a ring marks each change of the gripper. Lines are
    2 pixels wide and rings have a radius of 7 at an image side of 512 pixels; both scale with the shorter side. The
    published code does not scale them down: at the 128 pixels of a policy's input its rings would be 14 pixels across
    and hide the object to grasp. Here they shrink to no less than a width of 1 and a radius of 2.5 pixels, which stay
    visible.

    Args:
        rgb: (H, W, 3) uint8.
        path: to draw.
        style: "jet", as HAMSTER's demo draws, or "red", as the paper's figures of the policy's input.
        weight: factor on line width and marker radius.

    Raises:
        ValueError: if the image is not (H, W, 3) uint8, or the style is unknown.

    Example:
        >>> path = Path2D([[0.2, 0.5], [0.8, 0.5]], [Gripper.CLOSED, Gripper.OPEN])
        >>> drawn = draw(np.zeros((64, 64, 3), np.uint8), path, "red")
        >>> drawn.shape, bool(drawn.any())
        ((64, 64, 3), True)
    """
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8:
        raise ValueError(f"need an image (H, W, 3) uint8, got {rgb.shape} {rgb.dtype}")
    if style not in STYLES:
        raise ValueError(f"unknown style {style!r}; there are {', '.join(STYLES)}")
    height, width = rgb.shape[:2]
    scale = min(width, height) / 512
    thickness, radius = weight * max(2 * scale, 1.0), weight * max(7 * scale, 2.5)
    px = path.uv * [width, height]
    left, top, right, bottom = _box(px, radius + thickness + 1, width, height)
    out = np.array(rgb)
    tile = Image.fromarray(out[top:bottom, left:right])
    # Pillow does not smooth edges: draw larger, then average. What is not painted comes out as it was.
    finer = 4 if max(tile.size) <= 1024 else 2
    big = tile.resize((tile.width * finer, tile.height * finer), Image.Resampling.NEAREST)
    _paint(ImageDraw.Draw(big), path, (px - [left, top]) * finer, thickness * finer, radius * finer, style)
    out[top:bottom, left:right] = np.asarray(big.reduce(finer))
    return out


def channels(path: Path2D, height: int, width: int) -> NDArray[np.float32]:
    """Return a drawing of the path as numbers: (3, height, width) float32.

    0. progress: the position on the path, 0 at the start to 1 at the end, of its point nearest to the pixel (the
       earliest of equally near ones).
    1. distance: to the path, relative to the image's shorter side, at most 1.
    2. gripper change: +1 where it opens, -1 where it closes, fading with a Gaussian of 0.03 shorter sides.

    Args:
        path: to draw.
        height, width: of the image, pixels.
    """
    side = np.array([width, height]) / min(width, height)
    x, y = (((np.arange(n) + 0.5) / min(width, height)).astype(np.float32) for n in (width, height))
    points = (path.uv * side).astype(np.float32)
    distance, progress = _nearest(x, y[:, None], points)
    change = np.zeros((height, width), np.float32)
    for i, state in path.events:
        if state is not Gripper.UNKNOWN:
            across, down = (np.exp(-((at - p) ** 2) / (2 * 0.03**2)) for at, p in zip((x, y), points[i], strict=True))
            bump = down[:, None] * across
            change = np.where(bump > np.abs(change), bump if state is Gripper.OPEN else -bump, change)
    return np.stack([progress, np.minimum(distance, 1), change])


def _box(px: NDArray[np.float64], margin: float, width: int, height: int) -> tuple[int, int, int, int]:
    """Return the part of the image that the drawing touches, not empty: left, top, right, bottom."""
    left, top = np.floor(px.min(0) - margin).astype(int)
    right, bottom = np.ceil(px.max(0) + margin).astype(int)
    return max(int(left), 0), max(int(top), 0), min(int(right), width), min(int(bottom), height)


def _paint(
    canvas: ImageDraw.ImageDraw, path: Path2D, px: NDArray[np.float64], thickness: float, radius: float, style: str
) -> None:
    spec = STYLES[style]
    line = resample(px, SAMPLES)
    for i, colour in enumerate(spec.line(np.linspace(0, 1, SAMPLES - 1)).tolist()):
        (x0, y0), (x1, y1) = line[i : i + 2].tolist()
        canvas.line((x0, y0, x1, y1), fill=tuple(colour), width=round(thickness))
        _disc(canvas, x1, y1, thickness / 2, tuple(colour))  # rounds the corner
    marked: dict[int, Gripper] = {i: state for i, state in path.events if state is not Gripper.UNKNOWN}
    if spec.marks_start:
        marked.setdefault(0, Gripper(int(path.gripper[0])))
    for i, state in sorted(marked.items()):
        start_colour = tuple(spec.line(0.0).tolist())
        x, y = px[i].tolist()
        box = (x - radius, y - radius, x + radius, y + radius)
        canvas.ellipse(box, outline=spec.markers.get(state, start_colour), width=round(thickness))


def _disc(canvas: ImageDraw.ImageDraw, x: float, y: float, radius: float, colour: tuple[int, ...]) -> None:
    canvas.ellipse((x - radius, y - radius, x + radius, y + radius), fill=colour)


def _nearest(
    x: NDArray[np.float32], y: NDArray[np.float32], points: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return for each pixel at x (W,), y (H, 1) its distance to the polyline (N, 2) and its progress on it, 0 to 1.

    Along and across a segment, a pixel's place is the sum of a term of its column and one of its row: few passes over
    the image, in float32. Later stretches must be nearer by more than rounding.
    """
    so_far = arc_length(points).astype(np.float32)
    distance2 = (x - points[0, 0]) ** 2 + (y - points[0, 1]) ** 2
    progress = np.zeros_like(distance2)
    for start, end, before, after in zip(points, points[1:], so_far, so_far[1:], strict=False):
        length = after - before
        if length <= 0:
            continue
        dx, dy = (end - start) / length
        along = (x - start[0]) * dx + (y - start[1]) * dy
        across = (y - start[1]) * dx - (x - start[0]) * dy
        part = along.clip(0, length)
        gap2 = across * across
        along -= part
        gap2 += along * along
        np.copyto(progress, before + part, where=gap2 < distance2 * (1 - TIE) - TIE)
        np.minimum(distance2, gap2, out=distance2)
    return np.sqrt(distance2), progress / max(so_far[-1], np.float32(1e-12))
