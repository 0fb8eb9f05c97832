"""From LeRobot's batches to the observations of planner and policy.

    observation.images.<camera>          (B, 3, H, W) in [0, 1]
    observation.images.<camera>_depth    (B, 1, H, W) along the optical axis, in units of `depth_unit_m`
    observation.intrinsics.<camera>      (B, 3, 3) pixels
    observation.world_from_camera.<camera>  (B, 4, 4) metres, OpenCV axes
    observation.state                    (B, 8) x, y, z, qw, qx, qy, qz of the tool in the world, gripper opening
    task                                 B instructions

Depth and calibration are needed where the policy needs them. `meta/cameras.json` of a folder may stand in for the
calibration of cameras that do not move.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from lerobot.utils.constants import OBS_IMAGES, OBS_STATE
from numpy.typing import NDArray

from hamster.data import Observation, View
from hamster.geometry import Camera, inverse, matrix_from_quaternion, pose, quaternion_from_matrix
from hamster.geometry.keypose_motion import CONTROL_DT_S
from hamster.rollout.robots.adapting import read_calibration

INTRINSICS, WORLD_FROM_CAMERA = "observation.intrinsics", "observation.world_from_camera"
Batch = Mapping[str, Any]


class ObservationReader:
    """Reads one element of a batch.

    Args:
        cameras: that planner and policy use; None for all that the batch has.
        depth_cameras: those of which the policy needs depth and calibration.
        calibration: folder with `meta/cameras.json`; None if there is none.
        depth_unit_m: metres per unit of depth.

    Raises:
        ValueError: for a unit that is not finite and > 0.
    """

    def __init__(
        self,
        cameras: Sequence[str] | None,
        depth_cameras: Sequence[str] = (),
        calibration: str | None = None,
        depth_unit_m: float = 1.0,
    ) -> None:
        if not 0 < depth_unit_m < np.inf:
            raise ValueError(f"depth_unit_m must be finite and > 0, got {depth_unit_m}")
        self._cameras, self._depth_cameras, self._depth_unit_m = cameras, tuple(depth_cameras), depth_unit_m
        self._calibration, self._fixed = calibration, dict[str, Camera]()
        self._recorded_from_tool: NDArray[np.float64] | None = None  # before the first observation

    def read(self, batch: Batch, index: int, step: int = 0) -> Observation:
        """Return an element of a batch.

        Args:
            batch: of LeRobot, after the pre-processor.
            index: of the element.
            step: control steps since the start of the episode.

        Raises:
            ValueError: if a key is missing or of another shape, or the calibration is missing, damaged, or of a camera
                that the observation lacks.
        """
        if self._recorded_from_tool is None:
            self._fixed, self._recorded_from_tool = read_calibration(self._calibration, _cameras_of(batch))
        state = _array(batch, OBS_STATE, index)
        if state.shape != (8,):
            raise ValueError(f"{OBS_STATE} is {state.shape}, not (8,): x, y, z, qw, qx, qy, qz, gripper")
        world_from_recorded = pose(state[:3], matrix_from_quaternion(state[3:7]))
        cameras = _cameras_of(batch) if self._cameras is None else self._cameras
        views = {name: self._view(batch, name, index) for name in cameras}
        opening = float(np.clip(state[7], 0, 1))
        return Observation(views, world_from_recorded @ self._recorded_from_tool, opening, step * CONTROL_DT_S)

    def recorded(self, actions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return actions (T, 8) of the tool as those of the frame that the environment reports and commands.

        That frame differs where `recorded_from_tool` of the calibration says so.
        """
        if self._recorded_from_tool is None or np.array_equal(self._recorded_from_tool, np.eye(4)):
            return actions
        poses = np.tile(np.eye(4), (len(actions), 1, 1))
        poses[:, :3, 3], poses[:, :3, :3] = actions[:, :3], matrix_from_quaternion(actions[:, 3:7])
        poses = poses @ inverse(self._recorded_from_tool)
        return np.concatenate([poses[:, :3, 3], quaternion_from_matrix(poses[:, :3, :3]), actions[:, 7:]], 1)

    def _view(self, batch: Batch, name: str, index: int) -> View:
        image = _array(batch, f"{OBS_IMAGES}.{name}", index)
        if image.ndim != 3 or image.shape[0] != 3:
            raise ValueError(f"{OBS_IMAGES}.{name} is {image.shape}, not (3, H, W)")
        rgb = np.ascontiguousarray(np.rint(image * 255).clip(0, 255).astype(np.uint8).transpose(1, 2, 0))
        depth_key = f"{OBS_IMAGES}.{name}_depth"
        keys = [depth_key] if depth_key not in batch else []
        if name not in self._fixed:
            keys += [key for key in (f"{INTRINSICS}.{name}", f"{WORLD_FROM_CAMERA}.{name}") if key not in batch]
        if keys and name in self._depth_cameras:
            raise ValueError(
                f"the policy needs depth and calibration of the camera {name!r}, and the observation lacks "
                f"{', '.join(keys)}: use an environment that has them (--env.type=hamster), --policy.calibration=DIR "
                "with DIR/meta/cameras.json for the calibration, or a policy without depth (image, monolithic)"
            )
        depth_m = self._depth_m(_array(batch, depth_key, index), rgb, name) if depth_key in batch else None
        return View(rgb, depth_m, self._camera(batch, name, index, rgb.shape[1], rgb.shape[0]))

    def _depth_m(self, depth: NDArray[np.float64], rgb: NDArray[np.uint8], name: str) -> NDArray[np.float32]:
        size = rgb.shape[:2]
        if depth.shape not in ((1, *size), size):
            raise ValueError(f"{OBS_IMAGES}.{name}_depth is {depth.shape}, its image is {size}")
        return (depth.reshape(size) * self._depth_unit_m).astype(np.float32)

    def _camera(self, batch: Batch, name: str, index: int, width: int, height: int) -> Camera | None:
        keys = f"{INTRINSICS}.{name}", f"{WORLD_FROM_CAMERA}.{name}"
        if all(key in batch for key in keys):
            intrinsics, world_from_camera = (_array(batch, key, index) for key in keys)
            return Camera(intrinsics, world_from_camera, width, height)
        camera = self._fixed.get(name)
        return None if camera is None else camera.resized(width, height)


def _cameras_of(batch: Batch) -> list[str]:
    names = [key.removeprefix(f"{OBS_IMAGES}.") for key in batch if key.startswith(f"{OBS_IMAGES}.")]
    return [name for name in names if not name.endswith("_depth")]


def _array(batch: Batch, key: str, index: int) -> NDArray[np.float64]:
    if key not in batch:
        there = ", ".join(sorted(name for name in batch if name.startswith("observation"))) or "nothing"
        raise ValueError(f"the observation lacks {key}; it has: {there}")
    values: NDArray[np.float64] = batch[key][index].detach().cpu().double().numpy()
    return values
