"""From a policy input to the tensors of the 2D actor: small images, the path on the first one, and the tool's pose."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hamster.data import View
from hamster.policy.conditioning import (
    CONDITIONERS,
    ChannelConditioner,
    ImageConditioner,
    conditioner_channels,
    draw_conditioner,
)
from hamster.policy.image.config import ImageConfig
from hamster.policy.path_prompt import PathPrompt, gripper_states
from hamster.policy.policy_input import PolicyInput, TensorBatch, as_float

WAYPOINT_FEATURES = 6  # u, v, progress, gripper unknown / closed / open from here on


@dataclass(frozen=True, eq=False)
class ImageInputs(TensorBatch):
    """One sample, or a batch with a leading dimension.

    Attributes:
        rgb: (V, S, S, 3) uint8, one image per camera; conditioners draw on the first one.
        channels: by conditioner (S, S, C), of the first camera.
        tool_position: (3,) metres, in the world.
        tool_rotation: (3, 3) world from tool.
        gripper: (2,) measured opening and command in force, 0 closed to 1 open.
        waypoints: (P, 6); zeros where there is no path.
    """

    rgb: Tensor
    channels: dict[str, Tensor]
    tool_position: Tensor
    tool_rotation: Tensor
    gripper: Tensor
    waypoints: Tensor


def make_inputs(config: ImageConfig, policy_input: PolicyInput) -> ImageInputs:
    """Return a sample. Depth and calibration are not used, even where there are any."""
    robot, prompt = policy_input.robot, policy_input.prompt
    images = [resized(policy_input.views[name], config.image_px) for name in config.cameras]
    first, channels = images[0], dict[str, Tensor]()
    for name in config.conditioners:
        conditioner = CONDITIONERS.get(name)
        if isinstance(conditioner, ChannelConditioner):
            channels[name] = as_float(conditioner_channels(name, first, prompt))
        elif isinstance(conditioner, ImageConditioner) and prompt is not None:
            images[0] = draw_conditioner(name, images[0], prompt)
    return ImageInputs(
        rgb=torch.from_numpy(np.stack([view.rgb for view in images])),
        channels=channels,
        tool_position=as_float(robot.tool_pose_world[:3, 3]),
        tool_rotation=as_float(robot.tool_pose_world[:3, :3]),
        gripper=as_float([robot.opening, robot.is_open]),
        waypoints=as_float(waypoint_features(prompt, config.waypoints)),
    )


def resized(view: View, side: int) -> View:
    """Return the mean colours in `side` x `side` rectangles of a view, without depth and camera."""
    if view.rgb.shape == (side, side, 3):
        return View(view.rgb)
    return View(np.asarray(Image.fromarray(view.rgb).resize((side, side), Image.Resampling.BOX)))


def waypoint_features(prompt: PathPrompt | None, count: int) -> NDArray[np.float64]:
    """Return (count, 6) at equal steps of progress; zeros without a path."""
    if prompt is None:
        return np.zeros((count, WAYPOINT_FEATURES))
    progress = np.linspace(0, 1, count)
    states = gripper_states(prompt.path.gripper[prompt.waypoint(progress)])
    return np.concatenate([prompt.uv(progress), progress[:, None], states], -1)
