"""Poses of cameras, bodies and sites in a MuJoCo model, computed from its XML without MuJoCo.

Only what holds still is known from a file: a place is given relative to the nearest body above it that moves, or to
the world if there is none. Format: https://mujoco.readthedocs.io/en/stable/XMLreference.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring
from numpy.typing import NDArray

from hamster.geometry import inverse, matrix_from_quaternion, pose

Array = NDArray[np.float64]
MAX_CHARS = 32 << 20
MAX_DEPTH = 100
FOVY_DEG = 45.0  # MuJoCo's default
WORLD = 0
OPENCV_FROM_MUJOCO = np.diag([1.0, -1.0, -1.0, 1.0])  # a MuJoCo camera looks along -z, y is up


@dataclass(frozen=True, eq=False)
class Place:
    """A pose (4, 4) relative to the moving body number `anchor`; 0 is the world."""

    anchor: int
    anchor_from_here: Array


@dataclass(frozen=True, eq=False)
class ModelCamera:
    """A camera that is fixed to the world or to a body; OpenCV axes, vertical field of view in degrees."""

    place: Place
    fovy_deg: float

    def intrinsics(self, width: int, height: int) -> Array:
        """Return (3, 3) for an image of that size: square pixels, the principal point in the middle."""
        focal = height / 2 / np.tan(np.radians(self.fovy_deg) / 2)
        return np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])


@dataclass
class Model:
    """Cameras, bodies and sites by name."""

    cameras: dict[str, ModelCamera] = field(default_factory=dict)
    bodies: dict[str, Place] = field(default_factory=dict)
    sites: dict[str, Place] = field(default_factory=dict)

    def between(self, a: str, site: str) -> Array | None:
        """Return body_from_site (4, 4); None if either is missing or they move against each other."""
        body, there = self.bodies.get(a), self.sites.get(site)
        if body is None or there is None or body.anchor != there.anchor:
            return None
        return np.asarray(inverse(body.anchor_from_here) @ there.anchor_from_here)


def read_model(xml: str) -> Model:
    """Return the places in a model.

    Raises:
        ValueError: in one line, if it is no MuJoCo XML or holds a place that is none.
    """
    if len(xml) > MAX_CHARS:
        raise ValueError(f"the model's XML has {len(xml) >> 20} MiB; at most {MAX_CHARS >> 20} MiB are read")
    try:
        root = fromstring(xml)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise ValueError(f"the model's XML is damaged: {error}") from None
    if root.tag != "mujoco":
        raise ValueError(f"the model's XML is a {root.tag!r}, not a 'mujoco'")
    return _Walk(root).model


class _Walk:
    def __init__(self, root: Any) -> None:
        compiler: dict[str, str] = {}
        for element in root.findall("compiler"):
            compiler.update(element.attrib)
        self.degrees = compiler.get("angle", "degree") == "degree"
        self.eulerseq = compiler.get("eulerseq", "xyz")
        default = root.find("./default/camera")
        self.fovy = FOVY_DEG if default is None else _numbers(default, "fovy", 1, [FOVY_DEG])[0]
        self.model, self.moving = Model(), WORLD
        for world in root.findall("worldbody"):
            self._children(world, Place(WORLD, np.eye(4)), 0)

    def _children(self, element: Any, place: Place, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise ValueError(f"the model's bodies are nested more than {MAX_DEPTH} deep")
        for child in element:
            name = child.get("name", "")
            if child.tag == "body":
                here = self._body(child, place)
                self.model.bodies[name] = here
                self._children(child, here, depth + 1)
            elif child.tag == "frame":
                self._children(child, self._local(child, place), depth + 1)
            elif child.tag == "site":
                self.model.sites[name] = self._local(child, place)
            elif child.tag == "camera" and _is_fixed(child):
                self._camera(child, name, place)

    def _body(self, element: Any, parent: Place) -> Place:
        here = self._local(element, parent)
        if any(element.find(tag) is not None for tag in ("joint", "freejoint")) or element.get("mocap") == "true":
            self.moving += 1
            return Place(self.moving, np.eye(4))
        return here

    def _camera(self, element: Any, name: str, place: Place) -> None:
        fovy = _numbers(element, "fovy", 1, [self.fovy])[0]
        if not 0 < fovy < 180:
            raise ValueError(f"the model's camera {name!r} has a field of view of {fovy} degrees")
        here = self._local(element, place)
        turned = Place(here.anchor, here.anchor_from_here @ OPENCV_FROM_MUJOCO)
        self.model.cameras[name] = ModelCamera(turned, fovy)

    def _local(self, element: Any, parent: Place) -> Place:
        here = pose(_numbers(element, "pos", 3, [0, 0, 0]), self._rotation(element))
        return Place(parent.anchor, parent.anchor_from_here @ here)

    def _rotation(self, element: Any) -> Array:
        """Return (3, 3), in whichever of MuJoCo's five spellings it is written."""
        if "axisangle" in element.attrib:
            *axis, angle = _numbers(element, "axisangle", 4)
            return _about(np.array(axis), self._radians(angle))
        if "euler" in element.attrib:
            return self._euler(_numbers(element, "euler", 3))
        if "xyaxes" in element.attrib:
            axes = np.reshape(_numbers(element, "xyaxes", 6), (2, 3))
            x = _unit(axes[0])
            y = _unit(axes[1] - x * (x @ axes[1]))
            return np.stack([x, y, np.cross(x, y)], -1)
        if "zaxis" in element.attrib:
            z = _unit(np.array(_numbers(element, "zaxis", 3)))
            turn = np.cross([0, 0, 1], z)
            turn = turn if np.linalg.norm(turn) > 1e-9 else np.array([1.0, 0, 0])
            return _about(turn, float(np.arccos(np.clip(z[2], -1, 1))))
        quaternion = np.array(_numbers(element, "quat", 4, [1, 0, 0, 0]))
        return matrix_from_quaternion(_unit(quaternion))

    def _euler(self, angles: Iterable[float]) -> Array:
        """Return the rotation of Euler angles: lower case about axes that turn along, upper case about the parent's."""
        out = np.eye(3)
        for letter, angle in zip(self.eulerseq, angles, strict=False):
            axis = np.eye(3)["xyz".index(letter.lower())] if letter.lower() in "xyz" else np.zeros(3)
            turn = _about(axis, self._radians(angle))
            out = out @ turn if letter.islower() else turn @ out
        return out

    def _radians(self, angle: float) -> float:
        return float(np.radians(angle)) if self.degrees else angle


def _is_fixed(camera: Any) -> bool:
    """Return whether the camera's direction and lens are given: no tracking camera, no physical sensor."""
    unknown = ("focal", "focalpixel", "sensorsize", "principal", "principalpixel")
    orthographic = camera.get("orthographic") == "true" or camera.get("projection") == "orthographic"
    return camera.get("mode", "fixed") == "fixed" and not orthographic and not any(camera.get(a) for a in unknown)


def _about(axis: Array, angle_rad: float) -> Array:
    return matrix_from_quaternion([np.cos(angle_rad / 2), *(np.sin(angle_rad / 2) * _unit(axis))])


def _unit(vector: Array) -> Array:
    length = float(np.linalg.norm(vector))
    if not length > 1e-9:
        raise ValueError("the model's XML has an axis or a quaternion of length 0")
    return np.asarray(vector / length)


def _numbers(element: Any, name: str, count: int, default: list[float] | None = None) -> list[float]:
    text = element.get(name)
    if text is None and default is not None:
        return default
    try:
        values = [float(part) for part in (text or "").split()]
    except ValueError:
        values = []
    if len(values) != count or not np.isfinite(values).all():
        raise ValueError(f"the model's XML: {name}={text!r} of a {element.tag} is not {count} numbers")
    return values
