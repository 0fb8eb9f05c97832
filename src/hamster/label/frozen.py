"""Cameras that freeze: the tool moves, and the image stays as it was."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hamster.geometry import Camera
from hamster.label.camera_faults import NO_FAULT, project

Array = NDArray[np.float64]
BLOCK_PX = 4  # images are compared by the means of blocks, which a codec's noise changes little
BLOCKS = 32  # along each side at least: fewer would not show what moves in a small image
SAME = 4  # of 255: what a codec makes of one and the same picture
MOVES_UV = 0.05  # of the image's sides: the tool moves by as much and an image that is of this moment must differ
FROZEN = "the image does not change while the tool moves"
MOVES_M = 0.05  # a camera that moves by as much, on a hand for instance, sees something else


def frozen_frames(images: Sequence[NDArray[np.uint8] | None], uv: Array, cameras_m: Array) -> list[int]:
    """Return the frames, in order, whose image is not of their moment.

    In a stretch of equal images in which the tool moves, that is all but the first; from the start of an episode on the
    first, too, since its time is unknown.

    Args:
        images: T of one camera, (H, W, 3) or None.
        uv: (T, 2) where the tool's tip is in the image, relative to it; NaN where it is out of view or not known.
        cameras_m: (T, 3) where the camera is; NaN where that is not known.
    """
    frozen, stretch = list[int](), list[int]()
    shown: NDArray[np.int16] | None = None
    for frame, rgb in enumerate(images):
        if rgb is None:
            continue
        blocks = _blocks(rgb)
        if shown is None or shown.shape != blocks.shape or int(np.abs(blocks - shown).max(initial=0)) > SAME:
            frozen += _stale(stretch, uv, cameras_m)
            shown, stretch = blocks, []
        stretch.append(frame)
    return frozen + _stale(stretch, uv, cameras_m)


def is_frozen(images: Sequence[NDArray[np.uint8]], tools_m: Array, cameras: Sequence[Camera | None]) -> bool:
    """Return whether all images of a camera are the same picture although the tool moves.

    Args:
        images: N, (H, W, 3), of an episode.
        tools_m: (N, 3) the tool's tip in the world.
        cameras: N, its calibration; where it has none, any motion of the tool should show.
    """
    if any(camera is None for camera in cameras):
        return len(frozen_frames(images, np.full((len(images), 2), np.nan), tools_m)) == len(images)
    return len(frozen_frames(images, *tips_in_view(tools_m, cameras))) == len(images)


def tips_in_view(tips_world: Array, cameras: Sequence[Camera | None]) -> tuple[Array, Array]:
    """Return `uv` and `cameras_m` of `frozen_frames`, from the tool's tip (T, 3) and the calibration of each frame."""
    uv, cameras_m = np.full((len(cameras), 2), np.nan), np.full((len(cameras), 3), np.nan)
    known = [frame for frame, camera in enumerate(cameras) if camera is not None]
    views = [camera for camera in cameras if camera is not None]
    if views:
        shares = project(NO_FAULT, views, tips_world[known]) / np.stack([camera.size_px for camera in views])
        with np.errstate(invalid="ignore"):
            inside = np.asarray(((shares >= 0) & (shares < 1)).all(1))
        uv[known] = np.where(inside[:, None], shares, np.nan)
        cameras_m[known] = [camera.world_from_camera[:3, 3] for camera in views]
    return uv, cameras_m


def _stale(stretch: list[int], uv: Array, cameras_m: Array) -> list[int]:
    if len(stretch) < 2 or (_extent(uv[stretch]) < MOVES_UV and _extent(cameras_m[stretch]) < MOVES_M):
        return []
    return stretch if stretch[0] == 0 else stretch[1:]


def _extent(points: Array) -> float:
    """Return the longest side of the box around the points that are known."""
    known = points[np.isfinite(points).all(1)]
    return float(np.ptp(known, axis=0).max()) if len(known) else 0.0


def _blocks(rgb: NDArray[np.uint8]) -> NDArray[np.int16]:
    side = min(max(min(rgb.shape[:2]) // BLOCKS, 1), BLOCK_PX)
    height, width = (length // side for length in rgb.shape[:2])
    part = rgb[: height * side, : width * side]
    rows = part[::side].astype(np.uint16)  # sums in whole numbers take a tenth of the time of `mean`
    for offset in range(1, side):
        rows += part[offset::side]
    sums = rows[:, ::side].copy()
    for offset in range(1, side):
        sums += rows[:, offset::side]
    return (sums / np.float32(side**2)).round().astype(np.int16)
