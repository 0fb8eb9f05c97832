"""Reprojection errors of a tool's points as a least-squares problem: its minimum, and what it leaves open."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.geometry.camera import Camera
from hamster.geometry.motion import angle_between
from hamster.geometry.transforms import inverse, matrix_from_rotation_vector, pose, rotation_vector_from_matrix

Array = NDArray[np.float64]
AROUND_M = 0.1  # around the motion, where paths lead, the projection has to be determined, too
MIN_NOISE_PX = 0.25
NEAR_M = 1e-3
ALIKE, TURNED_RAD = 1.5, np.radians(5)  # a second pose explains the points alike, and is another one


@dataclass(frozen=True, eq=False)
class Reprojection:
    """The problem over N points.

    Its parameters are the rotation vector (3,) and the translation (3,) of camera_from_world, then the log of the focal
    length unless the intrinsics are given, then the offset (3,) of the points in the tool's frame if it is fitted.
    """

    poses: Array
    observed_px: Array
    size: tuple[int, int]
    intrinsics: ArrayLike | None
    given_offset: Array
    fit_offset: bool

    def start(self, camera_from_world: Array, focal_px: float) -> Array:
        """Return the parameters of a pose (4, 4) and a focal length."""
        turn, shift = rotation_vector_from_matrix(camera_from_world[:3, :3]), camera_from_world[:3, 3]
        focal = [] if self.intrinsics is not None else [np.log(focal_px)]
        return np.concatenate([turn, shift, focal, self.given_offset if self.fit_offset else []])

    def offset(self, parameters: Array) -> Array:
        """Return the offset (3,) of the points in the tool's frame, metres."""
        return parameters[-3:] if self.fit_offset else self.given_offset

    def lens(self, parameters: Array) -> Array:
        """Return the intrinsics (3, 3)."""
        if self.intrinsics is not None:
            return np.asarray(self.intrinsics, np.float64)
        return centred_lens(float(np.exp(parameters[6])), self.size)

    def camera(self, parameters: Array) -> Camera:
        """Return the camera."""
        camera_from_world = pose(parameters[3:6], matrix_from_rotation_vector(parameters[:3]))
        return Camera(self.lens(parameters), inverse(camera_from_world), *self.size)

    def project(self, parameters: Array, points_world: Array) -> Array:
        """Return the pixels (N, 2) of points (N, 3)."""
        at = points_world @ matrix_from_rotation_vector(parameters[:3]).T + parameters[3:6]
        z = np.maximum(at[:, 2:], NEAR_M)  # what falls behind the camera is far off, and pulls it back
        return np.asarray(((at / z) @ self.lens(parameters).T)[:, :2])

    def residuals(self, parameters: Array) -> Array:
        """Return (N, 2) pixels."""
        return self.project(parameters, tool_points(self.poses, self.offset(parameters))) - self.observed_px

    def distances_px(self, parameters: Array) -> Array:
        """Return how far each point (N,) is from its projection."""
        return np.asarray(np.linalg.norm(self.residuals(parameters), axis=1))

    def minimise(self, parameters: Array, agree: NDArray[np.bool_]) -> Array:
        """Return the parameters at the minimum of Huber's loss over the points that agree."""
        damping, best = 1e-3, parameters
        residuals = self.residuals(best)[agree]
        scale = 1.5 * max(float(np.median(np.linalg.norm(residuals, axis=1))) / 1.18, MIN_NOISE_PX)
        cost = _huber(residuals, scale)
        for _ in range(60):
            weight = np.sqrt(np.minimum(1, scale / np.maximum(np.linalg.norm(residuals, axis=1), 1e-12)))
            jacobian = _jacobian(lambda p: self.residuals(p)[agree], best) * weight[:, None, None]
            rows, target = jacobian.reshape(-1, len(best)), (residuals * weight[:, None]).ravel()
            normal = rows.T @ rows
            step = np.linalg.lstsq(normal + damping * np.diag(np.diag(normal) + 1e-12), -rows.T @ target, rcond=None)[0]
            trial = best + step
            residuals_there = self.residuals(trial)[agree]
            if (cost_there := _huber(residuals_there, scale)) < cost:
                is_settled = cost - cost_there < 1e-9 * cost
                best, residuals, cost, damping = trial, residuals_there, cost_there, damping / 5
                if is_settled:
                    break
            elif damping > 1e6:
                break
            else:
                damping *= 5
        return best

    def uncertainty_px(self, parameters: Array, agree: NDArray[np.bool_], noise_px: float) -> float:
        """Return the largest standard deviation of a projection in and around the motion, pixels; inf if it is open."""
        rows = _jacobian(lambda p: self.residuals(p)[agree], parameters).reshape(-1, len(parameters))
        scale = np.maximum(np.linalg.norm(rows, axis=0), 1e-12)
        singular, basis = np.linalg.svd(rows / scale, full_matrices=False)[1:]
        if singular[-1] < 1e-9 * singular[0]:
            return float("inf")
        half = noise_px * (basis.T / singular) / scale[:, None]  # covariance = half @ half.T
        box = _box(tool_points(self.poses[agree], self.offset(parameters)))
        there = _jacobian(lambda p: self.project(p, box), parameters) @ half  # (corners, 2, parameters)
        return float(np.sqrt((there**2).sum((1, 2))).max())

    def has_second_pose(self, parameters: Array, agree: NDArray[np.bool_]) -> bool:
        """Return whether a flat motion, mirrored about the line of sight, fits as well (Oberkampf et al., 1996)."""
        points = tool_points(self.poses[agree], self.offset(parameters))
        extent, axes = extents(points)
        if extent[2] > 0.2 * extent[0]:
            return False
        rotation, middle = matrix_from_rotation_vector(parameters[:3]), points.mean(0)
        centre = rotation @ middle + parameters[3:6]
        sight, normal = centre / np.linalg.norm(centre), rotation @ axes[2]
        flipped = 2 * (normal @ sight) * sight - normal
        axis, angle = np.cross(normal, flipped), np.arccos(np.clip(normal @ flipped, -1, 1))
        if angle < TURNED_RAD or np.pi - angle < TURNED_RAD or np.linalg.norm(axis) < 1e-9:
            return False
        turned = matrix_from_rotation_vector(axis / np.linalg.norm(axis) * angle) @ rotation
        start = np.concatenate([rotation_vector_from_matrix(turned), centre - turned @ middle, parameters[6:]])
        other = self.minimise(start, agree)
        apart = angle_between(matrix_from_rotation_vector(other[:3]), rotation)
        own, there = (np.median(self.distances_px(p)[agree]) for p in (parameters, other))
        return bool(apart > TURNED_RAD and there < ALIKE * max(own, MIN_NOISE_PX))


def tool_points(poses: Array, offset_tool_m: Array) -> Array:
    """Return the points (N, 3) at an offset (3,) in the frames of tool poses (N, 4, 4)."""
    return np.asarray(poses[:, :3, :3] @ offset_tool_m + poses[:, :3, 3])


def centred_lens(focal_px: float, size: tuple[int, int]) -> Array:
    """Return intrinsics (3, 3) with square pixels and the principal point in the middle."""
    return np.array([[focal_px, 0, size[0] / 2], [0, focal_px, size[1] / 2], [0, 0, 1]])


def _huber(residuals: Array, scale: float) -> float:
    r = np.linalg.norm(residuals, axis=1)
    return float(np.where(r <= scale, r**2, scale * (2 * r - scale)).sum())


def _jacobian(function: Callable[[Array], Array], at: Array) -> Array:
    """Return central differences (..., parameters)."""
    steps = 1e-6 * np.maximum(1, np.abs(at))
    return np.stack(
        [(function(at + e) - function(at - e)) / (2 * h) for h, e in zip(steps, np.diag(steps), strict=True)], -1
    )


def extents(points: Array) -> tuple[Array, Array]:
    """Return extents (3,) along principal axes (3 rows, 3), longest first, without 2 % of the points at each end."""
    middle = points.mean(0)
    axes = np.linalg.svd(points - middle, full_matrices=False)[2]
    along = (points - middle) @ axes.T
    return np.asarray(np.percentile(along, 98, axis=0) - np.percentile(along, 2, axis=0)), axes


def _box(points: Array) -> Array:
    """Return the corners (8, 3) of the box around points, with a margin."""
    middle = points.mean(0)
    axes = np.linalg.svd(points - middle, full_matrices=False)[2]
    along = (points - middle) @ axes.T
    low, high = along.min(0) - AROUND_M / 2, along.max(0) + AROUND_M / 2
    corners = np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T
    return np.asarray(corners @ axes + middle)
