"""From a scene to the tensors of the virtual-view actor: a cloud of coloured points, everything relative to the tool.

Positions are differences to the tool's tip along the world's axes, taken in float64 and stored in float32, so the
policy cannot tell where in the world it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hamster.data import View
from hamster.policy.actor import Tensors, as_float
from hamster.policy.conditioning import channels, cloud, overlay
from hamster.policy.path_prompt import Guide
from hamster.policy.proprioception import felt
from hamster.policy.scene import Scene, calibrated
from hamster.policy.text_encoding import word_codes
from hamster.policy.views.config import ViewsConfig

Array = NDArray[np.float64]
PATH_POINTS = 64


@dataclass(frozen=True, eq=False)
class Inputs(Tensors):
    """One sample, or a batch with a leading dimension.

    Attributes:
        points: (N, 3) metres from the tool, of all cameras.
        rgb: (N, 3) uint8.
        point_on: (N,) False where depth is unknown.
        point_channels: (N, C) what the path's `channels` say at each point; C is 0 where nobody asks.
        tool_rotation: (3, 3) world from tool.
        gripper: (2,) measured opening and last command, 0 closed to 1 open.
        previous: (3,) where the tool was when the policy was asked the last time, metres from the tool.
        previous_features: (2,) whether there was a last time, and the command in force then.
        waypoints: (P, 3) metres from the tool, points of the lifted path.
        waypoint_features: (P, 8), see `conditioning.Cloud`.
        waypoint_on: (P,).
        words: (words, word_width).
    """

    points: Tensor
    rgb: Tensor
    point_on: Tensor
    point_channels: Tensor
    tool_rotation: Tensor
    gripper: Tensor
    previous: Tensor
    previous_features: Tensor
    waypoints: Tensor
    waypoint_features: Tensor
    waypoint_on: Tensor
    words: Tensor


def make_inputs(config: ViewsConfig, scene: Scene) -> Inputs:
    """Assembles a sample from what the cameras see, what the robot feels, and the lifted path."""
    body = scene.body
    tool = np.asarray(body.tool_pose_world, np.float64)[:3, 3]
    seen = [_points(config, scene.views[name], name, scene.guide) for name in config.cameras]
    points, rgb, on, told = (np.concatenate(parts) for parts in zip(*seen, strict=True))
    path = cloud(scene.guide, PATH_POINTS)
    now = felt(body, 1)
    return Inputs(
        points=as_float(points - tool),
        rgb=torch.from_numpy(rgb),
        point_on=torch.from_numpy(on),
        point_channels=torch.from_numpy(told),
        tool_rotation=now["tool_rotation"],
        gripper=now["gripper"],
        previous=now["previous"][0],
        previous_features=now["previous_features"][0],
        waypoints=as_float((path.points_world - tool) * path.on[:, None]),
        waypoint_features=as_float(path.features),
        waypoint_on=torch.from_numpy(path.on),
        words=as_float(word_codes(scene.instruction, config.words, config.word_width)),
    )


def _points(
    config: ViewsConfig, view: View, name: str, guide: Guide | None
) -> tuple[Array, NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float32]]:
    """Of a view: points (N, 3) in the world, their colours and whether they exist, and the path's channels there.

    Pixels are picked, so surfaces are never mixed.
    """
    depth_m, camera = calibrated(view, name)
    rows, columns = (_thinned(length, config.points_px) for length in depth_m.shape)
    index = np.ix_(rows, columns)
    depth = depth_m[index].astype(np.float64)
    on = np.isfinite(depth) & (depth > 0)
    px = np.stack(np.broadcast_arrays(columns[None, :], rows[:, None]), -1) + 0.5
    points = camera.unproject(px, np.where(on, depth, 0.0)).reshape(-1, 3)
    rgb = (overlay(view, guide) if "overlay" in config.conditioners else view).rgb[index].reshape(-1, 3)
    none = np.zeros((len(points), 0), np.float32)
    told = channels(view, guide)[index].reshape(len(points), -1) if "channels" in config.conditioners else none
    return points, rgb, on.ravel(), told


def _thinned(length: int, most: int) -> NDArray[np.int64]:
    """At most so many evenly spaced indices."""
    count = min(length, most)
    return ((np.arange(count) + 0.5) * length / count).astype(np.int64)
