"""Common calibration faults, each as an alternative projection: one that fits better is the likely fault.

From the threads of people whose gripper was not where it was projected to: droid-dataset/droid#64, #42, #10,
openvla/openvla#164, Lifelong-Robot-Learning/LIBERO#89.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.geometry import Camera, inverse

Array = NDArray[np.float64]
FAR_M = 20.0  # from the world's origin: no robot's camera is as far away, unless the unit is another
SCALES = (0.25, 0.5, 2.0, 4.0)  # of image sizes that calibrations get mixed up between


@dataclass(frozen=True)
class Fault:
    """A mistake, in words, and how to undo it.

    Attributes:
        words: what is wrong and what to do about it.
        camera: the camera as it would be without the mistake.
        image: pixels (N, 2) and the image's size (2,) to pixels as they would be without the mistake.
    """

    words: str
    camera: Callable[[Camera], Camera] = lambda camera: camera
    image: Callable[[Array, Array], Array] = lambda px, size: px


NO_FAULT = Fault("")


def faults(camera: Camera) -> Iterator[Fault]:
    """Yield all faults to try for a camera, which states the size of its images."""
    yield Fault("inverted extrinsics: give world_from_camera, not camera_from_world", _inverted)
    for unit, per_metre in (("millimetres", 1e3), ("centimetres", 1e2)):
        if np.abs(camera.world_from_camera[:3, 3]).max() > FAR_M:
            yield Fault(f"extrinsics in {unit}: world_from_camera is in metres", _in_unit(per_metre))
    yield Fault("OpenGL's axes (y up, looking along -z): negate the camera's y and z axes", _from_opengl)
    yield Fault("an image that is upside down: flip it", image=lambda px, size: px * [1, -1] + size * [0, 1])
    yield Fault("a mirrored image: swap left and right", image=lambda px, size: px * [-1, 1] + size * [1, 0])
    yield Fault("an image turned by 180 degrees: turn it back", image=lambda px, size: size - px)
    yield Fault(
        "rows and columns swapped: u is x, to the right", image=lambda px, size: px[:, ::-1] / size[::-1] * size
    )
    middle = camera.width / (2 * camera.intrinsics[0, 2]) if camera.intrinsics[0, 2] > 1 else 1.0
    scales = [*SCALES, *([middle] if min(abs(middle / s - 1) for s in (*SCALES, 1.0)) > 0.1 else [])]
    for scale in scales:
        size = f"{1 / scale:.3g} times as large" if scale < 1 else f"{scale:.3g} times smaller"
        yield Fault(f"scaled intrinsics: they are those of an image {size}", _scaled(scale))
    for scale in (0.5, 2.0):
        yield Fault(f"a wrong focal length: {scale:g} times as long fits", _refocused(scale))


def project(fault: Fault, cameras: Sequence[Camera], points_world: Array) -> Array:
    """Return where each camera sees its point (N, 3) if that fault is undone: pixels (N, 2), NaN behind the camera.

    Args:
        fault: to undo.
        cameras: N, one per point.
        points_world: (N, 3), metres.
    """
    px = np.full((len(points_world), 2), np.nan)
    for i, (camera, point) in enumerate(zip(cameras, points_world, strict=True)):
        at, depth_m = fault.camera(camera).project(point)
        if depth_m > 0:
            px[i] = at
    return fault.image(px, cameras[0].size_px)


def _in_unit(per_metre: float) -> Callable[[Camera], Camera]:
    def undo(camera: Camera) -> Camera:
        pose = camera.world_from_camera.copy()
        pose[:3, 3] /= per_metre
        return Camera(camera.intrinsics, pose, camera.width, camera.height)

    return undo


def _inverted(camera: Camera) -> Camera:
    return Camera(camera.intrinsics, inverse(camera.world_from_camera), camera.width, camera.height)


def _from_opengl(camera: Camera) -> Camera:
    turned = camera.world_from_camera @ np.diag([1.0, -1.0, -1.0, 1.0])
    return Camera(camera.intrinsics, turned, camera.width, camera.height)


def _scaled(scale: float) -> Callable[[Camera], Camera]:
    def undo(camera: Camera) -> Camera:
        lens = np.diag([scale, scale, 1.0]) @ camera.intrinsics
        return Camera(lens, camera.world_from_camera, camera.width, camera.height)

    return undo


def _refocused(scale: float) -> Callable[[Camera], Camera]:
    def undo(camera: Camera) -> Camera:
        lens = camera.intrinsics * [[scale, scale, 1], [scale, scale, 1], [1, 1, 1]]
        return Camera(lens, camera.world_from_camera, camera.width, camera.height)

    return undo
