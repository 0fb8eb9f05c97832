"""One demonstration of robomimic, MimicGen or LIBERO -> an episode with calibrated cameras."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data.depth import Depth
from hamster.data.hdf5.depth import depth_arrays, read_depth
from hamster.data.hdf5.files import dataset, group, numbers, opened, text
from hamster.data.hdf5.instructions import instruction
from hamster.data.hdf5.mjcf import WORLD, Model, ModelCamera, read_model
from hamster.data.images import MAX_PIXELS
from hamster.data.lazy import LazyObservations
from hamster.data.records import Episode, JointStates, Observation, Provenance, View
from hamster.data.robots import PANDA_OPEN_M, RECORDED_FROM_TOOL, UNKNOWN_GRIPPER, GripperScale
from hamster.geometry import Camera, inverse, matrix_from_quaternion, pose

Array = NDArray[np.float64]
FPS = 20.0  # robosuite's control frequency
BASE = "robot0_base"
HANDS = ("robot0_right_hand", "right_hand")
TIPS = ("gripper0_grip_site", "gripper0_right_grip_site", "grip_site")
_IMAGES = re.compile(r"(.+)_(rgb|image)")


def read_episode(file: Path, demo: str, source: str) -> Episode:
    """Return the demonstration `data/{demo}` of a file; images are read on access.

    Args:
        file: of robomimic's or LIBERO's format.
        demo: name of the demonstration, e.g. demo_0.
        source: URI for the provenance.

    Raises:
        ValueError: in one line, if it is damaged, or has no images.
    """
    with opened(file) as h5:
        data = group(h5, "data")
        demonstration = group(data, demo)
        observations_group = group(demonstration, "obs")
        images = _images(observations_group)
        steps = {len(array) for array in images.values()}
        hand, gripper = _hand(observations_group), _opening(demonstration, observations_group)
        joints = _joints(observations_group)
        angles = None if joints is None else joints.positions
        steps |= {len(x) for x in (hand, gripper, angles) if x is not None}
        if len(steps) != 1 or 0 in steps:
            raise ValueError(f"{demo} has images and states of {sorted(steps)} steps; they must be as many, at least 1")
        upside_down = _is_upside_down(data, images)
        cameras = _cameras(text(demonstration, "model_file") or text(data, "model_file"), images, hand)
        words = instruction(data, demonstration, file)
        digest = _digest([angles if hand is None else hand, gripper], images, demonstration)
        keys = {name: array.name for name, array in images.items()}
        depth, notes = depth_arrays(observations_group, images)
    poses = None if hand is None else hand @ RECORDED_FROM_TOOL["robosuite"]
    notes += [UNKNOWN_GRIPPER] if gripper is None else []
    extra = {"task": words, **({"notes": notes} if notes else {})}
    return Episode(
        instructions=(words,),
        observations=_Frames(file, keys, depth, cameras, upside_down, poses, gripper, steps.pop()),
        provenance=Provenance(source=source, file=f"{file.name}/{demo}", sha256=digest, extra=extra),
        tool_poses_world=poses,
        gripper=gripper,
        joints=joints,
    )


@dataclass(frozen=True)
class Lens:
    """A camera's matrix for its images, and where it was: one pose (1, 4, 4), or one per step (T, 4, 4)."""

    intrinsics: Array
    world_from_camera: Array

    def at(self, i: int, width: int, height: int) -> Camera:
        """Return the camera of step i.

        Args:
            i: index of the step.
            width, height: of the image, pixels.
        """
        return Camera(self.intrinsics, self.world_from_camera[min(i, len(self.world_from_camera) - 1)], width, height)


@dataclass(frozen=True)
class _Frames(LazyObservations):
    """Observations of a demonstration; the file is opened for each one that is indexed."""

    file: Path
    images: Mapping[str, str]
    depth: Mapping[str, tuple[str, float]]  # array, and metres of its unit
    cameras: Mapping[str, Lens]
    upside_down: bool
    tool_poses_world: Array | None
    gripper: Array | None
    steps: int

    def __len__(self) -> int:
        return self.steps

    def read(self, i: int) -> Observation:
        """Return one frame."""
        with opened(self.file) as h5:
            raw = {name: np.asarray(dataset(h5, key)[i], np.uint8) for name, key in self.images.items()}
            depths_m = {
                name: read_depth(dataset(h5, key), i, metres, raw[name].shape[1], raw[name].shape[0])
                for name, (key, metres) in self.depth.items()
            }
        views = {name: self._view(name, rgb, depths_m.get(name), i) for name, rgb in raw.items()}
        tool = None if self.tool_poses_world is None else self.tool_poses_world[i]
        return Observation(views, tool, None if self.gripper is None else float(self.gripper[i]), i / FPS)

    def _view(self, name: str, raw: NDArray[np.uint8], depth_m: Depth | None, i: int) -> View:
        rgb = np.ascontiguousarray(raw[::-1]) if self.upside_down else raw
        if depth_m is not None and self.upside_down:
            depth_m = np.ascontiguousarray(depth_m[::-1])
        lens = self.cameras.get(name)
        return View(rgb, depth_m, None if lens is None else lens.at(i, rgb.shape[1], rgb.shape[0]))


def _images(observations_group: Any) -> dict[str, Any]:
    """Return the arrays (T, H, W, 3) uint8 by camera, those on the hand last."""
    out = {}
    for key in observations_group:
        match = _IMAGES.fullmatch(key)
        array = dataset(observations_group, key) if match else None
        if match and array is not None and array.ndim == 4 and array.shape[3] == 3 and array.dtype == np.uint8:
            if array.shape[1] * array.shape[2] > MAX_PIXELS:
                raise ValueError(f"{array.name} has images of {array.shape[2]} x {array.shape[1]} pixels, too many")
            out[match[1]] = array
    if not out:
        raise ValueError("low-dimensional data only: no images (agentview_rgb, agentview_image …) among the obs")
    return dict(sorted(out.items(), key=lambda item: ("hand" in item[0], item[0])))


def _hand(observations_group: Any) -> Array | None:
    """Return poses (T, 4, 4): the tip's position, the hand's rotation. None where they were not recorded."""
    place, turn = numbers(observations_group, "robot0_eef_pos", 3), numbers(observations_group, "robot0_eef_quat", 4)
    if place is None:
        place, turn = numbers(observations_group, "ee_pos", 3), numbers(observations_group, "ee_ori", 3)
    if place is None or turn is None:
        return None
    if len(place) != len(turn):
        raise ValueError(f"{len(place)} positions and {len(turn)} rotations of the end effector; they must be as many")
    if turn.shape[1] == 3:  # LIBERO: axis times angle
        half = np.linalg.norm(turn, axis=1, keepdims=True) / 2
        wxyz = np.concatenate([np.cos(half), turn * np.sinc(half / np.pi) / 2], 1)
    else:  # robosuite: the scalar last
        wxyz = np.roll(turn, 1, 1)
    if (np.linalg.norm(wxyz, axis=1) < 1e-6).any():
        raise ValueError("the end effector's rotation is a quaternion of length 0")
    out = np.tile(np.eye(4), (len(place), 1, 1))
    out[:, :3, 3], out[:, :3, :3] = place, matrix_from_quaternion(wxyz)
    out[~np.isfinite(out).all((1, 2))] = np.nan
    return out


def _opening(demonstration: Any, observations_group: Any) -> Array | None:
    """Return (T,) measured openings of two fingers, or commanded ones (-1 is open) of hands with more joints.

    The angles of those say little. None where neither is there, or is on another scale.
    """
    fingers = numbers(observations_group, "robot0_gripper_qpos")
    if fingers is None:
        fingers = numbers(observations_group, "gripper_states")
    if fingers is not None and fingers.shape[1] == 2:
        return GripperScale(closed=0, open=PANDA_OPEN_M).opening(np.abs(fingers[:, 0] - fingers[:, 1]))
    commands = numbers(demonstration, "actions")
    return None if commands is None else GripperScale(closed=1, open=-1).opening(commands[:, -1])


def _joints(observations_group: Any) -> JointStates | None:
    """Return the arm's joints, radians in MuJoCo, in its order and without names; None if they were not recorded."""
    for name in ("robot0_joint_pos", "joint_states"):
        positions = numbers(observations_group, name)
        if positions is not None:
            known = np.isfinite(positions)
            low, high = np.where(known, positions, np.inf).min(0), np.where(known, positions, -np.inf).max(0)
            return JointStates((), positions, low, high, unit="rad")
    return None


def _is_upside_down(data: Any, images: Mapping[str, Any]) -> bool:
    """Return whether images are stored bottom up: LIBERO's are (OpenGL), robomimic flips them before storing.

    They are flipped and not turned: openpi, OpenVLA and LeRobot turn LIBERO's by 180 degrees, which mirrors them.
    """
    convention = text(data, "macros_image_convention")
    return convention == "opengl" if convention else any(array.name.endswith("_rgb") for array in images.values())


def _cameras(xml: str, images: Mapping[str, Any], hand: Array | None) -> dict[str, Lens]:
    """Return the calibrations from the embedded model; none for a camera that it lacks or that moves by itself.

    Without recorded poses of the hand they are in the frame of the robot's base, as poses computed from joints are.
    """
    if not xml:
        return {}
    model, out = read_model(xml), {}
    base = model.bodies.get(BASE) if hand is None else None
    base_from_world = np.eye(4) if base is None or base.anchor != WORLD else inverse(base.anchor_from_here)
    for name, array in images.items():
        camera = model.cameras.get(name) or model.cameras.get(f"robot0_{name}")
        where = None if camera is None else _world_from_camera(model, camera, hand)
        if camera is not None and where is not None:
            out[name] = Lens(camera.intrinsics(array.shape[2], array.shape[1]), base_from_world @ where)
    return out


def _world_from_camera(model: Model, camera: ModelCamera, hand: Array | None) -> Array | None:
    """Return (1 or T, 4, 4) of a camera; one that is fixed to the hand moves with the hand, whose tip is `hand`."""
    if camera.place.anchor == WORLD:
        return camera.place.anchor_from_here[None]
    body = next((model.bodies[name] for name in HANDS if name in model.bodies), None)
    offsets = [model.between(name, tip) for name in HANDS for tip in TIPS]
    hand_from_tip = next((offset for offset in offsets if offset is not None), None)
    if hand is None or body is None or hand_from_tip is None or body.anchor != camera.place.anchor:
        return None
    world_from_hand = hand @ inverse(pose(hand_from_tip[:3, 3]))
    return np.asarray(world_from_hand @ inverse(body.anchor_from_here) @ camera.place.anchor_from_here)


def _digest(states: Sequence[Array | None], images: Mapping[str, Any], demonstration: Any) -> str:
    """Return the sha256 of what the labels depend on; the whole file has gigabytes, and many demonstrations."""
    digest = hashlib.sha256(text(demonstration, "model_file").encode())
    for name, array in images.items():
        digest.update(f"{name}{array.shape}".encode() + np.asarray(array[0]).tobytes())
    for values in states:
        digest.update(b"" if values is None else values.tobytes())
    return digest.hexdigest()
