"""The work of `hamster bench planner`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from rich.console import Console

from hamster.benchmarks.planner import bench_planner
from hamster.files import write_atomic
from hamster.planner.load import load_vlm_planner
from hamster.provenance import run_info
from hamster.terminal import show_properties, working


def show_bench_planner(model: str, out: Path, as_json: bool) -> None:
    """Measure a planner, print a table or one line of JSON, and write bench_planner.json.

    Args:
        model: name, folder or hub id of the planner.
        out: result folder.
        as_json: print JSON.
    """
    console, record = Console(), dict[str, Any](model=model)
    with working(f"timing {model} …"):
        for part in bench_planner(load_vlm_planner(model)):
            record |= part
    run = run_info()
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "bench_planner.json", json.dumps({**record, "run": run}, indent=1) + "\n")
    if as_json:
        record |= {"hardware": run["hardware"], "git_commit": run["git_commit"]}
        console.print_json(json.dumps(record), indent=None)
        return
    where = run["hardware"].get("gpu") or f"{run['hardware']['cpu']}, {run['hardware']['cores']} cores"
    console.print(f"{model} on {where}, commit {str(run['git_commit'])[:12]}", soft_wrap=True)
    show_properties(_rows(record), console)
    console.print(f"wrote {out / 'bench_planner.json'}", soft_wrap=True)


def _rows(record: dict[str, Any]) -> list[tuple[str, str]]:
    grammar = record["grammar"]
    rows = {
        "tokens": f"{record['prompt_tokens']} in the prompt, {record['tokens']} in the answer",
        "first token": f"{record['first_token_ms']:.0f} ms",
        "latency": ", ".join(f"{p} {record[f'{p}_ms']:.0f} ms" for p in ("p50", "p95", "p99")),
        "paths per second": ", ".join(f"{rate:g} in batches of {n}" for n, rate in record["paths_per_s"].items()),
        "grammar": "none"
        if grammar["cost"] is None
        else f"{grammar['cost']:+.1%} a token ({grammar['free_ms']:.2f} to {grammar['bound_ms']:.2f} ms)",
        "peak memory": f"{record['memory_mb']:.0f} MB"
        + (f", on the GPU {record['gpu_mb']:.0f} MB" if "gpu_mb" in record else ""),
    }
    return list(rows.items())
