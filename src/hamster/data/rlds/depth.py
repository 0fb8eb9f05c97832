"""Depth among the observations of an RLDS dataset: PNG of 16 bits, or tensors (H, W) of 16-bit integers or floats.

The format has no field for the unit: integers are millimetres and floating-point numbers are metres, unless that is
implausible. Then, as of pictures of 8 bits, the depth is not used.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.data.depth import (
    Depth,
    camera_of_depth,
    check_plausible,
    decode_depth,
    fit_depth,
    is_depth_name,
    metres_per_unit,
    to_metres,
)
from hamster.data.images import decode_image
from hamster.data.rlds.example import Values
from hamster.data.rlds.features import Feature


@dataclass(frozen=True, eq=False)
class DepthSteps:
    """One camera's depth of an episode.

    Attributes:
        name: of the feature.
        values: a file per step, or the numbers of all steps (T, H, W).
        metres: that one stored unit stands for, None for files, which say it by their type.
    """

    name: str
    values: list[bytes] | NDArray[np.generic]
    metres: float | None

    def at(self, i: int, width: int, height: int) -> Depth:
        """Return the depth of step i (height, width), metres, 0 where unknown.

        Args:
            i: index of the step.
            width, height: of the colour image, pixels.
        """
        name = f"{self.name}, step {i}"
        value = self.values[i]
        stored = decode_depth(value, name) if isinstance(value, bytes) else value
        return fit_depth(to_metres(stored, name, self.metres), width, height, self.name)


def depth_features(observed: Mapping[str, Feature], cameras: Mapping[str, str]) -> dict[str, tuple[str, Feature]]:
    """Return, by camera, the observation that is its depth, and that feature; by its own name if its camera is unclear.

    Args:
        observed: features of an observation by name.
        cameras: colour cameras.
    """
    by_camera = dict[str, tuple[str, Feature]]()
    for name, feature in observed.items():
        numeric = feature.kind == "tensor" and _sides(feature) is not None
        if not is_depth_name(name) or feature.nested != 1 or not (numeric or feature.kind == "image"):
            continue
        camera = camera_of_depth(name, cameras)
        by_camera[name if camera is None or camera in by_camera else camera] = (name, feature)
    return by_camera


def read_depth(
    example: Mapping[str, Values], prefix: str, name: str, feature: Feature, images: list[bytes]
) -> DepthSteps:
    """Return the depth of a camera.

    Args:
        example: features of a record.
        prefix: of the observation's names in it.
        name, feature: of the depth.
        images: the colour images, a file per step.

    Raises:
        ValueError: in one line, if it is not metric depth of these images.
    """
    values, steps = example.get(prefix + name), len(images)
    if isinstance(values, list):
        if len(values) != steps:
            raise ValueError(f"{name} has {len(values)} images for {steps} steps")
        depth = DepthSteps(name, [bytes(value) for value in values], None)
    else:
        sides = _sides(feature)
        if values is None or sides is None or values.size != steps * sides[0] * sides[1]:
            raise ValueError(f"{name} has {0 if values is None else values.size} numbers for {steps} steps of {sides}")
        if feature.dtype in ("uint8", "int8"):
            raise ValueError(f"{name} holds 8-bit integers: shades, not metric depth")
        depth = DepthSteps(name, values.reshape(steps, *sides), metres_per_unit(values.dtype))
    height, width, _ = decode_image(images[0], f"image 0 of the camera of {name}").shape
    check_plausible(depth.at(0, width, height), name)
    return depth


def _sides(feature: Feature) -> tuple[int, int] | None:
    """Return (height, width) of a feature of one channel, None for anything else."""
    sides = [side for side in feature.shape if side != 1] if len(feature.shape) in (2, 3) else []
    return (sides[0], sides[1]) if len(sides) == 2 and sides[0] and sides[1] else None
