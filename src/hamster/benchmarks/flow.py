"""The flow policy at 3D FlowMatch Actor's sizes: CPU time of a step, from an observation to an action chunk."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from hamster.benchmarks.clock import cpu_ms
from hamster.data import Observation, View
from hamster.geometry import Camera, look_at
from hamster.path import Path2D
from hamster.policy.actor_policy import ActorPolicy
from hamster.policy.flow.config import FLOWMATCH
from hamster.policy.flow.model import FlowActor

IMAGE_PX = 256
INSTRUCTION = " ".join(f"word{i}" for i in range(FLOWMATCH.max_instruction_tokens))  # uses all instruction tokens
PATH = Path2D(np.linspace((0.3, 0.4), (0.7, 0.6), 12), np.full(12, -1, np.int8))
CAMERA_POSITIONS = ((1.0, 0.0, 0.8), (-0.3, 0.7, 0.9), (-0.3, -0.7, 0.9), (0.1, 0.0, 0.7))


def measure_flow(cameras: int, n: int = 5) -> dict[str, float]:
    """Return {"cpu_ms"}: the median of n steps on one thread, with random weights and the first `cameras` cameras."""
    torch.manual_seed(0)
    config = replace(FLOWMATCH, cameras=FLOWMATCH.cameras[:cameras])
    policy, rng = ActorPolicy(FlowActor(config)), np.random.default_rng(0)
    observation = make_observation(config.cameras, rng)
    return {"cpu_ms": round(cpu_ms(lambda: policy.act(observation, PATH, INSTRUCTION), n), 1)}


def make_observation(cameras: tuple[str, ...], rng: np.random.Generator, px: int = IMAGE_PX) -> Observation:
    """Render an uneven table of random colours from several cameras.

    Args:
        cameras: names, at most four.
        rng: of colours and depth.
        px: width and height of the images.
    """
    tool = np.diag([1.0, -1.0, -1.0, 1.0])
    tool[:3, 3] = 0.1, 0.0, 0.2
    return Observation(
        {name: _view(eye, rng, px) for name, eye in zip(cameras, CAMERA_POSITIONS, strict=False)}, tool, 1.0, 0.0
    )


def _view(eye: tuple[float, float, float], rng: np.random.Generator, px: int) -> View:
    focal, middle = px * 1.0, px / 2
    intrinsics = np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])
    camera = Camera(intrinsics, look_at(eye, (0.2, 0.0, 0.0)), px, px)
    rays = camera.points_world(np.ones((px, px))) - eye
    depth = np.clip(-eye[2] / np.minimum(rays[..., 2], -1e-3), 0.1, 2.0) + rng.uniform(-0.02, 0.02, rays.shape[:2])
    return View(rng.integers(0, 256, (px, px, 3), np.uint8), depth.astype(np.float32), camera)
