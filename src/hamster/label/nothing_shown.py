"""Detect labels without content: blank images, tools that are never in view, paths that do not move."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from hamster.geometry import Camera, apply, inverse
from hamster.label.camera_faults import NO_FAULT, Fault, faults, project

Array = NDArray[np.float64]
ONE_COLOUR = 12  # of 255, from the darkest to the brightest value of a channel: no more than a codec's noise
NEAR_COLOUR = 40  # of 255
SOMETIMES = 0.25  # of the frames the tool is in view: fewer, and a calibration has to be above suspicion
NEARLY_ALWAYS = 0.9  # with a mistake undone: then that mistake was made
MOVES_M = 0.05  # by as much a tool moves at least that does anything
WIDEST_M = 10.0  # that an image shows at the tool: no camera looks at a robot from farther away
_COLOURS = {"black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128), "green": (0, 135, 0)}


def is_one_colour(rgb: NDArray[np.uint8]) -> bool:
    """Return whether an image (H, W, 3) is of one colour: black, or what a decoder leaves where data are missing."""
    height, width = rgb.shape[:2]
    for stride in (max(1, min(height, width) // 16), 1):  # a few pixels show that of almost every picture
        some = rgb[::stride, ::stride].reshape(-1, rgb.shape[-1])
        if int((some.max(0).astype(int) - some.min(0)).max()) > ONE_COLOUR:
            return False
    return True


def colour_name(rgb: NDArray[np.uint8]) -> str:
    """Return the colour of an image of one colour: in a word, or red, green and blue from 0 to 255."""
    mean = rgb.reshape(-1, rgb.shape[-1]).mean(0)
    near = [name for name, colour in _COLOURS.items() if np.abs(mean - colour).max() < NEAR_COLOUR]
    return near[0] if near else f"rgb{tuple(mean.round().astype(int).tolist())}"


def in_view(points_world: Array, cameras: Sequence[Camera]) -> NDArray[np.bool_]:
    """Return (N,) whether each camera sees its point (N, 3) in its image."""
    return _inside(NO_FAULT, points_world, cameras)


def why_nothing_is_shown(tips_world: Array, cameras: Sequence[Camera]) -> str:
    """Return why paths on these images would show nothing, with the likely fault; "" if they show something.

    Args:
        tips_world: (N, 3) the tool's tip, of the frames that have a calibrated image.
        cameras: N, of these images.
    """
    inside = in_view(tips_world, cameras)
    if inside.mean() < SOMETIMES:
        fault = _likely_fault(tips_world, cameras)
        if fault or not inside.any():
            return (
                f"{_where(tips_world, cameras, inside)}: {fault or 'world_from_camera or the intrinsics may be wrong'}"
            )
    if not _same_place(cameras):
        return ""
    tips = apply(inverse(cameras[0].world_from_camera), tips_world)[inside]
    across_m = float(np.ptp(tips[:, :2], axis=0).max())
    px = (tips / tips[:, 2:]) @ cameras[0].intrinsics.T
    across = float((np.ptp(px[:, :2], axis=0) / cameras[0].size_px).max())
    if across_m > MOVES_M and across * WIDEST_M < across_m:
        fault = "world_from_camera may be in millimetres, or the intrinsics are of another camera"
        return f"the tool moves by {across_m:.2f} m across the view and its path by {across:.2%} of the image: {fault}"
    return ""


def _where(tips_world: Array, cameras: Sequence[Camera], inside: NDArray[np.bool_]) -> str:
    depths_m = np.array([camera.project(tip)[1] for camera, tip in zip(cameras, tips_world, strict=True)])
    behind = float((depths_m <= 0).mean())
    if behind > 1 - NEARLY_ALWAYS:
        return f"the tool is behind the camera in {behind:.0%} of the frames"
    return f"the tool is out of view in {1 - inside.mean():.0%} of the frames"


def _likely_fault(tips_world: Array, cameras: Sequence[Camera]) -> str:
    """Return the first of the usual mistakes that, undone, would put the tool into view; "" if there is none."""
    for fault in faults(cameras[0]):
        if _inside(fault, tips_world, cameras).mean() >= NEARLY_ALWAYS:
            return f"the calibration is wrong, likely {fault.words}"
    return ""


def _inside(fault: Fault, points_world: Array, cameras: Sequence[Camera]) -> NDArray[np.bool_]:
    px = project(fault, cameras, points_world)
    with np.errstate(invalid="ignore"):
        return np.asarray(((px >= 0) & (px < cameras[0].size_px)).all(1))


def _same_place(cameras: Sequence[Camera]) -> bool:
    return all(camera is cameras[0] or np.array_equal(camera.world_from_camera, cameras[0].world_from_camera)
               for camera in cameras)  # fmt: skip
