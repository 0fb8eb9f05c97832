"""From a policy input to the tensors of the virtual-view actor: a coloured point cloud, relative to the tool.

Positions are differences to the tool's tip along the world's axes, taken in float64 and stored in float32, so the
policy cannot tell where in the world it is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hamster.policy.conditioning import (
    CONDITIONERS,
    ChannelConditioner,
    ImageConditioner,
    PointConditioner,
    conditioner_channels,
    conditioner_points,
    draw_conditioner,
)
from hamster.policy.frozen_planner import FrozenPlanner
from hamster.policy.policy_input import (
    PointBatch,
    PolicyInput,
    Proprioception,
    TensorBatch,
    as_float,
    calibrated,
    proprioception_features,
)
from hamster.policy.text_encoding import word_embeddings
from hamster.policy.views.config import ViewsConfig

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ViewsInputs(TensorBatch):
    """One sample, or a batch with a leading dimension.

    Attributes:
        points: (N, 3) metres from the tool, of all cameras.
        rgb: (N, 3) uint8.
        valid: (N,) False where depth is unknown.
        channels: by conditioner (N, C), its values at each point.
        robot: proprioception; its history is one call long.
        path_points: by conditioner, points of the lifted path.
        words: (max_instruction_tokens, word_width) embeddings of the instruction's words, zero beyond the last.
    """

    points: Tensor
    rgb: Tensor
    valid: Tensor
    channels: dict[str, Tensor]
    robot: Proprioception
    path_points: dict[str, PointBatch]
    words: Tensor


def make_inputs(config: ViewsConfig, policy_input: PolicyInput, planner: FrozenPlanner | None = None) -> ViewsInputs:
    """Return a sample of what the cameras see, the robot's state, and the lifted path.

    Args:
        config: of the actor.
        policy_input: one moment.
        planner: of the text encoder; None for random codes of words.
    """
    tool = np.asarray(policy_input.robot.tool_pose_world, np.float64)[:3, 3]
    clouds = [_camera_points(config, policy_input, name) for name in config.cameras]
    conditioners = {name: CONDITIONERS.get(name) for name in config.conditioners}
    words = word_embeddings(policy_input.instruction, config.max_instruction_tokens, config.word_width, planner)
    return ViewsInputs(
        points=as_float(np.concatenate([cloud.points_world for cloud in clouds]) - tool),
        rgb=torch.from_numpy(np.concatenate([cloud.rgb for cloud in clouds])),
        valid=torch.from_numpy(np.concatenate([cloud.valid for cloud in clouds])),
        channels={
            name: torch.from_numpy(np.concatenate([cloud.channels[name] for cloud in clouds]))
            for name in clouds[0].channels
        },
        robot=proprioception_features(policy_input.robot, 1),
        path_points={
            name: PointBatch.of(conditioner_points(name, policy_input.prompt), tool)
            for name, conditioner in conditioners.items()
            if isinstance(conditioner, PointConditioner)
        },
        words=as_float(words),
    )


@dataclass(frozen=True, eq=False)
class _CameraPoints:
    """A view as points (N, 3) in the world, with colours (N, 3), validity (N,) and the path's channels (N, C)."""

    points_world: Array
    rgb: NDArray[np.uint8]
    valid: NDArray[np.bool_]
    channels: dict[str, NDArray[np.float32]]


def _camera_points(config: ViewsConfig, policy_input: PolicyInput, name: str) -> _CameraPoints:
    """Return the points of a view. Pixels are picked, so surfaces are never mixed."""
    view, prompt = policy_input.views[name], policy_input.prompt
    depth_m, camera = calibrated(view, name)
    rows, columns = (_subsampled(length, config.points_px) for length in depth_m.shape)
    index = np.ix_(rows, columns)
    depth = depth_m[index].astype(np.float64)
    valid = np.isfinite(depth) & (depth > 0)
    px = np.stack(np.broadcast_arrays(columns[None, :], rows[:, None]), -1) + 0.5
    points = camera.unproject(px, np.where(valid, depth, 0.0)).reshape(-1, 3)
    drawn, channels = view, dict[str, NDArray[np.float32]]()
    for conditioner_name in config.conditioners:
        conditioner = CONDITIONERS.get(conditioner_name)
        if isinstance(conditioner, ChannelConditioner):
            channels[conditioner_name] = conditioner_channels(conditioner_name, view, prompt)[index].reshape(
                len(points), -1
            )
        elif isinstance(conditioner, ImageConditioner) and prompt is not None:
            drawn = draw_conditioner(conditioner_name, drawn, prompt)
    return _CameraPoints(points, drawn.rgb[index].reshape(-1, 3), valid.ravel(), channels)


def _subsampled(length: int, at_most: int) -> NDArray[np.int64]:
    """Return at most so many evenly spaced indices."""
    count = min(length, at_most)
    return ((np.arange(count) + 0.5) * length / count).astype(np.int64)
