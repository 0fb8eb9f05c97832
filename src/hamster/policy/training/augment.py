"""Augmentation for what differs at inference: paths drawn by a model, execution errors, cameras, poses.

All of it happens to the policy input, before any network's own tensors are made: one augmentation serves every type.

A path is seen from another camera than it was drawn on wherever the demonstrations' camera moves and the path is of
the first frame. Cameras are not moved here, since that would take rendering the scene anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data import View
from hamster.geometry import pose, rotation_z
from hamster.path import Gripper, Path2D
from hamster.policy.policy_input import PolicyInput
from hamster.policy.training.goal import Goal

Array = NDArray[np.float64]
GAUSSIAN = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)], np.float32)


@dataclass(frozen=True)
class AugmentConfig:
    """Probabilities and sizes of augmentations.

    Attributes:
        path_dropout_prob: no path at all.
        first_frame_path_prob: the path of the episode's first frame instead of one from here.
        waypoint_noise_std, path_drift_std: relative to the image, of each waypoint and of a drift along the path.
        omit_waypoint_prob: leave out a waypoint which is neither a gripper event nor an end.
        swap_image_prob: the image of another scene: the path is to be followed also where there is nothing.
        completed_prob: at the last keypose's frame, place the tool where that leads: the task is done.
        drop_history_prob: no earlier calls of the policy.
        tool_noise_std_m, tool_noise_std_rad: of the tool's pose, as if it had stopped there.
        drop_path_depth_prob: no depth of the path's waypoints.
        drop_gripper_prob: no gripper states in the path, as from models that only point.
        yaw_range_rad: rotate scene, robot and path about the vertical by up to this.
        mirror_prob: swap left and right.
        max_depth_noise_std_m, max_depth_dropout: largest noise of the depth, largest part of pixels without depth.
        color_jitter: strength of brightness, contrast and tint.
        fixed_camera: the policy does not know where its camera is: the world is mirrored only where that leaves all
            cameras in place, and never rotated.
    """

    path_dropout_prob: float = 0.15
    first_frame_path_prob: float = 0.6
    waypoint_noise_std: float = 0.01
    path_drift_std: float = 0.008
    omit_waypoint_prob: float = 0.15
    swap_image_prob: float = 0.12
    completed_prob: float = 0.5
    drop_history_prob: float = 0.1
    tool_noise_std_m: float = 0.004
    tool_noise_std_rad: float = 0.03
    drop_path_depth_prob: float = 0.5
    drop_gripper_prob: float = 0.05
    yaw_range_rad: float = 0.2
    mirror_prob: float = 0.5
    max_depth_noise_std_m: float = 0.0005
    max_depth_dropout: float = 0.05
    color_jitter: float = 0.2
    fixed_camera: bool = field(default=False, kw_only=True)


NONE = AugmentConfig(*[0.0] * 17)


def augment(
    policy_input: PolicyInput, goal: Goal, config: AugmentConfig, rng: np.random.Generator
) -> tuple[PolicyInput, Goal]:
    """Add noise to the images, then apply the same random rotation and mirroring to input and goal.

    Args:
        policy_input: one moment of a demonstration.
        goal: what followed, in the world's frame.
        config: how much.
        rng: of all randomness.
    """
    views = {name: augment_view(view, config, rng) for name, view in policy_input.views.items()}
    policy_input = replace(policy_input, views=views)
    if rng.random() < config.mirror_prob:
        mirrored = policy_input.mirrored()
        if not config.fixed_camera or _same_cameras(policy_input, mirrored):
            policy_input, goal = mirrored, goal.mirrored()
    if config.fixed_camera:
        return policy_input, goal
    turn = pose(np.zeros(3), rotation_z(rng.uniform(-config.yaw_range_rad, config.yaw_range_rad)))
    return policy_input.moved(turn), goal.moved(turn)


def augment_view(view: View, config: AugmentConfig, rng: np.random.Generator) -> View:
    """Return a view under other light, with a depth sensor's noise and holes; arguments as of `augment`."""
    rgb, depth_m = view.rgb, view.depth_m
    if config.color_jitter:
        gain = rng.uniform(1 - config.color_jitter, 1 + config.color_jitter, 3)
        shift = rng.uniform(-config.color_jitter, config.color_jitter) / 4 * 255
        table = (gain[:, None] * np.arange(256) + shift).clip(0, 255).astype(np.uint8)
        rgb = np.asarray(Image.fromarray(rgb).point(table.ravel().tolist()))
    if depth_m is not None and (config.max_depth_noise_std_m or config.max_depth_dropout):
        depth_m = augment_depth(depth_m, config, rng)
    return View(rgb, depth_m, view.camera)


def augment_depth(depth_m: NDArray[np.float32], config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    """Return depth (H, W) with noise and holes.

    A byte per pixel decides: drawing 256 levels of each costs a fifth of drawing floats.

    Args:
        depth_m: metres, 0 where unknown.
        config: how much.
        rng: of all randomness.
    """
    levels = rng.uniform(0, config.max_depth_noise_std_m) * GAUSSIAN
    holes = round(256 * rng.uniform(0, config.max_depth_dropout))
    count = depth_m.size
    drawn = np.frombuffer(rng.bytes(2 * count), np.uint8)
    with_noise = depth_m + levels[drawn[:count]].reshape(depth_m.shape)
    kept = (drawn[count:] >= holes).reshape(depth_m.shape)
    return np.asarray(with_noise * (kept & (depth_m > 0)), np.float32)


def augment_path(path: Path2D, config: AugmentConfig, rng: np.random.Generator) -> Path2D:
    """Return a path as a model might draw it: waypoints omitted, displaced one by one and by a drift.

    Args:
        path: of a label.
        config: how much.
        rng: of all randomness.
    """
    ends_and_events = {0, len(path) - 1, *(i for i, _ in path.events)}
    keep = [i for i in range(len(path)) if i in ends_and_events or rng.random() > config.omit_waypoint_prob]
    start, end = rng.normal(0, config.path_drift_std, (2, 2))
    drift = start + np.linspace(0, 1, len(keep))[:, None] * (end - start)
    uv = path.uv[keep] + drift + rng.normal(0, config.waypoint_noise_std, (len(keep), 2)) * rng.uniform(0, 1.4)
    depth_m = None if path.depth_m is None or rng.random() < config.drop_path_depth_prob else path.depth_m[keep]
    gripper = path.gripper[keep]
    if rng.random() < config.drop_gripper_prob:
        gripper = np.full_like(gripper, Gripper.UNKNOWN)
    return Path2D(uv.clip(0, 1), gripper, depth_m)


def augment_tool_pose(tool_pose_world: Array, config: AugmentConfig, rng: np.random.Generator) -> Array:
    """Return a tool pose a little off, rotated a little about the vertical.

    Args:
        tool_pose_world: (4, 4) metres.
        config: how much.
        rng: of all randomness.
    """
    pose_world = np.array(tool_pose_world, np.float64)
    pose_world[:3, 3] += rng.normal(0, config.tool_noise_std_m, 3)
    pose_world[:3, :3] = rotation_z(rng.normal(0, config.tool_noise_std_rad)) @ pose_world[:3, :3]
    return pose_world


def _same_cameras(a: PolicyInput, b: PolicyInput) -> bool:
    """Return whether all cameras are known and within a centimetre, a hundredth of a radian and a pixel."""
    for one, other in ((a.views[name].camera, b.views[name].camera) for name in a.views):
        if one is None or other is None or not np.allclose(one.intrinsics, other.intrinsics, rtol=0, atol=1.0):
            return False
        if not np.allclose(one.world_from_camera, other.world_from_camera, rtol=0, atol=0.01):
            return False
    return True
