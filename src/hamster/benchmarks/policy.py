"""CPU time of the policies at the sizes of 3D FlowMatch Actor and RVT-2: one thread, random weights."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import Any

import torch

from hamster.benchmarks.clock import gemm_ms
from hamster.benchmarks.flow import measure_flow


@dataclass(frozen=True)
class Step:
    """One step of a policy.

    Attributes:
        family: policy type.
        case: number of cameras, or number format.
        cpu_ms: CPU time in milliseconds.
        gemms: the same, normalised by one 2048 x 2048 float32 matmul timed in the same run.
        peak_mb: peak memory in MB, if measured.
    """

    family: str
    case: str
    cpu_ms: float
    gemms: float
    peak_mb: float | None = None


def bench_policy() -> Iterator[Step]:
    """Yield the steps as they are measured."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        gemm = gemm_ms()
        yield Step("gemm", "2048", round(gemm, 1), 1.0)
        for cameras in (4, 2):
            yield _step("flow", f"cameras{cameras}", measure_flow(cameras), gemm)
        if find_spec("hamster.benchmarks.views"):
            from hamster.benchmarks.views import measure_views

            yield _step("views", "fp32", measure_views("fp32"), gemm)
            yield _step("views", "bf16", measure_views("bf16"), gemm)
    finally:
        torch.set_num_threads(threads)


def to_json(steps: list[Step]) -> dict[str, Any]:
    """Return {"gemm_ms", FAMILY: {CASE: {"cpu_ms", "gemms", "peak_mb"}}}."""
    record: dict[str, Any] = {"gemm_ms": steps[0].cpu_ms}
    for step in steps[1:]:
        values = {k: v for k, v in asdict(step).items() if k not in ("family", "case") and v is not None}
        record.setdefault(step.family, {})[step.case] = values
    return record


def _step(family: str, case: str, measured: dict[str, float], gemm: float) -> Step:
    return Step(family, case, measured["cpu_ms"], round(measured["cpu_ms"] / gemm, 2), measured.get("peak_mb"))
