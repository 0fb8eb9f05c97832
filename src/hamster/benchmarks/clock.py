"""CPU time, which is the same on a busy machine; wall time; and a matmul that makes machines comparable."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

GEMM = 2048


def cpu_ms(work: Callable[[], object], n: int) -> float:
    """Return the median CPU time of n calls in milliseconds, over all threads, after one call to warm up."""
    work()
    turns = []
    for _ in range(n):
        start = time.process_time()
        work()
        turns.append(1000 * (time.process_time() - start))
    return median(turns)


def now() -> float:
    """Return the wall time in seconds, after synchronizing the GPU if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter()


def wall_ms(work: Callable[[], object]) -> float:
    """Return the wall time of one call in milliseconds."""
    start = now()
    work()
    return 1000 * (now() - start)


def gemm_ms(n: int = 5) -> float:
    """Return the CPU time of a 2048 x 2048 float32 matmul in milliseconds."""
    a, b = torch.rand(2, GEMM, GEMM)
    return cpu_ms(lambda: a @ b, n)
