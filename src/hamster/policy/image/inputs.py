"""From a scene to the tensors of the 2D actor: small images, the path on the first one, and where the tool is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from hamster.data import View
from hamster.policy.actor import Tensors, as_float
from hamster.policy.conditioning import CHANNELS, channels, overlay
from hamster.policy.image.config import ImageConfig
from hamster.policy.path_prompt import Guide, gripper_states
from hamster.policy.scene import Scene

WAYPOINT = 6  # u, v, progress, gripper unknown / closed / open from here on


@dataclass(frozen=True, eq=False)
class Inputs(Tensors):
    """One sample, or a batch with a leading dimension.

    Attributes:
        rgb: (V, S, S, 3) uint8, one image per camera; the path is drawn on the first one, where that is asked for.
        channels: (S, S, 4) of the first camera; (0, 0, 4) where nobody asks for them.
        tool_position: (3,) metres, in the world.
        tool_rotation: (3, 3) world from tool.
        gripper: (2,) measured opening and last command, 0 closed to 1 open.
        waypoints: (P, 6); zeros where there is no path.
    """

    rgb: Tensor
    channels: Tensor
    tool_position: Tensor
    tool_rotation: Tensor
    gripper: Tensor
    waypoints: Tensor


def make_inputs(config: ImageConfig, scene: Scene) -> Inputs:
    """Assembles a sample. Depth and calibration are not looked at, even where there are any."""
    body, guide = scene.body, scene.guide
    images = [shrunk(scene.views[name], config.image_px) for name in config.cameras]
    told = channels(images[0], guide) if "channels" in config.conditioners else np.zeros((0, 0, CHANNELS))
    if "overlay" in config.conditioners:
        images[0] = overlay(images[0], guide)
    return Inputs(
        rgb=torch.from_numpy(np.stack([view.rgb for view in images])),
        channels=as_float(told),
        tool_position=as_float(body.tool_pose_world[:3, 3]),
        tool_rotation=as_float(body.tool_pose_world[:3, :3]),
        gripper=as_float([body.opening, body.is_open]),
        waypoints=as_float(waypoints(guide, config.waypoints)),
    )


def shrunk(view: View, side: int) -> View:
    """The mean colours in `side` x `side` rectangles: what is left of a view for which no camera is known."""
    if view.rgb.shape == (side, side, 3):
        return View(view.rgb)
    return View(np.asarray(Image.fromarray(view.rgb).resize((side, side), Image.Resampling.BOX)))


def waypoints(guide: Guide | None, count: int) -> NDArray[np.float64]:
    """(count, 6) at equal steps of progress."""
    if guide is None:
        return np.zeros((count, WAYPOINT))
    at = np.linspace(0, 1, count)
    states = gripper_states(guide.path.gripper[guide.waypoint(at)])
    return np.concatenate([guide.uv(at), at[:, None], states], -1)
