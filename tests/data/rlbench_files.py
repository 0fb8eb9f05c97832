"""Writes RLBench demonstrations as RLBench does: pickled classes, 24-bit depth, cameras with negative focal lengths."""

import pickle
import sys
import types
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

from hamster.geometry import Camera, look_at, pose, quaternion_from_matrix

NEAR_M, FAR_M = 0.01, 4.5
SIZE = 32


@contextmanager
def rlbench_classes():
    """The modules that the pickles name, for as long as they are written."""
    demo, observation = types.ModuleType("rlbench.demo"), types.ModuleType("rlbench.backend.observation")
    demo.Demo = type("Demo", (), {"__module__": demo.__name__})
    for name in ("Observation", "BimanualObservation", "UnimanualObservationData"):
        setattr(observation, name, type(name, (), {"__module__": observation.__name__}))
    modules = {"rlbench": types.ModuleType("rlbench"), "rlbench.backend": types.ModuleType("rlbench.backend")}
    modules |= {demo.__name__: demo, observation.__name__: observation}
    sys.modules.update(modules)
    try:
        yield demo.Demo, observation
    finally:
        for name in modules:
            del sys.modules[name]


def camera(size=SIZE):
    intrinsics = np.array([[1.2 * size, 0, size / 2], [0, 1.2 * size, size / 2], [0, 0, 1]])
    return Camera(intrinsics, look_at([1.3, 0.1, 0.8], [0.4, 0, 0.1]), size, size)


def tool_poses(steps):
    down = np.diag([1.0, -1.0, -1.0])
    tips = np.linspace([0.3, -0.2, 0.4], [0.5, 0.2, 0.05], steps)
    return np.stack([pose(tip, down) for tip in tips])


def depth_image(poses, i, size=SIZE):
    """A floor far away, and a ball of 3 cm at the tool's tip."""
    view = camera(size)
    px, tip_depth_m = view.project(poses[i, :3, 3])
    v, u = np.mgrid[0:size, 0:size] + 0.5
    near_tip = np.hypot(u - px[0], v - px[1]) < 2
    return np.where(near_tip, tip_depth_m - 0.03, 2.5)


def write_episode(
    folder: Path,
    steps=12,
    cameras=("front",),
    protocol=4,
    change=lambda observation: None,
    phrases=None,
    naming="{i}.png",
    arms=(),
):
    folder.mkdir(parents=True)
    poses = tool_poses(steps)
    with rlbench_classes() as (Demo, classes):
        demo = Demo()
        demo._observations = [_observation(classes, poses, i, cameras, arms) for i in range(steps)]
        demo.random_seed = np.random.RandomState(0).get_state()
        for observation in demo._observations:
            change(observation)
        (folder / "low_dim_obs.pkl").write_bytes(pickle.dumps(demo, protocol))
    if phrases:
        (folder / "variation_descriptions.pkl").write_bytes(pickle.dumps(phrases, protocol))
    for name in cameras:
        for kind in ("rgb", "depth"):
            (folder / f"{name}_{kind}").mkdir()
        for i in range(steps):
            depth = depth_image(poses, i)
            rgb = np.where((depth < 2)[..., None], [250, 20, 20], [90, 120, 90]).astype(np.uint8)
            Image.fromarray(rgb).save(folder / f"{name}_rgb" / naming.format(kind="rgb", i=i))
            Image.fromarray(depth_24_bit(depth)).save(folder / f"{name}_depth" / naming.format(kind="depth", i=i))
    return poses


def depth_24_bit(depth_m):
    units = ((depth_m - NEAR_M) / (FAR_M - NEAR_M) * (2**24 - 1)).round().astype(np.int64)
    return np.stack([units >> 16, units >> 8 & 255, units & 255], -1).astype(np.uint8)


def _observation(classes, poses, i, cameras, arms):
    """Of two arms, the last one moves."""
    if arms:
        observation = classes.BimanualObservation()
        for arm in arms:
            setattr(observation, arm, _robot(classes.UnimanualObservationData(), poses, i if arm == arms[-1] else 0))
    else:
        observation = _robot(classes.Observation(), poses, i)
    observation.front_rgb = None
    observation.misc = {}
    for name in cameras:
        flip = np.diag([-1.0, -1.0, 1.0])
        observation.misc |= {
            f"{name}_camera_intrinsics": camera().intrinsics @ flip,
            f"{name}_camera_extrinsics": camera().world_from_camera @ np.diag([-1.0, -1.0, 1.0, 1.0]),
            f"{name}_camera_near": np.float64(NEAR_M),
            f"{name}_camera_far": FAR_M,
        }
    return observation


def _robot(robot, poses, i):
    w, *xyz = quaternion_from_matrix(poses[i, :3, :3])
    robot.gripper_pose = np.array([*poses[i, :3, 3], *xyz, w])
    robot.gripper_open = 1.0 if i < 7 else 0.0
    robot.joint_positions = np.zeros(7)
    return robot
