"""The work of `hamster bench studio`."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console

from hamster.benchmarks.studio import bench_studio
from hamster.files import write_atomic
from hamster.provenance import run_info
from hamster.terminal import show_table, working


def show_bench_studio(out: Path, as_json: bool, check: bool, model: str) -> None:
    """Measure a studio, print a table or one line of JSON, and write bench_studio.json.

    Args:
        out: result folder.
        as_json: print JSON.
        check: fail if a limit is missed.
        model: planner to ask.

    Raises:
        SystemExit: with code 1, if `check` and a limit is missed.
    """
    console = Console()
    with working("starting a studio …") as update:
        measures = bench_studio(model, lambda measure: update(f"measured {measure.name} …"))
    record = {"model": model, "measures": [measure.to_json() for measure in measures], "run": run_info(seed=0)}
    out.mkdir(parents=True, exist_ok=True)
    write_atomic(out / "bench_studio.json", json.dumps(record, indent=1) + "\n")
    if as_json:
        print(json.dumps(record))  # noqa: T201
    else:
        rows = []
        for measure in measures:
            mark = "[green]holds[/]" if measure.holds else "[red]missed[/]"
            limit = f"{'at most' if measure.is_at_most else 'at least'} {measure.limit:g}"
            rows.append([measure.name, mark, f"{measure.value:.3g} {measure.unit}", limit, str(measure.n)])
        show_table(("studio", "", "measured", "limit", "n"), rows, "as a page sees it", console, n_left=2)
        console.print(f"wrote {out / 'bench_studio.json'}", soft_wrap=True)
    if check and not all(measure.holds for measure in measures):
        raise SystemExit(1)
