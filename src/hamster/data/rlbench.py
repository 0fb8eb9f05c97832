"""Reads RLBench demonstrations, in RLBench's own and in PerAct's layout.

Their cameras have negative focal lengths: PyRep looks along +z with x to the left and y up. They are turned into
OpenCV cameras here, at the door. The recorded gripper pose is that of the tool's tip, quaternion (x, y, z, w) last.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from hamster.data import safe_pickle
from hamster.data.images import read_image
from hamster.data.records import Episode, Observation, Provenance, View
from hamster.data.unreadable import Unreadable
from hamster.geometry import Camera, matrix_from_quaternion

CAMERAS = ("front", "left_shoulder", "right_shoulder", "overhead", "wrist")
STEP_S = 0.05  # RLBench's simulation step
_STUBS = ("rlbench.demo.Demo", "rlbench.backend.observation.Observation")


def episodes(folder: Path) -> Iterator[Episode | Unreadable]:
    """All demonstrations at or below a folder, by name; one that cannot be read comes as the reason why.

    Raises:
        ValueError: if there is none at all.
    """
    found = sorted((file.parent for file in folder.rglob("low_dim_obs.pkl")), key=_natural)
    if not found:
        raise ValueError(f"no low_dim_obs.pkl at or below {folder}; that is where RLBench keeps a demonstration")
    for place in found:
        try:
            yield read_episode(place, f"rlbench:{place.relative_to(folder)}")
        except (ValueError, OSError) as error:
            yield Unreadable(str(place.relative_to(folder)), str(error))


def read_episode(folder: Path, source: str = "rlbench:") -> Episode:
    """One demonstration from the folder that holds its low_dim_obs.pkl; images are decoded when they are asked for.

    Raises:
        ValueError: in one line, if a file is damaged, unsafe or missing, or no camera has images.
    """
    file = folder / "low_dim_obs.pkl"
    steps = _steps(safe_pickle.load(file, _STUBS))
    poses = np.stack([_tool_pose(_array(step, "gripper_pose", (7,))) for step in steps])
    gripper = np.array([float(_array(step, "gripper_open", ())) for step in steps])
    frames = _Frames(folder, steps, poses, gripper, _cameras(folder, len(steps)))
    phrases, task = _instructions(folder)
    return Episode(
        instructions=phrases,
        observations=frames,
        provenance=Provenance(
            source=source,
            file=str(Path(folder.name) / file.name),
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            extra={"task": task},
        ),
        tool_poses_world=poses,
        gripper=gripper,
    )


def metric_depth(rgb24: NDArray[np.uint8], near_m: float, far_m: float) -> NDArray[np.float32]:
    """RLBench's depth image (H, W, 3), 24 bits over the three channels, -> (H, W) metres along the optical axis."""
    part = rgb24.astype(np.float64) @ [65536.0, 256.0, 1.0] / (2**24 - 1)
    return (near_m + part * (far_m - near_m)).astype(np.float32)


def opencv_camera(
    intrinsics: NDArray[np.float64], world_from_camera: NDArray[np.float64], width: int, height: int
) -> Camera:
    """A camera whose focal lengths may be negative -> OpenCV: each negative one flips its axis of the camera.

    The intrinsics may be those of another image size, which RLBench's centred principal point gives away.
    """
    flip = np.where(np.diag(intrinsics)[:2] < 0, -1.0, 1.0)
    intrinsics = intrinsics @ np.diag([*flip, 1.0])
    recorded = (round(2 * intrinsics[0, 2]), round(2 * intrinsics[1, 2]))
    return Camera(intrinsics, world_from_camera @ np.diag([*flip, 1.0, 1.0]), *recorded).resized(width, height)


@dataclass(frozen=True)
class _Frames(Sequence[Observation]):
    """Observations of an episode, decoded when they are indexed."""

    folder: Path
    steps: list[Any]
    tool_poses_world: NDArray[np.float64]
    gripper: NDArray[np.float64]
    cameras: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.steps)

    @overload
    def __getitem__(self, index: int) -> Observation: ...
    @overload
    def __getitem__(self, index: slice) -> list[Observation]: ...
    def __getitem__(self, index: int | slice) -> Observation | list[Observation]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        i = range(len(self))[index]
        views = {camera: self._view(camera, i) for camera in self.cameras}
        return Observation(views, self.tool_poses_world[i], float(self.gripper[i]), i * STEP_S)

    def _view(self, camera: str, i: int) -> View:
        rgb = read_image(self.folder / f"{camera}_rgb" / f"{i}.png")
        misc = _misc(self.steps[i])
        pose = _array(misc, f"{camera}_camera_extrinsics", (4, 4))
        lens = _array(misc, f"{camera}_camera_intrinsics", (3, 3))
        return View(rgb, self._depth(camera, i, misc), opencv_camera(lens, pose, rgb.shape[1], rgb.shape[0]))

    def _depth(self, camera: str, i: int, misc: dict[str, Any]) -> NDArray[np.float32] | None:
        file = self.folder / f"{camera}_depth" / f"{i}.png"
        if not file.exists():
            return None
        near, far = (float(_array(misc, f"{camera}_camera_{end}", ())) for end in ("near", "far"))
        return metric_depth(read_image(file), near, far)


def _steps(demo: Any) -> list[Any]:
    steps = getattr(demo, "_observations", None)
    if not isinstance(steps, list) or not steps:
        raise ValueError("low_dim_obs.pkl holds no RLBench demonstration with observations")
    return steps


def _misc(step: Any) -> dict[str, Any]:
    misc = getattr(step, "misc", None)
    if not isinstance(misc, dict):
        raise ValueError("an observation of low_dim_obs.pkl lacks `misc`, where RLBench keeps its cameras")
    return misc


def _array(holder: Any, name: str, shape: tuple[int, ...]) -> NDArray[np.float64]:
    """A numeric field of an observation or of its `misc`."""
    value = holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, AttributeError):
        array = np.full(shape, np.nan)
    if value is None or array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"low_dim_obs.pkl: {name} is missing or not finite numbers of shape {shape}")
    return array


def _tool_pose(xyz_xyzw: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, z, w = xyz_xyzw[3:]
    out = np.eye(4)
    out[:3, 3] = xyz_xyzw[:3]
    out[:3, :3] = matrix_from_quaternion([w, x, y, z])
    return out


def _cameras(folder: Path, steps: int) -> tuple[str, ...]:
    """The cameras that have images; every step needs one."""
    cameras = tuple(camera for camera in CAMERAS if (folder / f"{camera}_rgb").is_dir())
    if not cameras:
        raise ValueError("low-dimensional data only: no camera has images (front_rgb …)")
    for camera in cameras:
        missing = [i for i in range(steps) if not (folder / f"{camera}_rgb" / f"{i}.png").exists()]
        if missing:
            raise ValueError(f"{camera}_rgb lacks {missing[0]}.png; {steps} steps were recorded")
    return cameras


def _instructions(folder: Path) -> tuple[tuple[str, ...], str]:
    """Phrasings of the task and its name. RLBench keeps the phrasings with the variation, PerAct with the episode."""
    names = [
        part
        for part in (folder, *folder.parents)
        if not re.fullmatch(r"(episode|variation)\d*|episodes|all_variations", part.name)
    ]
    task = names[0].name if names else ""
    for place in (folder, *list(folder.parents)[:2]):
        file = place / "variation_descriptions.pkl"
        if file.exists():
            phrases = safe_pickle.load(file)
            if not isinstance(phrases, list) or not phrases or not all(isinstance(p, str) and p for p in phrases):
                raise ValueError("variation_descriptions.pkl is not a list of phrases")
            return tuple(phrases), task
    return (re.sub(r"[_-]+", " ", task) or "unknown task",), task


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sorts episode9 before episode10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]
