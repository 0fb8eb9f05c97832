"""CPU time, which is the same on a busy machine; wall time; and a yardstick that makes machines comparable."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

GEMM = 2048


def cpu_ms(work: Callable[[], object], n: int) -> float:
    """Median of n calls after one to warm up: milliseconds that this process was computing, on all its threads."""
    work()
    turns = []
    for _ in range(n):
        started = time.process_time()
        work()
        turns.append(1000 * (time.process_time() - started))
    return median(turns)


def now() -> float:
    """Seconds of wall time, once all that a GPU was told to do is done."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def wall_ms(work: Callable[[], object]) -> float:
    """One call, in milliseconds of wall time."""
    began = now()
    work()
    return 1000 * (now() - began)


def gemm_ms(n: int = 5) -> float:
    """A product of two 2048 x 2048 matrices in float32."""
    a, b = torch.rand(2, GEMM, GEMM)
    return cpu_ms(lambda: a @ b, n)
