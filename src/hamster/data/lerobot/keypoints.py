"""Calibration from keypoints: frames with the gripper's keypoints in 3D and in an image determine the camera.

InternVLA-M1's simulated episodes (LeRobot v2.1) have no calibration, but per frame the columns `….tcp_3d_trace`
(K, 3) metres and `….VIEW.tcp_2d_trace` (K, 2) pixels. They are pickles of arrays, read by `safe_pickle`. One
of the points is not on the gripper; the mean of the others is where the tool is.

The camera comes from these pairs by the direct linear transformation (Hartley and Zisserman, Multiple View Geometry,
sections 4.4 and 7.1): from all frames if it stands still, else from each frame's points alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import safe_pickle
from hamster.data.lazy import evenly_spaced
from hamster.geometry import Camera

Array = NDArray[np.float64]
POINTS_3D = re.compile(r"(?:.*\.)?tcp_3d_trace")
POINTS_2D = re.compile(r"(?:.*\.)?(\w+)\.tcp_2d_trace")
MAX_PICKLE_BYTES = 1 << 20
RESIDUAL_PX = 1.0  # a camera that leaves more is none
SAME_LENS = 0.02  # relative
_SAMPLES = 64  # frames that a standing camera is found from
_FAR = 3.0  # times the median distance from the middle: not on the gripper


def read_points(column: Any, dims: int, name: str) -> Array:
    """Return (T, K, dims) from a column of pickled arrays; ValueError if it holds anything else.

    Args:
        column: of a Parquet table.
        dims: numbers of a point, 2 or 3.
        name: of the column, for messages.
    """
    out = []
    for frame, value in enumerate(column.to_pylist()):
        if not isinstance(value, bytes) or len(value) > MAX_PICKLE_BYTES:
            raise ValueError(f"column {name!r} has no array at frame {frame}")
        points = np.asarray(safe_pickle.loads(value, f"column {name!r}, frame {frame}"))
        if points.dtype.kind != "f" or points.ndim != 2 or points.shape[1] != dims or not np.isfinite(points).all():
            raise ValueError(f"column {name!r}: frame {frame} has no finite (K, {dims}) array")
        out.append(points.astype(np.float64))
    if len({points.shape for points in out}) != 1:
        raise ValueError(f"column {name!r} has a varying number of points")
    return np.stack(out)


def on_gripper(points_world: Array) -> NDArray[np.bool_]:
    """Return (K,) which of the points (T, K, 3) are on the gripper: those not far from where most of them are."""
    middle = np.median(points_world, axis=1, keepdims=True)
    distance = np.median(np.linalg.norm(points_world - middle, axis=2), axis=0)
    return np.asarray(distance <= _FAR * np.median(distance))


def cameras_from_points(points_world: Array, px: Array, size: tuple[int, int]) -> list[Camera | None]:
    """Return a camera per frame from points (T, K, 3), metres, and where they are in the image (T, K, 2), pixels.

    None where they do not determine one to within a pixel. A camera that moves keeps its lens: where the frames do not
    agree on the focal length (rounded pixels, say), there is none, since paths lead away from where they agree.

    Args:
        points_world: (T, K, 3), metres.
        px: (T, K, 2) where they are in the image, pixels.
        size: width and height of the image.
    """
    frames = evenly_spaced(len(px), _SAMPLES)
    still = camera_from_points(points_world[frames].reshape(-1, 3), px[frames].reshape(-1, 2), size)
    if still is not None and _residual_px(still, points_world, px) < RESIDUAL_PX:
        return [still] * len(px)
    moving = [camera_from_points(points_world[t], px[t], size) for t in range(len(px))]
    focal_px = np.array([camera.intrinsics[[0, 1], [0, 1]] for camera in moving if camera is not None])
    agree = len(focal_px) and (np.ptp(focal_px, axis=0) <= SAME_LENS * np.median(focal_px, axis=0)).all()
    return moving if agree else [None] * len(px)


def camera_from_points(points_world: Array, px: Array, size: tuple[int, int]) -> Camera | None:
    """Return the camera that sees points (N >= 6, 3) at pixels (N, 2), or None if there is none to within a pixel.

    Args:
        points_world: (N >= 6, 3), metres.
        px: (N, 2) where they are in the image, pixels.
        size: width and height of the image.
    """
    if len(px) < 6:
        return None
    try:
        camera = _decomposed(_resected(points_world, px), points_world, size)
    except (np.linalg.LinAlgError, ValueError):
        return None
    return camera if _residual_px(camera, points_world, px) < RESIDUAL_PX else None


def _resected(points_world: Array, px: Array) -> Array:
    """Return the (3, 4) projection matrix; both sets of points are scaled first, for numerical stability."""
    to_unit_3d, to_unit_2d = _normaliser(points_world), _normaliser(px)
    x = np.c_[points_world, np.ones(len(px))] @ to_unit_3d.T
    u = np.c_[px, np.ones(len(px))] @ to_unit_2d.T
    zero = np.zeros_like(x)
    rows = np.concatenate([np.hstack([x, zero, -u[:, :1] * x]), np.hstack([zero, x, -u[:, 1:2] * x])])
    projection = np.linalg.svd(rows, full_matrices=False)[2][-1].reshape(3, 4)
    return np.asarray(np.linalg.inv(to_unit_2d) @ projection @ to_unit_3d)


def _normaliser(points: Array) -> Array:
    """Return the similarity that moves points (N, D) around the origin, at distance sqrt(D) on average."""
    centre = points.mean(0)
    dims = points.shape[1]
    scale = np.sqrt(dims) / max(float(np.linalg.norm(points - centre, axis=1).mean()), 1e-12)
    out = np.diag([scale] * dims + [1.0])
    out[:dims, dims] = -scale * centre
    return out


def _decomposed(projection: Array, points_world: Array, size: tuple[int, int]) -> Camera:
    """Return K, R and t of P = K [R | t] with positive focal lengths and the points in front."""
    depth = np.c_[points_world, np.ones(len(points_world))] @ projection[2]
    projection = projection * (np.sign(np.median(depth)) or 1.0)
    flip = np.eye(3)[::-1]
    q, r = np.linalg.qr((flip @ projection[:, :3]).T)
    lens, rotation = flip @ r.T @ flip, flip @ q.T
    signs = np.diag(np.sign(np.diag(lens)))
    lens, rotation = lens @ signs, signs @ rotation
    translation = np.linalg.solve(lens, projection[:, 3])
    pose = np.eye(4)
    pose[:3, :3], pose[:3, 3] = rotation.T, -rotation.T @ translation
    return Camera(lens / lens[2, 2], pose, *size)


def _residual_px(camera: Camera, points_world: Array, px: Array) -> float:
    projected_px, depth_m = camera.project(points_world)
    return float(np.abs(projected_px - px).max()) if (depth_m > 0).all() else np.inf


def columns_of(names: Sequence[str], cameras: Sequence[str]) -> tuple[str | None, Mapping[str, str]]:
    """Return the column of the 3D points, and per camera that of its 2D points, e.g. `….VIEW.tcp_2d_trace`."""
    points = next((name for name in names if POINTS_3D.fullmatch(name)), None)
    columns_2d = {match[1]: name for name in names if (match := POINTS_2D.fullmatch(name))}
    views = {
        camera: columns_2d[camera.rsplit(".", 1)[-1]] for camera in cameras if camera.rsplit(".", 1)[-1] in columns_2d
    }
    return points, views if points else {}
