"""Parts that adapters of other libraries' robots share: their factories, cameras and depth images."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import View
from hamster.data.lerobot.sidecar import FILE, read_sidecar
from hamster.geometry import Camera
from hamster.rollout.robots.base import RobotError
from hamster.rollout.safety_checks import UnsafeActionError, is_rigid, numbers

MM_PER_M = 1000.0
Array = NDArray[np.float64]


def load_factory(factory: str | Callable[[], Any]) -> Callable[[], Any]:
    """Return a function, or the one that "module:function" names.

    Raises:
        ValueError: if there is no such module or function.
    """
    if callable(factory):
        return factory
    module, separator, attribute = factory.partition(":")
    if not separator:
        raise ValueError(f'factory must be "module:function", which returns the robot; got {factory!r}')
    try:
        value = getattr(import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"factory {factory!r} cannot be imported: {error}") from None
    if not callable(value):
        raise ValueError(f"factory {factory!r} is a {type(value).__name__}, no function")
    made: Callable[[], Any] = value
    return made


def read_calibration(folder: str | Path | None, cameras: Sequence[str]) -> tuple[dict[str, Camera], Array]:
    """Return the fixed cameras of `meta/cameras.json` in a folder, and the tool in the frame that the robot reports.

    Args:
        folder: with the file; None if the cameras are not calibrated.
        cameras: names, as the robot has them.

    Returns:
        The cameras by name, without those that move, and recorded_from_tool (4, 4).

    Raises:
        ValueError: if the file is missing or damaged, or names a camera that the robot lacks.
    """
    if folder is None:
        return {}, np.eye(4)
    if not (Path(folder) / FILE).is_file():
        raise ValueError(f"calibration: there is no {Path(folder) / FILE}")
    keys = {f"observation.images.{name}": name for name in cameras}
    entries, robot = read_sidecar(Path(folder), keys)
    fixed = {keys[key]: entry.cameras({}, 1)[0] for key, entry in entries.items() if not entry.columns}
    try:
        recorded_from_tool = numbers(robot.get("recorded_from_tool", np.eye(4)), "recorded_from_tool")
    except UnsafeActionError:
        recorded_from_tool = np.zeros(0)
    if not is_rigid(recorded_from_tool):
        raise ValueError(f"{FILE}: recorded_from_tool must be a rigid (4, 4) matrix")
    return {name: camera for name, camera in fixed.items() if camera is not None}, recorded_from_tool


def view_of(name: str, rgb: object, depth: object | None, camera: Camera | None) -> View:
    """Return a view of a driver's arrays; the camera must be that of the image's size.

    Args:
        name: of the camera, for messages.
        rgb: (H, W, 3) uint8.
        depth: (H, W) or (H, W, 1): integers are millimetres, floats metres; None without depth.
        camera: calibration, or None.

    Raises:
        RobotError: if an array is none of these.
    """
    image = np.asarray(rgb)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise RobotError(f"the image of {name!r} is {image.shape} {image.dtype}, not (H, W, 3) uint8")
    height, width = image.shape[:2]
    if camera is not None and (camera.width, camera.height) != (width, height):
        raise RobotError(
            f"{name!r} is calibrated for {camera.width} x {camera.height} pixels; its images are {width} x {height}"
        )
    return View(image, None if depth is None else depth_in_metres(name, depth), camera)


def depth_in_metres(name: str, depth: object) -> NDArray[np.float32]:
    """Return a depth image (H, W) float32 in metres of integers in millimetres or floats in metres."""
    values = np.asarray(depth)
    if values.ndim == 3 and values.shape[2] == 1:
        values = values[..., 0]
    if values.ndim != 2 or values.dtype.kind not in "uf":
        raise RobotError(f"the depth of {name!r} is {values.shape} {values.dtype}, not (H, W) uint16 or float")
    return (values / MM_PER_M if values.dtype.kind == "u" else values).astype(np.float32)
