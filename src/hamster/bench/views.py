"""The virtual-view policy at RVT-2's sizes: CPU time and memory of a step, from a scene to the next keypose."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time
from typing import Literal

import numpy as np
import torch

from hamster.data import View
from hamster.geometry import Camera, look_at
from hamster.path import Path
from hamster.policy.actor import Prediction
from hamster.policy.guide import Guide
from hamster.policy.scene import Body, Scene
from hamster.policy.views.actor import ViewsActor
from hamster.policy.views.config import RVT2

Dtype = Literal["fp32", "bf16"]
TURNS = 5
IMAGE_PX = 128


def measure_views(dtype: Dtype) -> dict[str, float]:
    """{"cpu_ms", "peak_mb"}: the least of some steps on one thread, random weights, in a process of its own."""
    call = f"from hamster.bench.views import report; report({dtype!r})"
    done = subprocess.run([sys.executable, "-c", call], capture_output=True, text=True, check=True)  # noqa: S603
    measured: dict[str, float] = json.loads(done.stdout)
    return measured


def report(dtype: Dtype) -> None:
    """Measures in this process, and prints the result as JSON."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    actor, scene = ViewsActor(RVT2).eval(), make_scene(np.random.default_rng(0))
    turns = []
    for _ in range(TURNS):
        started = time.process_time()
        step(actor, scene, dtype)
        turns.append(time.process_time() - started)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # from KiB, as Linux counts
    sys.stdout.write(json.dumps({"cpu_ms": round(1000 * min(turns), 1), "peak_mb": round(peak_mb)}))


@torch.inference_mode()
def step(actor: ViewsActor, scene: Scene, dtype: Dtype) -> Prediction:
    """What happens between an observation and an action."""
    inputs = actor.prepare(scene)
    with torch.autocast("cpu", torch.bfloat16, enabled=dtype == "bf16"):
        return actor.predict(type(inputs).stack([inputs]), torch.Generator())


def make_scene(rng: np.random.Generator) -> Scene:
    """Four cameras around a bumpy table of random colours, a path, and an instruction."""
    views = {name: _view(eye, rng) for name, eye in zip(RVT2.cameras, _EYES, strict=True)}
    uv = np.linspace((0.3, 0.4), (0.7, 0.6), 12)
    guide = Guide(Path(uv, np.full(12, -1)), views[RVT2.cameras[0]])
    tool = np.diag([1.0, -1.0, -1.0, 1.0])
    tool[:3, 3] = 0.1, 0.0, 0.2
    return Scene(views, Body(tool, 1.0, True), guide, "put the red block into the left drawer")


_EYES = ((1.0, 0.0, 0.8), (-0.3, 0.7, 0.9), (-0.3, -0.7, 0.9), (0.1, 0.0, 0.7))


def _view(eye: tuple[float, float, float], rng: np.random.Generator) -> View:
    focal, middle = IMAGE_PX * 1.0, IMAGE_PX / 2
    intrinsics = np.array([[focal, 0, middle], [0, focal, middle], [0, 0, 1]])
    camera = Camera(intrinsics, look_at(eye, (0.2, 0.0, 0.0)), IMAGE_PX, IMAGE_PX)
    rays = camera.points_world(np.ones((IMAGE_PX, IMAGE_PX))) - eye
    depth = np.clip(-eye[2] / np.minimum(rays[..., 2], -1e-3), 0.1, 2.0) + rng.uniform(-0.02, 0.02, rays.shape[:2])
    return View(rng.integers(0, 256, (IMAGE_PX, IMAGE_PX, 3), np.uint8), depth.astype(np.float32), camera)
