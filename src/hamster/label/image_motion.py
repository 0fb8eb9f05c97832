"""Image motion of a static camera, and whether it agrees with that of the projected tool.

Needs no detector and no markers: whatever differs from the median image moves, and where the tool's tip is projected
to, the image has to move by as much, in the same direction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data import Episode, View
from hamster.geometry import Camera

Array = NDArray[np.float64]
SAMPLES = 24  # frames of an episode, at equal distances along the tip's way
WIDTH_PX = 128  # images are looked at no larger than this
MOVED = 24  # of 255: a pixel that differs by more from the median image shows something that moves
NEIGHBOURS = 4  # of the nine pixels around: less than that many is noise
PATCH = 0.05  # of the width: what is compared around the tip
MIN_PATCH = 12  # moving pixels
MIN_CONTRAST = 4.0  # of 255: a patch of one colour matches anywhere
MAX_STEP = 0.25  # of the width; farther steps cannot be matched
TOLERANCE = 0.35  # of the step: twice or half the motion, or another direction, is not the same


@dataclass(frozen=True, eq=False)
class Sample:
    """Frames of one camera in one episode, small.

    Attributes:
        frames: (N,) indices into the episode.
        rgb: (N, h, w, 3) float32.
        moving: (N, h, w), what differs from the median of all frames.
        cameras: N, of these small images.
        tips_world: (N, 3) the tool's tip.
        originals: the frames as they were, of the first, the middle and the last one.
    """

    frames: NDArray[np.intp]
    rgb: NDArray[np.float32]
    moving: NDArray[np.bool_]
    cameras: list[Camera]
    tips_world: Array
    originals: dict[int, NDArray[np.uint8]]

    @property
    def size_px(self) -> Array:
        """(2,) width and height of the small images."""
        return self.cameras[0].size_px

    @property
    def stands_still(self) -> bool:
        """True if the camera stands still."""
        poses = np.stack([camera.world_from_camera for camera in self.cameras])
        return bool(np.ptp(poses, axis=0).max() < 0.01)


def sample(episode: Episode) -> dict[str, Sample | None]:
    """Return frames of an episode by camera; None for one that is not calibrated, or if the robot was not recorded.

    Raises:
        ValueError: if an image cannot be read.
    """
    if episode.tool_poses_world is None:
        return dict.fromkeys(episode.observations[0].views)
    tips = episode.tool_poses_world[:, :3, 3]
    known = np.flatnonzero(np.isfinite(tips).all(1))
    if not len(known):
        raise ValueError("the tool's pose is not known in any frame")
    frames = known[_frames(tips[known])]
    views_by_frame = [episode.observations[i].views for i in frames.tolist()]
    samples: dict[str, Sample | None] = {}
    for name in dict.fromkeys(name for views in views_by_frame for name in views):
        # A video may be shorter than what was recorded.
        pictured = np.array([name in views for views in views_by_frame])
        views = [views[name] for views in views_by_frame if name in views]
        samples[name] = _sample(views, frames[pictured], tips[frames[pictured]])
    return samples


def _sample(views: list[View], frames: NDArray[np.intp], tips_world: Array) -> Sample | None:
    calibrated = [view.camera for view in views if view.camera is not None]
    if len(calibrated) != len(views):
        return None
    height, width = views[0].rgb.shape[:2]
    scale = min(1.0, WIDTH_PX / width)
    size = max(round(width * scale), 1), max(round(height * scale), 1)
    rgb = np.stack([np.asarray(Image.fromarray(v.rgb).resize(size, Image.Resampling.BOX), np.float32) for v in views])
    shown = {i: views[i].rgb for i in sorted({0, len(views) // 2, len(views) - 1})}
    return Sample(frames, rgb, _moving(rgb), [c.resized(*size) for c in calibrated], tips_world, shown)


def distances(sampled: Sample, px: Array) -> Array:
    """Return (N,) distances from pixels (N, 2) to the nearest moving one, in image widths; 1 where out of view."""
    out = np.ones(len(px))
    for i in np.flatnonzero(in_view(sampled, px)):
        v, u = np.nonzero(sampled.moving[i])
        if len(u):
            out[i] = np.hypot(u + 0.5 - px[i, 0], v + 0.5 - px[i, 1]).min() / sampled.size_px[0]
    return out


def in_view(sampled: Sample, px: Array) -> NDArray[np.bool_]:
    """Return (N,) whether a pixel (N, 2) lies in the image."""
    return np.asarray(((px >= 0) & (px < sampled.size_px)).all(1))


def follows(sampled: Sample, px: Array) -> list[bool]:
    """Return per step in view of measurable length whether the image moves with the pixels (N, 2)."""
    out, inside = [], in_view(sampled, px)
    for i in range(len(px) - 1):
        if not inside[i] or not inside[i + 1]:
            continue
        step = px[i + 1] - px[i]
        length = float(np.linalg.norm(step)) if np.isfinite(step).all() else np.inf
        if length < 1.5:
            continue
        displacement = (
            _displacement(sampled, i, px[i], length) if length < MAX_STEP * sampled.size_px[0] else np.full(2, np.inf)
        )
        if displacement is not None:
            out.append(bool(np.linalg.norm(displacement - step) <= TOLERANCE * length + 0.5))
    return out


def _displacement(sampled: Sample, i: int, at: Array, length: float) -> Array | None:
    """Return the displacement of the patch around a pixel in the next frame; inf if nothing moves, None if unclear.

    The patch is what moves there and its outline, without which a thing of one colour would match anywhere. It is
    looked for in all directions, up to a bit farther than expected.
    """
    side = max(5, round(PATCH * sampled.size_px[0]))
    column, row = np.floor(at).astype(int)
    if not in_view(sampled, at[None])[0]:
        return np.full(2, np.inf)
    top, left = max(row - side, 0), max(column - side, 0)
    part = sampled.moving[i, top : row + side + 1, left : column + side + 1]
    if part.sum() < MIN_PATCH:
        return np.full(2, np.inf)
    v, u = np.nonzero(_grown(part))
    v, u = v + top, u + left
    patch = sampled.rgb[i, v, u]
    if patch.std(0).max() < MIN_CONTRAST:
        return None
    reach = int(1.6 * length) + 4
    offsets = np.arange(2 * reach + 1)
    after = np.pad(sampled.rgb[i + 1], ((reach, reach), (reach, reach), (0, 0)), mode="edge")
    moved = after[v + offsets[:, None, None], u + offsets[None, :, None]]
    row, column = np.unravel_index(np.abs(moved - patch).mean((2, 3)).argmin(), (len(offsets), len(offsets)))
    return np.array([column - reach, row - reach], np.float64)


def _grown(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the mask with all neighbouring pixels."""
    padded = np.pad(mask, 1)
    around = [padded[i : i + mask.shape[0], j : j + mask.shape[1]] for i in range(3) for j in range(3)]
    return np.asarray(np.any(around, axis=0))


def _frames(tips_world: Array) -> NDArray[np.intp]:
    """Return frames at equal distances along the way, so that a robot that waits is not taken for the background."""
    way_m = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(tips_world, axis=0), axis=1))])
    return np.unique(np.searchsorted(way_m, np.linspace(0, way_m[-1], SAMPLES)).clip(0, len(tips_world) - 1))


def _moving(rgb: NDArray[np.float32]) -> NDArray[np.bool_]:
    differs = np.abs(rgb - np.median(rgb, axis=0)).max(-1) > MOVED
    height, width = differs.shape[1:]
    padded = np.pad(differs, ((0, 0), (1, 1), (1, 1))).astype(np.int8)
    around = sum(padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3))
    return np.asarray(differs & (around >= NEIGHBOURS))
