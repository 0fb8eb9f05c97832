"""What may differ between the demonstrations and the day: paths drawn by a model, execution errors, cameras, poses.

All of it happens to the scene, before any network's own inputs are made: one augmentation serves every family.

A path is seen from another camera than it was drawn on wherever the demonstrations' camera moves and the path is
stale. Cameras are not moved here, since that would take rendering the scene anew.
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
from hamster.policy.scene import Scene
from hamster.policy.training.goal import Goal

Array = NDArray[np.float64]
GAUSSIAN = np.array([NormalDist().inv_cdf((i + 0.5) / 256) for i in range(256)], np.float32)


@dataclass(frozen=True)
class AugmentConfig:
    """How much of what.

    Attributes:
        path_dropout: probability of no path at all.
        stale_path: probability of the path of the episode's first frame instead of one from here.
        waypoint_noise, path_shift: standard deviations, relative to the image, of each waypoint and of stretches.
        omit_waypoint: probability that a waypoint which is neither an event nor an end is left out.
        transplant: probability of the picture of another scene: the path is to be followed also where nothing is.
        finish: probability that at the last keypose's frame the tool is put where it leads: all is done.
        forget: probability that the policy does not know where it was asked the last time.
        tool_noise_m, tool_noise_rad: standard deviation of the tool's pose where it stopped.
        forget_depth: probability that a path comes without the depth of its waypoints.
        forget_gripper: probability that it comes without a word about the gripper, as from models that only point.
        turn_rad: scene and all turn about the vertical by up to this.
        mirror: probability of left and right being swapped.
        depth_noise_m: largest standard deviation of the depth; point_dropout: largest part of pixels without depth.
        colour: strength of brightness, contrast and tint.
        fixed_camera: the policy does not know where its camera is: the world is mirrored only where that leaves all
            cameras in place, and never turned.
    """

    path_dropout: float = 0.15
    stale_path: float = 0.6
    waypoint_noise: float = 0.01
    path_shift: float = 0.008
    omit_waypoint: float = 0.15
    transplant: float = 0.12
    finish: float = 0.5
    forget: float = 0.1
    tool_noise_m: float = 0.004
    tool_noise_rad: float = 0.03
    forget_depth: float = 0.5
    forget_gripper: float = 0.05
    turn_rad: float = 0.2
    mirror: float = 0.5
    depth_noise_m: float = 0.0005
    point_dropout: float = 0.05
    colour: float = 0.2
    fixed_camera: bool = field(default=False, kw_only=True)


NONE = AugmentConfig(*[0.0] * 17)


def disturb(scene: Scene, goal: Goal, config: AugmentConfig, rng: np.random.Generator) -> tuple[Scene, Goal]:
    """Noise on the images, then the same random turn and mirroring of scene and goal."""
    views = {name: disturb_view(view, config, rng) for name, view in scene.views.items()}
    scene = replace(scene, views=views)
    if rng.random() < config.mirror:
        mirrored = scene.mirrored()
        if not config.fixed_camera or _same_cameras(scene, mirrored):
            scene, goal = mirrored, goal.mirrored()
    if config.fixed_camera:
        return scene, goal
    turn = pose(np.zeros(3), rotation_z(rng.uniform(-config.turn_rad, config.turn_rad)))
    return scene.moved(turn), goal.moved(turn)


def _same_cameras(a: Scene, b: Scene) -> bool:
    """Whether all cameras are known, and are within a centimetre, a hundredth of a radian and a pixel of each other."""
    for one, other in ((a.views[name].camera, b.views[name].camera) for name in a.views):
        if one is None or other is None or not np.allclose(one.intrinsics, other.intrinsics, rtol=0, atol=1.0):
            return False
        if not np.allclose(one.world_from_camera, other.world_from_camera, rtol=0, atol=0.01):
            return False
    return True


def disturb_view(view: View, config: AugmentConfig, rng: np.random.Generator) -> View:
    """Other light, and a depth sensor's noise and holes."""
    rgb, depth_m = view.rgb, view.depth_m
    if config.colour:
        gain = rng.uniform(1 - config.colour, 1 + config.colour, 3)
        shift = rng.uniform(-config.colour, config.colour) / 4 * 255
        table = (gain[:, None] * np.arange(256) + shift).clip(0, 255).astype(np.uint8)
        rgb = np.asarray(Image.fromarray(rgb).point(table.ravel().tolist()))
    if depth_m is not None and (config.depth_noise_m or config.point_dropout):
        depth_m = disturb_depth(depth_m, config, rng)
    return View(rgb, depth_m, view.camera)


def disturb_depth(depth_m: NDArray[np.float32], config: AugmentConfig, rng: np.random.Generator) -> NDArray[np.float32]:
    """Noise, and holes. A byte per pixel decides: drawing 256 levels of each costs a fifth of drawing floats."""
    levels = rng.uniform(0, config.depth_noise_m) * GAUSSIAN
    holes = round(256 * rng.uniform(0, config.point_dropout))
    count = depth_m.size
    drawn = np.frombuffer(rng.bytes(2 * count), np.uint8)
    noisy = depth_m + levels[drawn[:count]].reshape(depth_m.shape)
    kept = (drawn[count:] >= holes).reshape(depth_m.shape)
    return np.asarray(noisy * (kept & (depth_m > 0)), np.float32)


def disturb_path(path: Path2D, config: AugmentConfig, rng: np.random.Generator) -> Path2D:
    """A path as a model might draw it: waypoints omitted, displaced one by one and by stretches."""
    ends_and_events = {0, len(path) - 1, *(i for i, _ in path.events)}
    keep = [i for i in range(len(path)) if i in ends_and_events or rng.random() > config.omit_waypoint]
    shift = rng.normal(0, config.path_shift, (2, 2))  # drifts from one displacement at the start to another at the end
    drift = shift[0] + np.linspace(0, 1, len(keep))[:, None] * (shift[1] - shift[0])
    uv = path.uv[keep] + drift + rng.normal(0, config.waypoint_noise, (len(keep), 2)) * rng.uniform(0, 1.4)
    depth_m = None if path.depth_m is None or rng.random() < config.forget_depth else path.depth_m[keep]
    gripper = path.gripper[keep]
    if rng.random() < config.forget_gripper:
        gripper = np.full_like(gripper, Gripper.UNKNOWN)
    return Path2D(uv.clip(0, 1), gripper, depth_m)


def disturb_tool(tool_pose_world: Array, config: AugmentConfig, rng: np.random.Generator) -> Array:
    """The tool stopped a little off, turned a little about the vertical."""
    out = np.array(tool_pose_world, np.float64)
    out[:3, 3] += rng.normal(0, config.tool_noise_m, 3)
    out[:3, :3] = rotation_z(rng.normal(0, config.tool_noise_rad)) @ out[:3, :3]
    return out
