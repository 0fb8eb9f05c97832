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

from hamster.data import View
from hamster.geometry import Camera, apply, inverse
from hamster.policy import conditioning
from hamster.policy.actor import Tensors, as_float
from hamster.policy.flow.config import FlowConfig
from hamster.policy.flow.glimpse import look
from hamster.policy.flow.lift import LiftedPath, lift
from hamster.policy.flow.whole import Pixels, known_depth, tokens_world
from hamster.policy.proprioception import felt
from hamster.policy.scene import Scene, calibrated
from hamster.policy.text_encoding import word_codes

Array = NDArray[np.float64]
CLOUD = 64  # points


@dataclass(frozen=True, eq=False)
class Inputs(Tensors):
    """One sample, or a batch with a leading dimension. Without glimpses G is 0, without whole images C is.

    Attributes:
        rgb: (G, S, S, 3) uint8, glimpses of the first camera: the whole image, the tool, the key waypoints.
        points: (G, S, S, 3) metres from the tool.
        depth_m: (G, S, S) from the camera, 0 where unknown.
        channels: (G, S, S, 4) of the path, see `conditioning.channels`; (G, S, S, 0) where nobody asked for them.
        centres: (G, 3) what each glimpse is centred on, metres from the tool.
        glimpse_on: (G,) False for a glimpse of a key waypoint that is not there.
        image_rgb, image_depth_m, image_channels: (C, I, I, ...) of each camera's whole image.
        image_points: (C, T, 3) the surface that each patch's token sits on, metres from the tool.
        image_on: (C, T) False where no depth is known.
        tool_rotation: (3, 3) world from tool.
        gripper: (2,) measured opening and last command, 0 closed to 1 open.
        previous: (H, 3) where the tool was when the policy was asked before, the last time first, metres from the tool.
        previous_features: (H, 2) whether there was such a time, and the command in force then.
        waypoints: (P, 3) metres from the tool.
        rays: (P, 3) unit vectors from the camera.
        waypoint_features: (P, 5), see `lift.LiftedPath`.
        waypoint_on: (P,).
        cloud, cloud_features, cloud_on: (N, 3) metres from the tool, (N, 8) and (N,), see `conditioning.Cloud`.
        words: (W, word_width).
    """

    rgb: Tensor
    points: Tensor
    depth_m: Tensor
    channels: Tensor
    centres: Tensor
    glimpse_on: Tensor
    image_rgb: Tensor
    image_depth_m: Tensor
    image_channels: Tensor
    image_points: Tensor
    image_on: Tensor
    tool_rotation: Tensor
    gripper: Tensor
    previous: Tensor
    previous_features: Tensor
    waypoints: Tensor
    rays: Tensor
    waypoint_features: Tensor
    waypoint_on: Tensor
    cloud: Tensor
    cloud_features: Tensor
    cloud_on: Tensor
    words: Tensor


def make_inputs(config: FlowConfig, scene: Scene) -> Inputs:
    """Assembles a sample from what the policy's cameras see, what the robot feels, and the lifted path."""
    body = scene.body
    tool = np.asarray(body.tool_pose_world, np.float64)[:3, 3]
    views = [_Seen.of(scene, name, config) for name in config.cameras]
    path = lift(scene.guide, config.key_waypoints, config.path_waypoints) if scene.guide else no_path(config)
    targets = np.concatenate([tool[None], path.points_world[: config.foveas]])
    glimpse_on = np.concatenate([[True, True], path.on[: config.foveas]])
    cloud = conditioning.cloud(*(scene.guide, CLOUD) if "cloud" in config.conditioners else (None, 1))
    return Inputs(
        **_glimpses(views[0], targets, glimpse_on, tool, config),
        **_whole(views, tool, config.image_px),
        **felt(body, config.history),
        waypoints=as_float(path.points_world - tool),
        rays=as_float(path.rays_world),
        waypoint_features=as_float(path.features),
        waypoint_on=torch.from_numpy(path.on),
        cloud=as_float(cloud.points_world - tool),
        cloud_features=as_float(cloud.features),
        cloud_on=torch.from_numpy(cloud.on),
        words=as_float(word_codes(scene.instruction, config.words, config.word_width)),
    )


def no_path(config: FlowConfig) -> LiftedPath:
    """Waypoints that are all off."""
    count = config.key_waypoints + config.path_waypoints
    return LiftedPath(np.zeros((count, 3)), np.zeros((count, 3)), np.zeros((count, 5)), np.zeros(count, bool))


@dataclass(frozen=True, eq=False)
class _Seen:
    """A view with what it takes for 3D, and the path's channels (H, W, 4 or 0)."""

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    camera: Camera
    channels: NDArray[np.float32]

    @classmethod
    def of(cls, scene: Scene, name: str, config: FlowConfig) -> _Seen:
        view: View = scene.views[name]
        depth_m, camera = calibrated(view, name)
        if "channels" in config.conditioners:
            channels = conditioning.channels(view, scene.guide)
        else:
            channels = np.zeros((*depth_m.shape, 0), np.float32)
        if "overlay" in config.conditioners:
            view = conditioning.overlay(view, scene.guide)
        return cls(view.rgb, depth_m, camera, channels)


def _glimpses(seen: _Seen, targets: Array, on: NDArray[np.bool_], tool: Array, config: FlowConfig) -> dict[str, Tensor]:
    size, depth_m, camera = config.glimpse_px, seen.depth_m, seen.camera
    if not size:
        targets, on = targets[:0], on[:0]
    centres_uv = np.concatenate([[[0.5, 0.5]], _visible_uv(targets, camera)])[: len(on)]
    widths = np.array([1.0] + [config.fovea_width] * len(targets))[: len(on)]
    found = look(seen.rgb, depth_m, camera, seen.channels, centres_uv, widths, size)
    overall = np.median(found.points_world[:1].reshape(-1, 3), 0)[None] if size else targets
    return {
        "rgb": torch.from_numpy(found.rgb),
        "points": as_float(found.points_world - tool),
        "depth_m": as_float(found.depth_m),
        "channels": torch.from_numpy(found.channels),
        "centres": as_float(np.concatenate([overall, targets]) - tool),
        "glimpse_on": torch.from_numpy(on),
    }


def _whole(views: list[_Seen], tool: Array, size: int) -> dict[str, Tensor]:
    names = ("image_rgb", "image_depth_m", "image_channels", "image_points", "image_on")
    if not size:
        return dict.fromkeys(names, torch.zeros(0))
    parts: list[tuple[NDArray[np.generic], ...]] = []
    for seen in views:
        pixels = Pixels.of(seen.camera, size)
        depth_m = known_depth(np.asarray(pixels.pick(seen.depth_m), np.float32))
        points, on = tokens_world(depth_m, seen.camera, pixels)
        offset = (points - tool).astype(np.float32)
        parts.append((pixels.pick(seen.rgb), depth_m, pixels.pick(seen.channels), offset, on))
    return {name: torch.from_numpy(np.stack(part)) for name, part in zip(names, zip(*parts, strict=True), strict=True)}


def _visible_uv(points_world: Array, camera: Camera) -> Array:
    depth = apply(inverse(camera.world_from_camera), points_world)[:, 2]
    px, _ = camera.project(points_world)
    uv = np.where(depth[:, None] > 1e-3, px / camera.size_px, 0.5)
    return np.asarray(uv.clip(0, 1))
