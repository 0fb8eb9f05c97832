"""The work of `hamster bench policy`."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from rich.console import Console

from hamster.benchmarks.gpu import bench_gpu
from hamster.benchmarks.policy import Step, bench_policy, to_json
from hamster.files import write_atomic
from hamster.provenance import run_info
from hamster.terminal import show_table, working


def show_bench_policy(out: Path, as_json: bool) -> None:
    """Measure one step of each policy, print a table or one line of JSON, and write bench_policy.json."""
    console, steps = Console(), list[Step]()
    with working("timing policy …") as status:
        for step in bench_policy():
            steps.append(step)
            status(f"timed {step.family} {step.case} …")
    record = to_json(steps)
    if torch.cuda.is_available():
        with working("timing the GPU …"):
            record["gpu"] = bench_gpu()
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "bench_policy.json", json.dumps(record | {"run": run_info()}, indent=1) + "\n")
    if as_json:
        console.print_json(json.dumps(record), indent=None)
    else:
        _show(steps)
        if "gpu" in record:
            console.print_json(json.dumps(record["gpu"]))


def _show(steps: list[Step]) -> None:
    rows = []
    for step in steps:
        peak = "" if step.peak_mb is None else f"{step.peak_mb:.0f}"
        rows.append((step.family, step.case, f"{step.cpu_ms:.0f}", f"{step.gemms:.2f}", peak))
    columns = ("policy", "case", "CPU ms", "matrix products", "peak MB")
    show_table(columns, rows, "one step, one thread, random weights", n_left=2)
