"""The work of `hamster bench robot`."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from rich.console import Console

from hamster.benchmarks.robot import bench_robot
from hamster.files import write_atomic
from hamster.provenance import run_info
from hamster.terminal import show_table, working


def show_bench_robot(out: Path, as_json: bool, seconds: float) -> None:
    """Measure the loop on a robot, print a table or one line of JSON, and write bench_robot.json.

    Args:
        out: result folder.
        as_json: print JSON.
        seconds: per rate.
    """
    if not seconds > 0:
        raise ValueError(f"--seconds must be > 0, got {seconds}")
    console = Console()
    with working("measuring …") as update:
        record: dict[str, Any] = bench_robot(seconds, update)
    record["load_average"] = os.getloadavg()[0]  # other work on the machine is what makes commands late
    run = run_info(seed=0)
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "bench_robot.json", json.dumps({**record, "run": run}, indent=1) + "\n")
    if as_json:
        record |= {"hardware": run["hardware"], "git_commit": run["git_commit"]}
        console.print_json(json.dumps(record), indent=None)
        return
    rows = [
        (
            f"{rate} Hz", str(row["n"]), *(f"{row['late_ms'].get(name, 0):.1f}" for name in ("p50", "p99", "max")),
            str(row["over_timeout"]), str(row["planner_calls"]),
        )
        for rate, row in record["rates_hz"].items()
    ]  # fmt: skip
    stop = record["stop_ms"]
    over = f"over {stop['timeout_ms']:g} ms"
    columns = ("control", "n", "late p50 ms", "p99", "max", over, "plans of 1 to 3 s")
    title = f"{run['hardware']['cpu']}, {run['hardware']['cores']} cores, load {record['load_average']:.1f}"
    show_table(columns, rows, title, console)
    console.print(f"stop after the last command: p50 {stop['p50']} ms, p99 {stop['p99']} ms, n = {stop['n']}")
    console.print(f"wrote {out / 'bench_robot.json'}", soft_wrap=True)
