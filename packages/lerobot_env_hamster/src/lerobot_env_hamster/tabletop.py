"""The tabletop with observations under the names from which LeRobot makes its own.

LeRobot turns `pixels` into `observation.images.<camera>`, `agent_pos` into `observation.state`, and the array under any
other key into `observation.<key>`. It takes no depth among `pixels`: depth comes under its final name, as do the
calibrations of the cameras:

    observation.images.<camera>_depth       (1, H, W) metres along the optical axis
    observation.intrinsics.<camera>         (3, 3) pixels
    observation.world_from_camera.<camera>  (4, 4) metres, OpenCV axes
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from hamster.data import Observation
from hamster.geometry import quaternion_from_matrix
from hamster.sim.tabletop.env import TabletopEnv

STATE_DIM = ACTION_DIM = 8
"""x, y, z, qw, qx, qy, qz of the tool in the world, metres, and the gripper, 0 closed to 1 open."""
Obs = dict[str, Any]


class LeRobotTabletop(gymnasium.Env[Obs, NDArray[np.float64]]):
    """One random scene and task per episode; actions and seeds are those of `hamster/Tabletop-v0`.

    Args:
        family: task family.
        cameras: of `front` and `wrist`.
        image_size: height and width of the images, pixels.
        render_mode: of `render`, "rgb_array".
        viewpoint, shifts, occluded: as of `TabletopEnv`.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 20}  # noqa: RUF012 (gymnasium's own type)

    def __init__(
        self,
        family: str,
        cameras: Sequence[str] = ("front",),
        image_size: int = 256,
        render_mode: str | None = "rgb_array",
        viewpoint: str = "front",
        shifts: bool = False,
        occluded: bool = False,
    ) -> None:
        self._env = TabletopEnv(family, image_size, render_mode, viewpoint, shifts, occluded)
        self._cameras, self.task, self.render_mode = tuple(cameras), family, render_mode
        self.action_space = self._env.action_space
        self.observation_space = _observation_space(self._cameras, image_size)

    @property
    def task_description(self) -> str:
        """The instruction of this episode, which LeRobot gives to the policy as `task`."""
        return self._env.command.instruction

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Obs, dict[str, Any]]:
        """Start a new scene and task, a function of seed and family alone."""
        super().reset(seed=seed)
        self._env.reset(seed=seed)
        return self._read(), {"is_success": False}

    def step(self, action: NDArray[np.float64]) -> tuple[Obs, float, bool, bool, dict[str, Any]]:
        """Run one control step; the episode ends with success. ValueError if the action is not 8 finite numbers."""
        self._env.advance(action)
        done = self._env.is_success()
        return self._read(), float(done), done, False, {"is_success": done}

    def render(self) -> NDArray[np.uint8]:
        """Render the camera `front` (H, W, 3)."""
        return self._env.render()

    def close(self) -> None:
        """Free the renderer."""
        self._env.close()

    def _read(self) -> Obs:
        record = self._env.observation(self._cameras)
        read: Obs = {"pixels": {name: record.views[name].rgb for name in self._cameras}, "agent_pos": _state(record)}
        for name in self._cameras:
            view = record.views[name]
            assert view.depth_m is not None and view.camera is not None
            read[f"images.{name}_depth"] = view.depth_m[None]
            read[f"intrinsics.{name}"] = view.camera.intrinsics
            read[f"world_from_camera.{name}"] = view.camera.world_from_camera
        return read


def _state(record: Observation) -> NDArray[np.float64]:
    pose = np.asarray(record.tool_pose_world)
    assert record.gripper is not None
    return np.array([*pose[:3, 3], *quaternion_from_matrix(pose[:3, :3]), record.gripper])


def _observation_space(cameras: Sequence[str], size: int) -> spaces.Dict:
    pixels: dict[str, spaces.Space[Any]] = {name: spaces.Box(0, 255, (size, size, 3), np.uint8) for name in cameras}
    read: dict[str, spaces.Space[Any]] = {
        "pixels": spaces.Dict(pixels),
        "agent_pos": spaces.Box(-np.inf, np.inf, (STATE_DIM,), np.float64),
    }
    for name in cameras:
        read[f"images.{name}_depth"] = spaces.Box(0, np.inf, (1, size, size), np.float32)
        read[f"intrinsics.{name}"] = spaces.Box(-np.inf, np.inf, (3, 3), np.float64)
        read[f"world_from_camera.{name}"] = spaces.Box(-np.inf, np.inf, (4, 4), np.float64)
    return spaces.Dict(read)
