"""The work of `hamster bench serve`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from hamster.benchmarks.serve import bench_serve
from hamster.files import write_atomic
from hamster.provenance import run_info
from hamster.terminal import show_table, working

COLUMNS = (
    "p50_ms",
    "p95_ms",
    "p99_ms",
    "paths_per_s",
    "first_token_ms",
    "tokens_per_s",
    "cpu_ms",
    "mean_batch",
    "memory_mb",
)


def show_bench_serve(out: Path, as_json: bool, model: str, seconds: float) -> None:
    """Measure a served planner under load, print a table or one line of JSON, and write bench_serve.json.

    Args:
        out: result folder.
        as_json: print JSON.
        model: planner to serve.
        seconds: duration for each number of clients.
    """
    if not seconds > 0:
        raise ValueError("seconds must be > 0")
    console = Console()
    with working(f"serving {model} …") as status:
        record = bench_serve(model, seconds, on_level=status) | {"run": run_info()}
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "bench_serve.json", json.dumps(record, indent=1) + "\n")
    if as_json:
        print(json.dumps(record))  # noqa: T201
    else:
        _show(record, console)
        console.print(f"wrote {out / 'bench_serve.json'}", soft_wrap=True)


def _show(record: dict[str, Any], console: Console) -> None:
    run, memory = record["run"], record["memory_mb"]
    machine, commit = run["hardware"], (run["git_commit"] or "release")[:10]
    title = f"{record['model']} served on {machine['cpu']}, {machine['cores']} cores, commit {commit}"
    rows = [
        (clients, *("" if level[column] is None else f"{level[column]:g}" for column in (*COLUMNS, "n", "errors")))
        for clients, level in record["clients"].items()
    ]
    show_table(("clients", *(column.replace("_", " ") for column in (*COLUMNS, "n", "errors"))), rows, title, console)
    console.print(f"memory {memory['start']:.0f} MB at the start, {memory['end']:.0f} MB at the end", soft_wrap=True)
