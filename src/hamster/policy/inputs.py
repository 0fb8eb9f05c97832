"""From an observation and a path to the tensors that the network eats: everything relative to the tool.

Positions are differences to the tool's tip along the world's axes, taken in float64 and stored in float32. The
policy thus cannot tell where in the world it is: moving scene, path and tool together moves the action with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hamster.data import View
from hamster.geometry import Camera, apply, inverse
from hamster.policy.config import ActorConfig
from hamster.policy.glimpse import look
from hamster.policy.lift import LiftedPath

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Inputs:
    """One sample, or a batch with a leading dimension.

    Attributes:
        rgb: (G, S, S, 3) uint8, glimpses: the whole image, the tool, the key waypoints.
        points: (G, S, S, 3) metres from the tool.
        depth_m: (G, S, S) from the camera, 0 where unknown.
        centres: (G, 3) what each glimpse is centred on, metres from the tool.
        glimpse_on: (G,) False for a glimpse of a key waypoint that is not there.
        tool_rotation: (3, 3) world from tool.
        gripper: (2,) measured opening and last command, 0 closed to 1 open.
        previous: (3,) where the tool was when the policy was asked the last time, metres from the tool.
        previous_features: (2,) whether there was a last time, and the command in force then.
        waypoints: (P, 3) metres from the tool.
        rays: (P, 3) unit vectors from the camera.
        waypoint_features: (P, 5), see `lift.LiftedPath`.
        waypoint_on: (P,).
    """

    rgb: Tensor
    points: Tensor
    depth_m: Tensor
    centres: Tensor
    glimpse_on: Tensor
    tool_rotation: Tensor
    gripper: Tensor
    previous: Tensor
    previous_features: Tensor
    waypoints: Tensor
    rays: Tensor
    waypoint_features: Tensor
    waypoint_on: Tensor

    def to(self, device: torch.device) -> Inputs:
        """The same on another device."""
        return Inputs(**{name: tensor.to(device) for name, tensor in vars(self).items()})


@dataclass(frozen=True, eq=False)
class Body:
    """What the robot feels and remembers: the tool's pose (4, 4) and gripper now, and when it was last asked.

    `opening` is measured, `is_open` and `was_open` are commands; `previous_position` (3,) is None at the first time.
    """

    tool_pose_world: Array
    opening: float
    is_open: bool
    previous_position: Array | None = None
    was_open: bool = False


def make_inputs(
    config: ActorConfig,
    rgb: NDArray[np.uint8],
    depth_m: NDArray[np.float32],
    camera: Camera,
    body: Body,
    path: LiftedPath | None,
) -> Inputs:
    """Assembles a sample from what the policy's camera sees, what the robot feels, and the lifted path."""
    path = path or no_path(config)
    tool = np.asarray(body.tool_pose_world, np.float64)[:3, 3]
    previous = tool if body.previous_position is None else body.previous_position
    targets = np.concatenate([tool[None], path.points_world[: config.key_waypoints]])
    centres_uv = np.concatenate([[[0.5, 0.5]], _visible_uv(targets, camera)])
    widths = np.array([1.0] + [config.fovea_width] * (len(centres_uv) - 1))
    seen = look(rgb, depth_m, camera, centres_uv, widths, config.glimpse_px)
    overall = np.median(seen.points_world[0].reshape(-1, 3), 0)
    return Inputs(
        rgb=torch.from_numpy(seen.rgb),
        points=_float(seen.points_world - tool),
        depth_m=_float(seen.depth_m),
        centres=_float(np.concatenate([overall[None], targets]) - tool),
        glimpse_on=torch.from_numpy(np.concatenate([[True, True], path.on[: config.key_waypoints]])),
        tool_rotation=_float(body.tool_pose_world[:3, :3]),
        gripper=_float([body.opening, body.is_open]),
        previous=_float(previous - tool),
        previous_features=_float([body.previous_position is not None, body.was_open]),
        waypoints=_float(path.points_world - tool),
        rays=_float(path.rays_world),
        waypoint_features=_float(path.features),
        waypoint_on=torch.from_numpy(path.on),
    )


def no_path(config: ActorConfig) -> LiftedPath:
    """Waypoints that are all off."""
    count = config.key_waypoints + config.path_waypoints
    return LiftedPath(np.zeros((count, 3)), np.zeros((count, 3)), np.zeros((count, 5)), np.zeros(count, bool))


def stack(samples: list[Inputs]) -> Inputs:
    """A batch."""
    return Inputs(**{name: torch.stack([getattr(s, name) for s in samples]) for name in vars(samples[0])})


def calibrated(view: View, name: str) -> tuple[NDArray[np.float32], Camera]:
    """Depth and calibration of a view; ValueError names what it lacks."""
    if view.depth_m is None or view.camera is None:
        lacking = "depth_m" if view.depth_m is None else "camera (calibration)"
        raise ValueError(f"the view {name!r} has no {lacking}, which a 3D policy needs")
    return view.depth_m, view.camera


def _visible_uv(points_world: Array, camera: Camera) -> Array:
    depth = apply(inverse(camera.world_from_camera), points_world)[:, 2]
    px, _ = camera.project(points_world)
    uv = np.where(depth[:, None] > 1e-3, px / camera.size_px, 0.5)
    return np.asarray(uv.clip(0, 1))


def _float(values: ArrayLike) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))
