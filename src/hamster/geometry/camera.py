"""Pinhole cameras. OpenCV axes: x right, y down, z along the optical axis."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.geometry.transforms import apply, inverse

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Camera:
    """A calibrated pinhole camera; pixel (0, 0) covers [0, 1) x [0, 1), so its centre is (0.5, 0.5).

    Attributes:
        intrinsics: (3, 3) in pixels, focal lengths > 0.
        world_from_camera: (4, 4) rigid, metres.
        width, height: of the image, in pixels.

    Raises:
        ValueError: on a wrong shape, a focal length <= 0, a transform that is not rigid, or an empty image.
    """

    intrinsics: Array
    world_from_camera: Array
    width: int
    height: int

    def __post_init__(self) -> None:
        for name, shape in (("intrinsics", (3, 3)), ("world_from_camera", (4, 4))):
            array = np.array(getattr(self, name), np.float64)
            if array.shape != shape or not np.isfinite(array).all():
                raise ValueError(f"{name} must be a finite {shape} matrix, got shape {array.shape}")
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        rotation = self.world_from_camera[:3, :3]
        if not np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-3) or np.linalg.det(rotation) < 0:
            raise ValueError("world_from_camera must be rigid: a rotation without scale or reflection")
        if self.width < 1 or self.height < 1:
            raise ValueError(f"an image has at least one pixel, got {self.width} x {self.height}")
        if self.intrinsics[0, 0] <= 0 or self.intrinsics[1, 1] <= 0:
            raise ValueError("focal lengths must be positive (OpenCV); negate the x and y axes of the camera instead")

    @property
    def size_px(self) -> Array:
        """(2,) width and height."""
        return np.array([self.width, self.height], np.float64)

    def project(self, points_world: ArrayLike) -> tuple[Array, Array]:
        """Project world points (..., 3), metres, to pixels (..., 2) and depths (...), negative behind the camera.

        Example:
            >>> camera = Camera([[100, 0, 32], [0, 100, 24], [0, 0, 1]], np.eye(4), width=64, height=48)
            >>> px, depth_m = camera.project([0.1, 0.0, 2.0])
            >>> px.tolist(), float(depth_m)
            ([37.0, 24.0], 2.0)
        """
        points = apply(inverse(self.world_from_camera), points_world)
        depth_m = points[..., 2]
        safe = np.where(np.abs(depth_m) < 1e-9, 1e-9, depth_m)
        px = (points / safe[..., None]) @ self.intrinsics.T
        return px[..., :2], depth_m

    def unproject(self, px: ArrayLike, depth_m: ArrayLike) -> Array:
        """Return the world points (..., 3), metres, of pixels (..., 2) with depths (...)."""
        px, depth = np.asarray(px, np.float64), np.asarray(depth_m, np.float64)
        rays = np.concatenate([px, np.ones_like(px[..., :1])], -1) @ np.linalg.inv(self.intrinsics).T
        return apply(self.world_from_camera, rays * depth[..., None])

    def points_world(self, depth_m: ArrayLike) -> Array:
        """Return the world point (H, W, 3) of each pixel's centre in a depth image (H, W)."""
        v, u = np.mgrid[0 : self.height, 0 : self.width] + 0.5
        return self.unproject(np.stack([u, v], -1), depth_m)

    def resized(self, width: int, height: int) -> Camera:
        """Return the camera of the same image scaled to another size."""
        scale = np.diag([width / self.width, height / self.height, 1.0])
        return Camera(scale @ self.intrinsics, self.world_from_camera, width, height)
