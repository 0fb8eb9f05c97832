"""From a policy input to the tensors that the network takes: everything relative to the tool.

Positions are differences to the tool's tip along the world's axes, taken in float64 and stored in float32. The policy
thus cannot tell where in the world it is: moving scene, path and tool together moves the action with them.

Images are cut into crops, and these into patches of 8 x 8 pixels, each of which becomes a token on the nearest surface
in it. Pixels are picked, never interpolated: at an edge a mean would lie between two surfaces, on neither.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hamster.data import View
from hamster.geometry import Camera
from hamster.policy.conditioning import (
    CONDITIONERS,
    ChannelConditioner,
    ImageConditioner,
    PointConditioner,
    conditioner_channels,
    conditioner_points,
    draw_conditioner,
)
from hamster.policy.flow.config import OWN_CONDITIONERS, PATCH_PX, FlowConfig
from hamster.policy.flow.latent import LatentInputs, read_planner
from hamster.policy.flow.pixels import PixelGrid, crop_pixels, whole_image
from hamster.policy.frozen_planner import FrozenPlanner
from hamster.policy.path_prompt import PathPoints, PathPrompt, sample_waypoints
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

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Crops(TensorBatch):
    """G crops of the first camera's image: the whole image, around the tool, around the key waypoints (foveas).

    Attributes:
        rgb: (G, S, S, 3) uint8.
        points: (G, S, S, 3) metres from the tool.
        depth_m: (G, S, S) from the camera, 0 where unknown.
        centres: (G, 3) the point that each crop is centred on, metres from the tool.
        valid: (G,) False for a crop of a key waypoint that does not exist.
        channels: by conditioner (G, S, S, C), see `ChannelConditioner`.
    """

    rgb: Tensor
    points: Tensor
    depth_m: Tensor
    centres: Tensor
    valid: Tensor
    channels: dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class Images(TensorBatch):
    """The whole images of C cameras, with T = (S / 8)² patches each.

    Attributes:
        rgb: (C, S, S, 3) uint8.
        depth_m: (C, S, S) 0 where unknown.
        points: (C, T, 3) the surface that each patch's token sits on, metres from the tool.
        valid: (C, T) False where no depth is known.
        channels: by conditioner (C, S, S, N).
    """

    rgb: Tensor
    depth_m: Tensor
    points: Tensor
    valid: Tensor
    channels: dict[str, Tensor]


@dataclass(frozen=True, eq=False)
class FlowInputs(TensorBatch):
    """One sample, or a batch with a leading dimension.

    Attributes:
        crops: None without crops.
        images: None without whole images.
        robot: proprioception.
        points: by conditioner; of `foveas` the key waypoints.
        words: (max_instruction_tokens, word_width) embeddings of the instruction's words, zero beyond the last.
        latent: what a planner makes of image and instruction; None without the conditioner `latent`.
    """

    crops: Crops | None
    images: Images | None
    robot: Proprioception
    points: dict[str, PointBatch]
    words: Tensor
    latent: LatentInputs | None = None


def make_inputs(config: FlowConfig, policy_input: PolicyInput, planner: FrozenPlanner | None = None) -> FlowInputs:
    """Return a sample of what the cameras see, the robot's state, and the lifted path.

    Args:
        config: of the actor.
        policy_input: one moment.
        planner: of the text encoder and the conditioner `latent`; None for random codes of words.
    """
    tool = np.asarray(policy_input.robot.tool_pose_world, np.float64)[:3, 3]
    views = [_CameraInput.of(policy_input, name, config) for name in config.cameras]
    points = _path_points(config, policy_input.prompt)
    words = word_embeddings(
        policy_input.instruction,
        config.max_instruction_tokens,
        config.word_width,
        planner if config.text_encoder == "planner" else None,
    )
    latent = None
    if "latent" in config.conditioners:
        assert planner is not None
        latent = read_planner(planner, policy_input, config.cameras[0])
    foveas = points.get("foveas") if latent is None else latent.peaks
    return FlowInputs(
        crops=_crops(views[0], foveas, tool, config) if config.crop_px else None,
        images=_images(views, tool, config.image_px) if config.image_px else None,
        robot=proprioception_features(policy_input.robot, config.n_obs_history),
        points={name: PointBatch.of(path_points, tool) for name, path_points in points.items()},
        words=as_float(words),
        latent=None if latent is None else LatentInputs.of(latent, views[0].camera, tool, config),
    )


def _path_points(config: FlowConfig, prompt: PathPrompt | None) -> dict[str, PathPoints]:
    """Return the path's points by conditioner. Of `tokens` and `foveas` they are waypoints, lifted once for both."""
    points: dict[str, PathPoints] = {}
    n_key = config.key_waypoints
    if {"tokens", "foveas"} & set(config.conditioners):
        waypoints = sample_waypoints(prompt, n_key, config.path_waypoints)
        keys = PathPoints(waypoints.positions_world[:n_key], waypoints.features[:n_key], waypoints.valid[:n_key])
        points = {"tokens": waypoints, "foveas": keys}
    for name in config.conditioners:
        if name in OWN_CONDITIONERS:
            continue
        if isinstance(CONDITIONERS.get(name), PointConditioner):
            points[name] = conditioner_points(name, prompt)
    return {name: points[name] for name in config.conditioners if name in points}


@dataclass(frozen=True, eq=False)
class _CameraInput:
    """A view with depth and calibration, and the path's channels (H, W, C) by conditioner."""

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32]
    camera: Camera
    channels: dict[str, NDArray[np.float32]]

    @classmethod
    def of(cls, policy_input: PolicyInput, name: str, config: FlowConfig) -> _CameraInput:
        view: View = policy_input.views[name]
        prompt, channels = policy_input.prompt, dict[str, NDArray[np.float32]]()
        depth_m, camera = calibrated(view, name)
        drawn = view
        for conditioner_name in config.conditioners:
            if conditioner_name in OWN_CONDITIONERS:
                continue
            conditioner = CONDITIONERS.get(conditioner_name)
            if isinstance(conditioner, ChannelConditioner):
                channels[conditioner_name] = conditioner_channels(conditioner_name, view, prompt)
            elif isinstance(conditioner, ImageConditioner) and prompt is not None:
                drawn = draw_conditioner(conditioner_name, drawn, prompt)
        return cls(drawn.rgb, depth_m, camera, channels)


def _crops(view: _CameraInput, foveas: PathPoints | None, tool: Array, config: FlowConfig) -> Crops:
    foveas = PathPoints.none(0) if foveas is None else foveas
    targets = np.concatenate([tool[None], foveas.positions_world])
    pixels = crop_pixels(view.camera, targets, config)
    depth_m = pixels.pick(view.depth_m).astype(np.float64)
    depth_m = np.where(depth_m > 0, depth_m, 0.0)  # NaN too
    points_world = view.camera.unproject(pixels.px(), depth_m)
    scene_centre = np.median(points_world[0].reshape(-1, 3), 0)
    return Crops(
        rgb=torch.from_numpy(pixels.pick(view.rgb)),
        points=as_float(points_world - tool),
        depth_m=as_float(depth_m),
        centres=as_float(np.concatenate([scene_centre[None], targets]) - tool),
        valid=torch.from_numpy(np.concatenate([[True, True], foveas.valid])),
        channels={name: torch.from_numpy(pixels.pick(values)) for name, values in view.channels.items()},
    )


def _images(views: list[_CameraInput], tool: Array, size: int) -> Images:
    images = []
    for view in views:
        pixels = whole_image(view.camera, size)
        depth_m = known_depth(np.asarray(pixels.pick(view.depth_m)[0], np.float32))
        points, valid = patch_points_world(depth_m, view.camera, pixels)
        images.append(
            Images(
                rgb=torch.from_numpy(pixels.pick(view.rgb)[0]),
                depth_m=torch.from_numpy(depth_m),
                points=as_float(points - tool),
                valid=torch.from_numpy(valid),
                channels={name: torch.from_numpy(pixels.pick(values)[0]) for name, values in view.channels.items()},
            )
        )
    return Images.stack(images)


def known_depth(depth_m: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return depth with 0 wherever it is unknown."""
    return np.where(np.isfinite(depth_m) & (depth_m > 0), depth_m, np.float32(0))


def patch_points_world(
    depth_m: NDArray[np.float32], camera: Camera, pixels: PixelGrid
) -> tuple[Array, NDArray[np.bool_]]:
    """Return the nearest surface point of each patch of a whole image, T = (S / 8)².

    Args:
        depth_m: (S, S) metres along the optical axis, 0 where unknown.
        camera: that it was taken by.
        pixels: of the image that the depth was picked from, G = 1.

    Returns:
        Points (T, 3) in the world, and whether any depth is known there (T,).
    """
    index, valid = (tensor.numpy() for tensor in nearest_pixel(torch.from_numpy(depth_m)))
    side = len(depth_m) // PATCH_PX
    patch = np.arange(side**2)
    row, column = patch // side * PATCH_PX + index // PATCH_PX, patch % side * PATCH_PX + index % PATCH_PX
    px = np.stack([pixels.columns[0, 0, column], pixels.rows[0, row, 0]], -1) + 0.5
    return camera.unproject(px, np.where(valid, depth_m[row, column], 0.0)), valid


def patches(x: Tensor) -> Tensor:
    """Return the pixels (..., T, 64, C) of the patches of images (..., S, S, C), T = (S / 8)²."""
    *outer, size, _, values = x.shape
    side = size // PATCH_PX
    x = x.reshape(*outer, side, PATCH_PX, side, PATCH_PX, values).transpose(-4, -3)
    return x.reshape(*outer, side**2, PATCH_PX**2, values)


def nearest_pixel(depth_m: Tensor) -> tuple[Tensor, Tensor]:
    """Return the index (..., T) of the nearest pixel within each patch of (..., S, S), and whether any is known."""
    depth_m = patches(torch.where(depth_m > 0, depth_m, torch.inf)[..., None])[..., 0]
    index = depth_m.argmin(-1)
    return index, depth_m.gather(-1, index[..., None])[..., 0].isfinite()


def nearest_points(points: Tensor, depth_m: Tensor) -> tuple[Tensor, Tensor]:
    """Return the point (..., T, 3) nearest to the camera of each patch of points (..., S, S, 3), and whether any is."""
    index, valid = nearest_pixel(depth_m)
    return patches(points).gather(-2, index[..., None, None].expand(*index.shape, 1, 3))[..., 0, :], valid
