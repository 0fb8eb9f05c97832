"""A path as a policy keeps it: together with the view it was drawn on, which is what puts it into the world."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hamster.data import View
from hamster.geometry import Camera
from hamster.path import Gripper, Path2D
from hamster.path.simplify import arc_length

Array = NDArray[np.float64]
WINDOW = 0.02  # of the image's shorter side: the surface is the median over a square of this size
MAX_REACH_PX = 16  # a median over 33 x 33 pixels is robust enough, however large the image


@dataclass(frozen=True, eq=False)
class Guide:
    """A path and the view it was drawn on.

    Attributes:
        path: relative to that view's image.
        view: with depth and camera where the path is to be put into the world, or seen from another camera.
    """

    path: Path2D
    view: View

    @cached_property
    def progress(self) -> Array:
        """(N,) where on the path each waypoint is, in [0, 1], strictly increasing even where a path stands still."""
        so_far = arc_length(self.path.uv) + 1e-6 * np.arange(len(self.path))
        return so_far / so_far[-1] if len(self.path) > 1 else np.zeros(1)

    def uv(self, at: Array) -> Array:
        """(M, 2) points of the path at progress (M,)."""
        return np.stack([np.interp(at, self.progress, column) for column in self.path.uv.T], -1)

    def waypoint(self, at: Array) -> NDArray[np.int64]:
        """(M,) the last waypoint at or before each progress (M,)."""
        return np.searchsorted(self.progress, at, side="right") - 1

    def points_world(self, at: Array) -> Array:
        """(M, 3) metres: the path at progress (M,), at its waypoints' depth where it has any, else on the surface.

        Raises:
            ValueError: if the view has no calibration, or neither view nor path have depth.
        """
        camera, depth_m = self.view.camera, self.view.depth_m
        if camera is None or (depth_m is None and self.path.depth_m is None):
            raise ValueError("a path is put into the world by the depth and calibration of the view it was drawn on")
        uv = self.uv(at)
        if self.path.depth_m is not None:
            depth = np.interp(at, self.progress, self.path.depth_m)
        else:
            assert depth_m is not None
            depth = surface_depth(uv, depth_m)
        return camera.unproject(uv * camera.size_px, depth)

    def rays_world(self, points_world: Array) -> Array:
        """(M, 3) unit vectors from the camera that the path was drawn for to points (M, 3)."""
        assert self.view.camera is not None  # or nothing could have been put into the world
        rays = points_world - self.view.camera.world_from_camera[:3, 3]
        return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))

    def seen_from(self, camera: Camera | None, samples: int = 64) -> Path2D:
        """The path on another camera's image: `samples` points, each put into the world, and its own waypoints.

        On the image it was drawn on, that is the path itself. Points behind the camera or out of its view move to the
        image's border.
        """
        own = self.view.camera
        if camera is None or own is None or _same(camera, own):
            return self.path
        at = np.union1d(np.linspace(0, 1, samples), self.progress)
        px, depth_m = camera.project(self.points_world(at))
        ahead = np.where((depth_m > 1e-3)[:, None], px / camera.size_px, 0.5)
        return Path2D(ahead.clip(0, 1), self.path.gripper[self.waypoint(at)])


def gripper_states(gripper: NDArray[np.int8]) -> NDArray[np.bool_]:
    """(N, 3) of states (N,): unknown, closed, open; one of them is true in each row."""
    return np.asarray(gripper[:, None] == np.array([Gripper.UNKNOWN, Gripper.CLOSED, Gripper.OPEN]))


def surface_depth(uv: Array, depth_m: NDArray[np.float32]) -> Array:
    """(N,) depth of the surface at relative image points (N, 2): the lower median of the known depths around each.

    Where nothing is known around a point, the median of the whole image stands in.
    """
    height, width = depth_m.shape
    reach = min(max(1, round(WINDOW * min(height, width) / 2)), MAX_REACH_PX)
    offset = np.arange(-reach, reach + 1)
    column = (np.clip((uv[:, 0] * width).astype(int), 0, width - 1)[:, None] + offset).clip(0, width - 1)
    row = (np.clip((uv[:, 1] * height).astype(int), 0, height - 1)[:, None] + offset).clip(0, height - 1)
    window = depth_m[row[:, :, None], column[:, None, :]].reshape(len(uv), -1).astype(np.float64)
    window = np.sort(np.where(window > 0, window, np.inf), -1)
    known = np.isfinite(window).sum(-1)
    depth = np.take_along_axis(window, ((known - 1) // 2).clip(0)[:, None], -1)[:, 0]
    if (known == 0).any():
        everything = depth_m[depth_m > 0]
        depth = np.where(known > 0, depth, np.median(everything) if len(everything) else 1.0)
    return depth


def _same(a: Camera, b: Camera) -> bool:
    return a is b or (
        np.array_equal(a.intrinsics, b.intrinsics)
        and np.array_equal(a.world_from_camera, b.world_from_camera)
        and (a.width, a.height) == (b.width, b.height)
    )
