"""Metrics of a planner's answers on one source: errors, refusals and calibration, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import mean, median
from typing import Any

from hamster.evaluate.journal import Record
from hamster.evaluate.planner.answers import scores_and_outcomes
from hamster.evaluate.planner.reliability import reliability
from hamster.evaluate.statistics import bootstrap, wilson
from hamster.path.metrics import medians

STATISTICS = {"start": median, "end": median, "frechet": median, "event_f1": mean}


def summarize_source(in_view: Sequence[Record], absent: Sequence[Record]) -> dict[str, Any]:
    """Return all metrics of one source; shares are {"k", "n", "share", "ci95"}.

    `right`: correct paths. `paths`: errors by family, as `by_family`, with 95 % intervals. `refused`: true refusals (of
    absent objects) and false ones (of objects in view). `calibration`: see `reliability`. `rows`: correct paths by the
    row of the table that the source assigns to an image, if it does.
    """
    paths = by_family(in_view)
    for family, row in paths.items():
        row["ci95"] = _intervals([r for r in in_view if family in ("all", r["family"])])
    rows: dict[str, list[bool]] = {}
    for record in in_view:
        if "row" in record:
            rows.setdefault(record["row"], []).append(bool(record["success"]))
    return {
        "right": share(sum(bool(r["success"]) for r in in_view), len(in_view)),
        "rows": {name: share(sum(right), len(right)) for name, right in rows.items()},
        "paths": paths,
        "refused": {
            "absent": share(sum(bool(r["success"]) for r in absent), len(absent)),
            "in_view": share(sum(r["outcome"] == "not_in_view" for r in in_view), len(in_view)),
        },
        "calibration": reliability(*scores_and_outcomes(in_view)),
    }


def by_family(records: Sequence[Record]) -> dict[str, dict[str, Any]]:
    """Return medians of the errors (the mean of F1) by family and of all, with the number of paths that parsed."""
    families = {"all": list(records)}
    for record in records:
        families.setdefault(record["family"], []).append(record)
    return {name: dict(medians([r.get("errors") for r in some])) for name, some in families.items()}


def share(k: int, n: int) -> dict[str, Any]:
    """Return the share k of n with Wilson's 95 % interval; None for n = 0."""
    if not n:
        return {"k": 0, "n": 0, "share": None, "ci95": None}
    return {"k": k, "n": n, "share": round(k / n, 4), "ci95": [round(end, 4) for end in wilson(k, n)]}


def _intervals(records: Sequence[Record]) -> dict[str, list[float]]:
    errors = [r["errors"] for r in records if "errors" in r]
    intervals = {
        name: [round(end, 4) for end in bootstrap([error[name] for error in errors], statistic)]
        for name, statistic in STATISTICS.items()
        if errors
    }
    parsed = share(len(errors), len(records))
    return {"parse_rate": parsed["ci95"], **intervals}
