"""What `hamster bench serve` does."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from hamster.bench.serve import bench_serve
from hamster.provenance import run_info

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
    """Loads a served planner with clients, prints a table or one line of JSON, and writes bench_serve.json."""
    if not seconds > 0:
        raise ValueError("seconds must be > 0")
    console, waiting = Console(), Console(stderr=True)
    with waiting.status(f"serving {model} …") as status:
        record = bench_serve(model, seconds, tell=status.update) | {"run": run_info()}
    out.mkdir(parents=True, exist_ok=True)
    (out / "bench_serve.json").write_text(json.dumps(record, indent=1) + "\n")
    if as_json:
        print(json.dumps(record))  # noqa: T201
    else:
        console.print(_table(record))


def _table(record: dict[str, Any]) -> Table:
    run, memory = record["run"], record["memory_mb"]
    machine, commit = run["hardware"], (run["git_commit"] or "release")[:10]
    table = Table(
        "clients",
        title=f"{record['model']} served on {machine['cpu']}, {machine['cores']} cores, commit {commit}",
        caption=f"memory {memory['start']:.0f} MB at the start, {memory['end']:.0f} MB at the end",
    )
    for column in (*COLUMNS, "n", "errors"):
        table.add_column(column.replace("_", " "), justify="right")
    for clients, level in record["clients"].items():
        table.add_row(
            clients, *("" if level[column] is None else f"{level[column]:g}" for column in (*COLUMNS, "n", "errors"))
        )
    return table
