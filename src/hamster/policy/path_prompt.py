"""A path as a policy keeps it: with the view it was drawn on, whose depth and calibration lift it into 3D."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from hamster.data import View
from hamster.geometry import Camera
from hamster.path import Gripper, Path2D
from hamster.path.path import arc_length

Array = NDArray[np.float64]
WINDOW = 0.02  # of the image's shorter side: the surface is the median over a square of this size
MAX_REACH_PX = 16  # a median over 33 x 33 pixels is robust enough, however large the image
POINT_FEATURES = 8
END_REACH = 0.08  # of the image: how far from the path's end a tool may be that has followed it
RETREAT_M = np.linspace(0.0, 0.2, 9)  # how far above the end it may be by then


@dataclass(frozen=True, eq=False)
class PathPrompt:
    """A path and the view it was drawn on.

    Attributes:
        path: relative to that view's image.
        view: with depth and camera where the path is to be lifted into the world, or seen from another camera.
    """

    path: Path2D
    view: View

    @cached_property
    def progress(self) -> Array:
        """(N,) where on the path each waypoint is, in [0, 1], strictly increasing even where a path stands still."""
        length = arc_length(self.path.uv) + 1e-6 * np.arange(len(self.path))
        return length / length[-1] if len(self.path) > 1 else np.zeros(1)

    def uv(self, progress: Array) -> Array:
        """Return points (M, 2) of the path, relative to the image, at progress (M,)."""
        return np.stack([np.interp(progress, self.progress, column) for column in self.path.uv.T], -1)

    def waypoint(self, progress: Array) -> NDArray[np.int64]:
        """Return the index (M,) of the last waypoint at or before each progress (M,)."""
        return np.searchsorted(self.progress, progress, side="right") - 1

    def points_world(self, progress: Array) -> Array:
        """Return points (M, 3) in metres at progress (M,), at the waypoints' own depth if any, else on the surface.

        Raises:
            ValueError: if the view has no calibration, or neither view nor path have depth.
        """
        camera, depth_m = self.view.camera, self.view.depth_m
        if camera is None or (depth_m is None and self.path.depth_m is None):
            raise ValueError("lifting a path into 3D takes the depth and calibration of the view it was drawn on")
        uv = self.uv(progress)
        if self.path.depth_m is not None:
            depth = np.interp(progress, self.progress, self.path.depth_m)
        else:
            assert depth_m is not None
            depth = surface_depth(uv, depth_m)
        return camera.unproject(uv * camera.size_px, depth)

    def rays_world(self, points_world: Array) -> Array:
        """Return unit vectors (M, 3) from the camera that the path was drawn for to points (M, 3)."""
        assert self.view.camera is not None  # or nothing could have been lifted
        rays = points_world - self.view.camera.world_from_camera[:3, 3]
        return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))

    def ends_at(self, tool_pose_world: Array) -> bool:
        """Return whether the tool (4, 4) is at the path's end in the view, or above that place, z being up.

        True if the view has no calibration: nothing is known then.
        """
        if (camera := self.view.camera) is None:
            return True
        px, depth_m = camera.project(tool_pose_world[:3, 3] - RETREAT_M[:, None] * [0.0, 0.0, 1.0])
        distance = np.linalg.norm(px / camera.size_px - self.path.uv[-1], axis=-1)
        return bool(distance[depth_m > 1e-3].min(initial=np.inf) < END_REACH)

    def seen_from(self, camera: Camera | None, samples: int = 64) -> Path2D:
        """Return the path on another camera's image: `samples` points and its own waypoints, lifted and projected.

        On the image it was drawn on, that is the path itself. Points behind the camera or out of its view move to the
        image's border.
        """
        own = self.view.camera
        if camera is None or own is None or _same(camera, own):
            return self.path
        progress = np.union1d(np.linspace(0, 1, samples), self.progress)
        px, depth_m = camera.project(self.points_world(progress))
        uv = np.where((depth_m > 1e-3)[:, None], px / camera.size_px, 0.5)
        return Path2D(uv.clip(0, 1), self.path.gripper[self.waypoint(progress)])


@dataclass(frozen=True, eq=False)
class PathPoints:
    """Points of a lifted path.

    Attributes:
        positions_world: (N, 3) metres.
        features: (N, F) float64; of the built-in conditioners F = 8: progress in [0, 1]; gripper unknown / closed /
            open from here on; a gripper event is here; unit vector of the ray from the camera, which shows where the
            path may run that its surface hides.
        valid: (N,) False for points that do not exist, everywhere where there is no path.
    """

    positions_world: Array
    features: Array
    valid: NDArray[np.bool_]

    @classmethod
    def none(cls, n_points: int, n_features: int = POINT_FEATURES) -> PathPoints:
        """Return points that do not exist: what there is without a path."""
        return cls(np.zeros((n_points, 3)), np.zeros((n_points, n_features)), np.zeros(n_points, bool))


def sample_evenly(prompt: PathPrompt | None, n_points: int) -> PathPoints:
    """Return points at equal steps of progress; the point nearest to a gripper event is moved to the event.

    Raises:
        ValueError: if there is a path, but no depth or calibration to lift it with, or n_points < 1.
    """
    if n_points < 1:
        raise ValueError(f"a path is sampled at one point at least, not {n_points}")
    if prompt is None:
        return PathPoints.none(n_points)
    progress, is_event = np.linspace(0, 1, n_points), np.zeros(n_points)
    waypoints = prompt.waypoint(progress)
    for waypoint, state in prompt.path.events:
        if state is not Gripper.UNKNOWN:
            nearest = int(np.abs(progress - prompt.progress[waypoint]).argmin())
            progress[nearest], waypoints[nearest], is_event[nearest] = prompt.progress[waypoint], waypoint, 1
    return _lifted(prompt, progress, waypoints, is_event, np.ones(n_points, bool))


def sample_waypoints(prompt: PathPrompt | None, n_key: int, n_even: int) -> PathPoints:
    """Return `n_key` key waypoints, then `n_even` points at equal steps of progress.

    Args:
        prompt: the path; without one (None) all points are invalid.
        n_key: rows for key waypoints, see `key_waypoints`; those beyond what the path has are invalid.
        n_even: further rows.

    Raises:
        ValueError: if there is a path, but no depth or calibration to lift it with.
    """
    if prompt is None:
        return PathPoints.none(n_key + n_even)
    keys = key_waypoints(prompt.path, n_key)
    padding = n_key - len(keys)
    progress = np.concatenate([prompt.progress[keys], np.ones(padding), np.linspace(0, 1, n_even)])
    waypoints, is_event = prompt.waypoint(progress), np.zeros(len(progress))
    waypoints[: len(keys)] = keys
    is_event[: len(keys)] = np.isin(keys, [waypoint for waypoint, _ in prompt.path.events])
    valid = np.repeat([True, False, True], [len(keys), padding, n_even])
    return _lifted(prompt, progress, waypoints, is_event, valid)


def key_waypoints(path: Path2D, count: int) -> NDArray[np.int64]:
    """Return indices, in order, of at most `count` waypoints: gripper events, the end, then the sharpest turns.

    >>> closes_at_the_corner = Path2D([[0.1, 0.1], [0.3, 0.1], [0.5, 0.1], [0.5, 0.5]], [-1, -1, 0, 0])
    >>> key_waypoints(closes_at_the_corner, 2).tolist()
    [2, 3]
    """
    last = len(path) - 1
    turns = sorted(range(1, last), key=lambda i: _straightness(path.uv[i - 1 : i + 2]))
    ranked = dict.fromkeys([*(i for i, _ in path.events), last, *turns])
    return np.array(sorted(list(ranked)[:count]), np.int64)


def gripper_states(gripper: NDArray[np.int8]) -> NDArray[np.bool_]:
    """Return states (N,) one-hot (N, 3): unknown, closed, open."""
    return np.asarray(gripper[:, None] == np.array([Gripper.UNKNOWN, Gripper.CLOSED, Gripper.OPEN]))


def depth_from_height(path: Path2D, camera: Camera | None) -> Path2D:
    """Return a path of known heights with depths: where each line of sight meets the plane at the waypoint's height.

    A path that has depths already, or no heights, is returned as it is; so is one with a waypoint whose line of sight
    meets no such plane in front of the camera, and one on an image without calibration (camera None).
    """
    if path.depth_m is not None or path.height_m is None or camera is None:
        return path
    eye = camera.world_from_camera[:3, 3]
    rise = camera.unproject(path.uv * camera.size_px, np.ones(len(path)))[:, 2] - eye[2]  # per metre of depth
    with np.errstate(divide="ignore", invalid="ignore"):
        depth_m = (path.height_m - eye[2]) / rise
    if not ((depth_m > 0) & np.isfinite(depth_m)).all():
        return path
    return replace(path, depth_m=depth_m)


def surface_depth(uv: Array, depth_m: NDArray[np.float32]) -> Array:
    """Return the depth (N,) of the surface at relative image points (N, 2): the lower median of known depths around.

    Where nothing is known around a point, the median of the whole image stands in.
    """
    height, width = depth_m.shape
    reach = min(max(1, round(WINDOW * min(height, width) / 2)), MAX_REACH_PX)
    offset = np.arange(-reach, reach + 1)
    column = (np.clip((uv[:, 0] * width).astype(int), 0, width - 1)[:, None] + offset).clip(0, width - 1)
    row = (np.clip((uv[:, 1] * height).astype(int), 0, height - 1)[:, None] + offset).clip(0, height - 1)
    window = depth_m[row[:, :, None], column[:, None, :]].reshape(len(uv), -1).astype(np.float64)
    window = np.sort(np.where(window > 0, window, np.inf), -1)
    n_known = np.isfinite(window).sum(-1)
    depth = np.take_along_axis(window, ((n_known - 1) // 2).clip(0)[:, None], -1)[:, 0]
    if (n_known == 0).any():
        image = depth_m[depth_m > 0]
        depth = np.where(n_known > 0, depth, np.median(image) if len(image) else 1.0)
    return depth


def _lifted(
    prompt: PathPrompt, progress: Array, waypoints: NDArray[np.int64], is_event: Array, valid: NDArray[np.bool_]
) -> PathPoints:
    positions, states = prompt.points_world(progress), gripper_states(prompt.path.gripper[waypoints])
    features = [progress[:, None], states, is_event[:, None], prompt.rays_world(positions)]
    return PathPoints(positions, np.concatenate(features, -1), valid)


def _straightness(uv: Array) -> float:
    before, after = uv[1] - uv[0], uv[2] - uv[1]
    return float(before @ after / max(np.linalg.norm(before) * np.linalg.norm(after), 1e-9))


def _same(a: Camera, b: Camera) -> bool:
    return a is b or (
        np.array_equal(a.intrinsics, b.intrinsics)
        and np.array_equal(a.world_from_camera, b.world_from_camera)
        and (a.width, a.height) == (b.width, b.height)
    )
