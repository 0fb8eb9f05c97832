"""The work of `hamster bench label` and `hamster bench eval`."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console

from hamster.benchmarks.ratio import Ratio
from hamster.files import write_atomic
from hamster.provenance import run_info
from hamster.terminal import working


def _label() -> Iterator[Ratio]:
    from hamster.benchmarks.label import bench_label

    return bench_label()


def _evaluate() -> Iterator[Ratio]:
    from hamster.benchmarks.evaluate import bench_evaluate  # which needs torch

    return bench_evaluate()


BENCHES: dict[str, Callable[[], Iterator[Ratio]]] = {"label": _label, "eval": _evaluate}


def show_bench(what: str, out: Path, as_json: bool = False, check: bool = False) -> None:
    """Run a benchmark, print its ratios and write bench.json.

    Args:
        what: name in `BENCHES`.
        out: result folder.
        as_json: print all ratios as one line of JSON, instead of each as it is measured.
        check: fail if a ratio is below its limit.

    Raises:
        SystemExit: with code 1, if `check` and a ratio is below its limit.
    """
    console, ratios = Console(quiet=as_json), list[Ratio]()
    with working(f"timing {what} …"):
        for ratio in BENCHES[what]():
            ratios.append(ratio)
            mark = "[green]holds[/]" if ratio.ratio >= ratio.limit else "[red]missed[/]"
            times = f"{ratio.slow} {_duration(ratio.slow_s)}, {ratio.fast} {_duration(ratio.fast_s)}"
            console.print(
                f"{ratio.name}\n  {times}: ratio {ratio.ratio:.3g}, limit {ratio.limit:g}: {mark}", soft_wrap=True
            )
    out.mkdir(parents=True, exist_ok=True)
    record = {"what": what, "ratios": [ratio.to_json() for ratio in ratios], "run": run_info()}
    write_atomic(out / "bench.json", json.dumps(record, indent=1) + "\n")
    if as_json:
        sys.stdout.write(json.dumps(record) + "\n")
    missed = sum(ratio.ratio < ratio.limit for ratio in ratios)
    if missed:
        console.print(
            f"{missed} of {len(ratios)} ratios are below their limits, as on a busy machine they can be", soft_wrap=True
        )
        if check:
            raise SystemExit(1)


def _duration(seconds: float) -> str:
    for unit, scale in (("s", 1.0), ("ms", 1e-3)):
        if seconds >= scale:
            return f"{seconds / scale:.3g} {unit}"
    return f"{seconds / 1e-6:.3g} us"
