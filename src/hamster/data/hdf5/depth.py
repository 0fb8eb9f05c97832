"""Depth in demonstrations of robomimic, MimicGen and LIBERO: `obs/CAMERA_depth`, (T, H, W, 1) or (T, H, W).

Integers of 16 bits are millimetres. Floating-point numbers are metres if any of them is larger than 1, or if the array
has the attribute `units` ("m" or "mm"). Otherwise they may as well be MuJoCo's normalised depth buffer, as robosuite
returns it, which is metric only with the near and far planes, and those are not in the file: it is not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hamster.data.depth import Depth, check_plausible, fit_depth, metres_per_unit, to_metres
from hamster.data.hdf5.files import dataset, text
from hamster.data.images import MAX_PIXELS
from hamster.data.lazy import evenly_spaced

UNITS = {"m": 1.0, "metres": 1.0, "meters": 1.0, "mm": 1e-3, "millimetres": 1e-3, "millimeters": 1e-3}
_SAMPLES = 3  # images that the unit is found from


def depth_arrays(observations_group: Any, images: Mapping[str, Any]) -> tuple[dict[str, tuple[str, float]], list[str]]:
    """Return per camera the array with its depth and the metres of one stored unit, and notes on depth not used.

    Args:
        observations_group: of a demonstration.
        images: colour arrays (T, H, W, 3) by camera.
    """
    arrays, notes = dict[str, tuple[str, float]](), list[str]()
    for key in observations_group:
        camera = key.removesuffix("_depth")
        array = dataset(observations_group, key) if camera != key else None
        if array is None:
            continue
        try:
            if camera not in images:
                raise ValueError(f"{array.name} has no colour images beside it")
            arrays[camera] = array.name, _metres_per_unit(array, images[camera])
        except ValueError as error:
            notes.append(f"depth of camera {camera} is not used: {error}")
    return arrays, notes


def read_depth(array: Any, i: int, metres: float, width: int, height: int) -> Depth:
    """Return the depth of step i (height, width), metres, upright or not as stored.

    Args:
        array: of depth images.
        i: index of the step.
        metres: that one stored unit stands for.
        width, height: of the colour image, pixels.
    """
    return fit_depth(to_metres(np.asarray(array[i]), array.name, metres), width, height, array.name)


def _metres_per_unit(array: Any, image: Any) -> float:
    """Return the metres of one stored unit; ValueError, in one line, if it is not known or this is no depth."""
    shape = array.shape[:-1] if array.ndim == 4 and array.shape[3] == 1 else array.shape
    if len(shape) != 3 or array.dtype.kind not in "iuf" or array.dtype.itemsize == 1:
        raise ValueError(
            f"{array.name} has shape {array.shape} of {array.dtype}; (T, H, W) of 16-bit integers or floats"
        )
    if shape[0] != image.shape[0] or shape[1] * shape[2] > MAX_PIXELS:
        raise ValueError(f"{array.name} has shape {array.shape}, and the colour images {image.shape}")
    units = text(array, "units")
    if units and units not in UNITS:
        raise ValueError(f"{array.name} has the attribute units = {units!r:.40}; there are: {', '.join(UNITS)}")
    metres = UNITS[units] if units else metres_per_unit(array.dtype)
    images_m = [
        read_depth(array, step, metres, image.shape[2], image.shape[1]) for step in evenly_spaced(shape[0], _SAMPLES)
    ]
    if not units and array.dtype.kind == "f" and max(float(depth_m.max()) for depth_m in images_m) <= 1:
        raise ValueError(
            f"{array.name} lies between 0 and 1: metres, or a normalised depth buffer without its planes? If these are "
            'metres, set the attribute: array.attrs["units"] = "m"'
        )
    check_plausible(images_m[0], array.name)
    return metres
