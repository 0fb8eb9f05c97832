"""Latency of a policy's network on a GPU: eager, with CUDA graphs, and relative to the GPU's peak."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from hamster.benchmarks.clock import wall_ms
from hamster.benchmarks.flow import INSTRUCTION, PATH, make_observation
from hamster.policy.actor import AnyActor, Prediction
from hamster.policy.actor_policy import ActorPolicy
from hamster.policy.flow.config import FLOWMATCH
from hamster.policy.flow.model import FlowActor
from hamster.policy.views.actor import ViewsActor
from hamster.policy.views.config import RVT2

PEAK_SIDE = 8192  # of the square matrices whose product measures the peak
Predict = Callable[..., Prediction]


def bench_gpu(device: str = "cuda") -> dict[str, Any]:
    """Return {"gpu", "peak_tflops", "flow", "views"} at the sizes of 3D FlowMatch Actor and RVT-2, in bfloat16."""
    peak = peak_tflops(device)
    record: dict[str, Any] = {"gpu": torch.cuda.get_device_name(device), "peak_tflops": round(peak, 1)}
    for family, kind, config, px in (("flow", FlowActor, FLOWMATCH, 256), ("views", ViewsActor, RVT2, RVT2.points_px)):
        torch.manual_seed(0)
        actor = kind(config).eval()  # type: ignore[arg-type]  # each with its own
        record[family] = measure(actor, device, peak, px)
    return record


def measure(
    actor: AnyActor,
    device: str,
    peak: float,
    px: int,
    n: int = 20,
    compiled: Callable[[Predict], Predict] | None = None,
) -> dict[str, float]:
    """Measure one step of a network, from tensors on the device to a prediction: medians of n.

    Args:
        actor: the network.
        device: torch device.
        peak: peak of the device in teraflop/s.
        px: width and height of the images.
        n: number of timed steps.
        compiled: compiles the method; by default CUDA graphs (`torch.compile`, "reduce-overhead").

    Returns:
        eager_ms, compiled_ms; gflop of a step; roofline, the share of the peak that the faster of the two reaches.
    """
    make = compiled or (lambda predict: torch.compile(predict, mode="reduce-overhead"))
    batch, actor = _batch(actor, px).to(device), actor.to(device)
    with torch.inference_mode(), torch.autocast(torch.device(device).type, torch.bfloat16):
        with FlopCounterMode(display=False) as counter:
            actor.predict(batch, torch.Generator())
        eager, fast = (_ms(predict, batch, n) for predict in (actor.predict, make(actor.predict)))
    gflop = counter.get_total_flops() / 1e9
    return {
        "eager_ms": round(eager, 2),
        "compiled_ms": round(fast, 2),
        "gflop": round(gflop, 2),
        "roofline": round(gflop / min(eager, fast) / peak, 4),  # a gigaflop a millisecond is a teraflop a second
    }


def peak_tflops(device: str, side: int = PEAK_SIDE) -> float:
    """Return the teraflop/s of a product of two large bfloat16 matrices."""
    a, b = torch.rand(2, side, side, device=device).bfloat16()
    return 2 * side**3 / 1e9 / _ms(lambda *_: a @ b, None, 10)


def _batch(actor: AnyActor, px: int) -> Any:
    """Return a batch of one scene."""
    observation = make_observation(actor.config.cameras, np.random.default_rng(0), px)
    inputs = actor.preprocess(ActorPolicy(actor).make_input(observation, PATH, INSTRUCTION))
    return type(inputs).stack([inputs])


def _ms(work: Callable[..., object], batch: object, n: int) -> float:
    """Return the median wall time of n calls in milliseconds, after three to warm up."""
    turns = [wall_ms(lambda: work(batch, torch.Generator().manual_seed(0))) for _ in range(n + 3)]
    return median(turns[3:])
