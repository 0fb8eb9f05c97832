"""Placement of things on the table without overlap, and their layout in a camera's image."""

from __future__ import annotations

from dataclasses import replace
from math import cos, hypot, sin

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.geometry import Camera, look_at
from hamster.sim.scene import CameraSpec, Scene, Thing

Bounds = tuple[float, float, float, float]  # x low, x high, y low, y high, metres


def footprint_radius(thing: Thing) -> float:
    """Return the radius of the circle around a thing's foot, metres."""
    square = any(part.shape == "box" and part.size[0] > 0.3 * thing.size[0] for part in thing.parts)
    return hypot(thing.size[0], thing.size[1]) / 2 if square else max(thing.size[:2]) / 2


def scatter(
    things: list[Thing], bounds: Bounds, rng: np.random.Generator, gap_m: float, tries: int = 200
) -> tuple[Thing, ...] | None:
    """Place things at random without overlap; None if they do not fit.

    Args:
        things: to place.
        bounds: of the places.
        rng: of the places.
        gap_m: smallest distance between the feet of two things.
        tries: places to try per thing.
    """
    placed: list[Thing] = []
    for thing in sorted(things, key=footprint_radius, reverse=True):
        radius = footprint_radius(thing)
        for _ in range(tries):
            x = rng.uniform(bounds[0] + radius, bounds[1] - radius)
            y = rng.uniform(bounds[2] + radius, bounds[3] - radius)
            if all(hypot(x - p.xy[0], y - p.xy[1]) > radius + footprint_radius(p) + gap_m for p in placed):
                placed.append(replace(thing, xy=(float(x), float(y))))
                break
        else:
            return None
    rank = {thing.name: i for i, thing in enumerate(things)}
    return tuple(sorted(placed, key=lambda thing: rank[thing.name]))


def world_camera(spec: CameraSpec, width: int, height: int) -> Camera:
    """Return the calibration of a camera that is fixed in the world, without building the scene.

    Args:
        spec: of the camera.
        width: of the image, pixels.
        height: of the image, pixels.
    """
    focal = 0.5 * height / np.tan(np.radians(spec.fovy_deg) / 2)
    intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(intrinsics, look_at(spec.eye, spec.target), width, height)


def towards_viewer(scene: Scene, xy: ArrayLike, camera: str = "front") -> NDArray[np.float64]:
    """Return the unit vector (2,) on the table from a place `xy` (metres) towards a camera fixed in the world."""
    away = np.asarray(scene.cameras[camera].eye[:2], np.float64) - np.asarray(xy, np.float64)
    return away / np.linalg.norm(away)


def image_layout(scene: Scene, camera: str = "front") -> dict[str, tuple[float, float, float]]:
    """Return each thing's centre (u, v) in the image, relative, and its area as a share of the image."""
    view = world_camera(scene.cameras[camera], 256, 256)
    return {thing.name: _appearance(thing, view) for thing in scene.things}


def _appearance(thing: Thing, camera: Camera) -> tuple[float, float, float]:
    c, s = cos(thing.yaw), sin(thing.yaw)
    half_x, half_y, height = thing.size[0] / 2, thing.size[1] / 2, thing.size[2]
    corners = [
        (thing.xy[0] + c * x - s * y, thing.xy[1] + s * x + c * y, z)
        for x in (-half_x, half_x)
        for y in (-half_y, half_y)
        for z in (0.0, height)
    ]
    px, _ = camera.project(corners)
    uv = px / camera.size_px
    u, v = (uv.min(0) + uv.max(0)) / 2
    return float(u), float(v), float(np.prod(uv.max(0) - uv.min(0)))
