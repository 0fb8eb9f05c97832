"""RLBench demonstrations, in RLBench's own, in PerAct's and in PerAct2's layout.

| layout | folder of an episode | images |
|---|---|---|
| RLBench, Colosseum | TASK/variation0/episodes/episode0 | front_rgb/0.png |
| PerAct | TASK/all_variations/episodes/episode0 | front_rgb/0.png |
| PerAct2 | TASK/all_variations/episodes/episode0 | front_rgb/rgb_0000.png |

Their cameras have negative focal lengths: PyRep looks along +z with x to the left and y up. They are turned into
OpenCV cameras here. The recorded gripper pose is that of the tool's tip, quaternion (x, y, z, w) last.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import safe_pickle
from hamster.data.images import read_image
from hamster.data.inputs import Inputs
from hamster.data.lazy import LazyObservations
from hamster.data.records import Episode, Observation, Provenance, Unreadable, View
from hamster.data.text import natural_key
from hamster.geometry import Camera, matrix_from_quaternion

CAMERAS = ("front", "left_shoulder", "right_shoulder", "overhead", "wrist")  # and after them any other, by name
STEP_S = 0.05  # RLBench's simulation step
FILE = "low_dim_obs.pkl"
NAMES = ("{i}.png", "{kind}_{i:04d}.png")  # of images: RLBench and PerAct, PerAct2
_RECORDS = (
    "rlbench.demo.Demo",
    "rlbench.backend.observation.Observation",
    "rlbench.backend.observation.UnimanualObservation",
    "rlbench.backend.observation.UnimanualObservationData",
    "rlbench.backend.observation.BimanualObservation",
)


@dataclass(frozen=True)
class RLBench:
    """All demonstrations at or below a folder, by name: a `hamster.data.Source`.

    Raises:
        ValueError: if there is none at all.
    """

    folder: Path
    per_shard: int = 1
    _places: tuple[str, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not self.folder.is_dir():
            raise ValueError(f"no folder {str(self.folder)!r}; say rlbench:DIR with a folder of RLBench episodes")
        object.__setattr__(self, "_places", tuple(sorted(_places(self.folder), key=natural_key)))
        if not self._places:
            raise ValueError(f"no {FILE} at or below {self.folder}; that is where RLBench keeps a demonstration")

    @property
    def uri(self) -> str:
        """rlbench:DIR."""
        return f"rlbench:{self.folder}"

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index: int) -> Episode | Unreadable:
        place = self._places[index]
        try:
            return read_episode(self.folder / place, f"rlbench:{place}")
        except (ValueError, OSError) as error:
            return Unreadable(place, str(error))

    def inputs(self, index: int) -> Inputs:
        """Return all files of the episode, its instructions, and its task."""
        place = self._places[index]
        folder = self.folder / place
        files = sorted(file for file in folder.rglob("*") if file.is_file())
        names = [str(file.relative_to(folder)) for file in files]
        facts = json.dumps([place, _task(folder), names])
        return Inputs(place, [*files, *_phrase_files(folder)], facts)


def episodes(folder: Path) -> Iterator[Episode | Unreadable]:
    """Yield all demonstrations of `RLBench(folder)`, one after the other."""
    source = RLBench(folder)
    for index in range(len(source)):
        yield source[index]


def read_episode(folder: Path, source: str = "rlbench:") -> Episode:
    """Return one demonstration from the folder that holds its low_dim_obs.pkl; images are decoded on access.

    Of a robot with two arms, which a path does not have, it is the one that travels farther.

    Raises:
        ValueError: in one line, if a file is damaged, unsafe or missing, or no camera has images.
    """
    file = folder / FILE
    steps = _steps(safe_pickle.load(file, _RECORDS))
    arm, poses, gripper = _robot(steps)
    frames = _Frames(folder, steps, poses, gripper, _cameras(folder, steps))
    phrases, task = _instructions(folder)
    return Episode(
        instructions=phrases,
        observations=frames,
        provenance=Provenance(
            source=source,
            file=str(Path(folder.name) / file.name),
            sha256=hashlib.sha256(file.read_bytes()).hexdigest(),
            extra={"task": task, **({"arm": arm} if arm else {})},
        ),
        tool_poses_world=poses,
        gripper=gripper,
    )


def metric_depth(rgb24: NDArray[np.uint8], near_m: float, far_m: float) -> NDArray[np.float32]:
    """Return RLBench's depth image (H, W, 3), 24 bits over three channels, as (H, W) metres along the optical axis.

    Args:
        rgb24: (H, W, 3) uint8, 24 bits of depth.
        near_m, far_m: clipping planes, metres.
    """
    part = rgb24.astype(np.float64) @ [65536.0, 256.0, 1.0] / (2**24 - 1)
    return (near_m + part * (far_m - near_m)).astype(np.float32)


def opencv_camera(
    intrinsics: NDArray[np.float64], world_from_camera: NDArray[np.float64], width: int, height: int
) -> Camera:
    """Return the OpenCV camera of one whose focal lengths may be negative: each negative one flips its axis.

    The intrinsics may be those of another image size, which RLBench's centred principal point gives away.

    Args:
        intrinsics: (3, 3), pixels; focal lengths may be negative.
        world_from_camera: (4, 4), metres.
        width, height: of the image, pixels.
    """
    flip = np.where(np.diag(intrinsics)[:2] < 0, -1.0, 1.0)
    intrinsics = intrinsics @ np.diag([*flip, 1.0])
    recorded = (round(2 * intrinsics[0, 2]), round(2 * intrinsics[1, 2]))
    return Camera(intrinsics, world_from_camera @ np.diag([*flip, 1.0, 1.0]), *recorded).resized(width, height)


@dataclass(frozen=True)
class _Frames(LazyObservations):
    """Observations of an episode, decoded when they are indexed."""

    folder: Path
    steps: list[Any]
    tool_poses_world: NDArray[np.float64]
    gripper: NDArray[np.float64]
    cameras: dict[str, str]  # and how their images are named

    def __len__(self) -> int:
        return len(self.steps)

    def read(self, i: int) -> Observation:
        """Return one frame."""
        views = {camera: self._view(camera, i) for camera in self.cameras}
        return Observation(views, self.tool_poses_world[i], float(self.gripper[i]), i * STEP_S)

    def _file(self, camera: str, kind: str, i: int) -> Path:
        return self.folder / f"{camera}_{kind}" / self.cameras[camera].format(kind=kind, i=i)

    def _view(self, camera: str, i: int) -> View:
        rgb = read_image(self._file(camera, "rgb", i))
        misc = _misc(self.steps[i])
        pose = _array(misc, f"{camera}_camera_extrinsics", (4, 4))
        lens = _array(misc, f"{camera}_camera_intrinsics", (3, 3))
        return View(rgb, self._depth(camera, i, misc), opencv_camera(lens, pose, rgb.shape[1], rgb.shape[0]))

    def _depth(self, camera: str, i: int, misc: dict[str, Any]) -> NDArray[np.float32] | None:
        file = self._file(camera, "depth", i)
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


def _array(holder: Any, name: str, shape: tuple[int, ...], may_be_unknown: bool = False) -> NDArray[np.float64]:
    """Return a numeric field of an observation or of its `misc`; NaN where a number is not finite, if that may be."""
    value = holder.get(name) if isinstance(holder, dict) else getattr(holder, name, None)
    try:
        array = np.asarray(value, np.float64)
    except (TypeError, ValueError, AttributeError):
        array = np.full((0, 0), np.nan)
    if may_be_unknown and value is not None and array.shape == shape:
        return np.where(np.isfinite(array), array, np.nan)
    if value is None or array.shape != shape or not np.isfinite(array).all():
        raise ValueError(f"low_dim_obs.pkl: {name} is missing or not finite numbers of shape {shape}")
    return array


def _tool_pose(xyz_xyzw: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y, z, w = xyz_xyzw[3:]
    out = np.eye(4)
    out[:3, 3] = xyz_xyzw[:3]
    out[:3, :3] = matrix_from_quaternion([w, x, y, z])
    return out if np.isfinite(out).all() else np.full((4, 4), np.nan)


def _robot(steps: list[Any]) -> tuple[str, NDArray[np.float64], NDArray[np.float64]]:
    """Return which arm ("" if there is only one), its tool poses (T, 4, 4) and its opening (T,)."""
    if not hasattr(steps[0], "right"):
        return "", *_arm(steps)
    arms = {name: _arm([getattr(step, name, None) for step in steps]) for name in ("right", "left")}
    name = max(arms, key=lambda arm: np.nansum(np.linalg.norm(np.diff(arms[arm][0][:, :3, 3], axis=0), axis=1)))
    return name, *arms[name]


def _arm(steps: list[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    poses = np.stack([_tool_pose(_array(step, "gripper_pose", (7,), may_be_unknown=True)) for step in steps])
    return poses, np.array([float(_array(step, "gripper_open", (), may_be_unknown=True)) for step in steps])


def _cameras(folder: Path, steps: list[Any]) -> dict[str, str]:
    """Return the cameras that have images, and how those are named; every step needs one."""
    image_folders = [place.name.removesuffix("_rgb") for place in folder.glob("*_rgb") if place.is_dir()]
    others = sorted(camera for camera in image_folders if f"{camera}_camera_extrinsics" in _misc(steps[0]))
    cameras = [camera for camera in dict.fromkeys([*CAMERAS, *others]) if camera in image_folders]
    if not cameras:
        raise ValueError("low-dimensional data only: no camera has images (front_rgb …)")
    return {camera: _naming(folder / f"{camera}_rgb", len(steps)) for camera in cameras}


def _naming(folder: Path, steps: int) -> str:
    files = {file.name for file in folder.iterdir()}
    naming = max(NAMES, key=lambda naming: sum(naming.format(kind="rgb", i=i) in files for i in range(steps)))
    for i in range(steps):
        if naming.format(kind="rgb", i=i) not in files:
            raise ValueError(f"{folder.name} lacks {naming.format(kind='rgb', i=i)}; {steps} steps were recorded")
    return naming


def _instructions(folder: Path) -> tuple[tuple[str, ...], str]:
    """Return the task's phrasings and name; RLBench keeps them with the variation, PerAct with the episode."""
    task = _task(folder)
    for file in _phrase_files(folder):
        if file.exists():
            phrases = safe_pickle.load(file)
            if not isinstance(phrases, list) or not phrases or not all(isinstance(p, str) and p for p in phrases):
                raise ValueError("variation_descriptions.pkl is not a list of phrases")
            return tuple(phrases), task
    return (re.sub(r"[_-]+", " ", task) or "unknown task",), task


def _task(folder: Path) -> str:
    names = (part.name for part in (folder, *folder.parents))
    return next((n for n in names if not re.fullmatch(r"(episode|variation)\d*|episodes|all_variations", n)), "")


def _phrase_files(folder: Path) -> list[Path]:
    """Return where the phrasings of an episode may be, in the order in which they are looked for."""
    return [place / "variation_descriptions.pkl" for place in (folder, *list(folder.parents)[:2])]


def _places(folder: Path) -> Iterator[str]:
    """Yield the folders that hold a demonstration, relative; what is below one holds its thousands of images only."""
    for place, below, files in os.walk(folder):
        if FILE in files:
            below.clear()
            yield str(Path(place).relative_to(folder))
