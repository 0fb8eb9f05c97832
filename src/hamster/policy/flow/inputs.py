"""From an observation and a path to the tensors that the network eats: everything relative to the tool.

Positions are differences to the tool's tip along the world's axes, taken in float64 and stored in float32. The
policy thus cannot tell where in the world it is: moving scene, path and tool together moves the action with them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hamster.geometry import Camera, apply, inverse
from hamster.policy.actor import Tensors, as_float
from hamster.policy.flow.config import FlowConfig
from hamster.policy.flow.glimpse import look
from hamster.policy.flow.lift import LiftedPath, lift
from hamster.policy.scene import Scene, calibrated

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Inputs(Tensors):
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


def make_inputs(config: FlowConfig, scene: Scene) -> Inputs:
    """Assembles a sample from what the policy's camera sees, what the robot feels, and the lifted path."""
    name, body = config.cameras[0], scene.body
    depth_m, camera = calibrated(scene.views[name], name)
    path = lift(scene.guide, config.key_waypoints, config.path_waypoints) if scene.guide else no_path(config)
    tool = np.asarray(body.tool_pose_world, np.float64)[:3, 3]
    previous = tool if body.previous_position is None else body.previous_position
    targets = np.concatenate([tool[None], path.points_world[: config.key_waypoints]])
    centres_uv = np.concatenate([[[0.5, 0.5]], _visible_uv(targets, camera)])
    widths = np.array([1.0] + [config.fovea_width] * (len(centres_uv) - 1))
    seen = look(scene.views[name].rgb, depth_m, camera, centres_uv, widths, config.glimpse_px)
    overall = np.median(seen.points_world[0].reshape(-1, 3), 0)
    return Inputs(
        rgb=torch.from_numpy(seen.rgb),
        points=as_float(seen.points_world - tool),
        depth_m=as_float(seen.depth_m),
        centres=as_float(np.concatenate([overall[None], targets]) - tool),
        glimpse_on=torch.from_numpy(np.concatenate([[True, True], path.on[: config.key_waypoints]])),
        tool_rotation=as_float(body.tool_pose_world[:3, :3]),
        gripper=as_float([body.opening, body.is_open]),
        previous=as_float(previous - tool),
        previous_features=as_float([body.previous_position is not None, body.was_open]),
        waypoints=as_float(path.points_world - tool),
        rays=as_float(path.rays_world),
        waypoint_features=as_float(path.features),
        waypoint_on=torch.from_numpy(path.on),
    )


def no_path(config: FlowConfig) -> LiftedPath:
    """Waypoints that are all off."""
    count = config.key_waypoints + config.path_waypoints
    return LiftedPath(np.zeros((count, 3)), np.zeros((count, 3)), np.zeros((count, 5)), np.zeros(count, bool))


def _visible_uv(points_world: Array, camera: Camera) -> Array:
    depth = apply(inverse(camera.world_from_camera), points_world)[:, 2]
    px, _ = camera.project(points_world)
    uv = np.where(depth[:, None] > 1e-3, px / camera.size_px, 0.5)
    return np.asarray(uv.clip(0, 1))
