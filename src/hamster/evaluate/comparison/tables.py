"""The tables of a comparison as plain text, for its page, its Markdown and the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hamster.evaluate.comparison.episodes import Run, Runs
from hamster.evaluate.comparison.plan import Plan, axis_label
from hamster.evaluate.comparison.results import MEAN, Comparison, Difference, Rate
from hamster.inspect_checkpoint import inspect_checkpoint

MISSING = "–"


@dataclass(frozen=True)
class Table:
    """A table of text.

    Attributes:
        title: above it.
        note: how to read it.
        head: names of the columns.
        rows: cells; the first of each is its name.
    """

    title: str
    note: str
    head: Sequence[str]
    rows: Sequence[Sequence[str]]


def tables(comparison: Comparison, plan: Plan | None, names: Mapping[str, str], runs: Runs) -> list[Table]:
    """Return the tables: arms, axes, contrasts, predictions, where the numbers come from."""
    listed = [arms_table(comparison, names), _axes_table(comparison, names), _contrasts_table(comparison, names)]
    listed += [_predictions_table(comparison, names), _origin_table(comparison, names, runs)]
    return [table for table in listed if table.rows]


def arms_table(comparison: Comparison, names: Mapping[str, str]) -> Table:
    """Return success, clean success and partial credit by arm."""
    rows = []
    for arm in comparison.arms:
        rate, slope = comparison.rates.get((arm, MEAN)), comparison.slopes.get(arm)
        rows.append(
            (
                names[arm],
                MISSING if rate is None else with_interval(rate),
                _percent(comparison.clean.get(arm)),
                _percent(comparison.partial.get(arm)),
                MISSING if slope is None else points(slope),
                MISSING if rate is None else str(rate.n_scenes),
                MISSING if rate is None else str(rate.n_seeds),
            )
        )
    note = (
        "Mean over the axes, with 95 % intervals. Clean: success, and nothing else was moved or knocked over. Partial: "
        "how far the episodes got, from 0 to 100. Off-basic: the mean of the other axes less the axis basic, in points."
    )
    head = ("arm", "success", "clean", "partial", "off-basic", "scenes", "training seeds")
    return Table("Arms", note, head, rows)


def _axes_table(comparison: Comparison, names: Mapping[str, str]) -> Table:
    axes = (*comparison.axes, *comparison.beside)
    rows = []
    for arm in comparison.arms:
        cells = [comparison.rates.get((arm, axis)) for axis in axes]
        rows.append((names[arm], *(MISSING if rate is None else with_interval(rate) for rate in cells)))
    note = (
        "Success in % with 95 % intervals: Clopper and Pearson's for one training seed, a bootstrap over scenes and "
        "training seeds for several."
    )
    return Table("Success by axis", note, ("arm", *(axis_label(axis) for axis in axes)), rows)


def _contrasts_table(comparison: Comparison, names: Mapping[str, str]) -> Table:
    rows = [_contrast_row(difference, names) for difference in comparison.differences]
    origin = (
        "The contrasts on the mean were chosen before the run."
        if comparison.is_registered
        else "These contrasts were not chosen before the run: read their p-values as descriptions."
    )
    note = (
        f"{origin} Differences in points, on the same scenes; p of sign flips over scenes, adjusted by Holm for the "
        "contrasts on the mean, and separately for those on single axes. Only one solved: scenes that only the first, "
        "only the second solved, and McNemar's exact p, for single training seeds."
    )
    head = ("contrast", "axis", "difference", "p (Holm)", "only one solved", "at every look", "scenes")
    return Table("Paired differences", note, head, rows)


def _contrast_row(difference: Difference, names: Mapping[str, str]) -> tuple[str, ...]:
    test, sequence = difference.mcnemar, difference.sequence
    return (
        f"{names[difference.a]} − {names[difference.b]}",
        axis_label(difference.axis),
        points(difference.rate),
        _p_value(difference.p_holm),
        MISSING if test is None else f"{test[0]} / {test[1]}, p {_p_value(test[2])}",
        MISSING if sequence is None else f"[{100 * sequence[0]:+.1f}, {100 * sequence[1]:+.1f}]",
        str(difference.rate.n_scenes),
    )


def _predictions_table(comparison: Comparison, names: Mapping[str, str]) -> Table:
    rows = []
    for prediction, difference, held in comparison.predictions:
        above = ", interval above 0" if prediction.excludes_0 else ""
        rows.append(
            (
                f"{names[difference.a]} − {names[difference.b]}, {axis_label(prediction.axis)}",
                f"≥ {100 * prediction.at_least:.0f}{above}",
                points(difference.rate),
                "held" if held else "did not hold",
                MISSING if held else prediction.otherwise,
            )
        )
    head = ("difference", "predicted, points", "measured", "result", "which means")
    return Table("What was predicted before the run", "What did not hold is said as plainly as what did.", head, rows)


def _origin_table(comparison: Comparison, names: Mapping[str, str], runs: Runs) -> Table:
    rows = []
    for arm in comparison.arms:
        by_seed = runs[arm]
        records = [record for run in by_seed.values() for axis in run.records.values() for record in axis.values()]
        seconds = [float(record["wall_s"]) for record in records if isinstance(record.get("wall_s"), int | float)]
        infos = [info for run in by_seed.values() for info in run.infos]
        commits = sorted({str(info.get("git_commit"))[:8] for info in infos if info.get("git_commit")})
        seeds = sorted({info["seed"] for info in infos if isinstance(info.get("seed"), int)})
        first = next(iter(by_seed.values()))
        parameters, training_h = _checkpoint(first)
        rows.append(
            (
                names[arm],
                ", ".join(str(seed) for seed in sorted(by_seed)),
                ", ".join(map(str, seeds)) or MISSING,
                str(len(records)),
                f"{sum(seconds) / len(seconds):.1f}" if seconds else MISSING,
                parameters,
                training_h,
                ", ".join(commits) or MISSING,
            )
        )
    note = (
        "The policy's parameters and training time are those of its first training seed, where the checkpoint is there."
    )
    head = ("arm", "training seeds", "scene seeds", "episodes", "s / episode", "parameters", "training, h", "commit")
    return Table("Where the numbers come from", note, head, rows)


def _checkpoint(run: Run) -> tuple[str, str]:
    """Return the policy's number of parameters and its hours of training; dashes without a checkpoint here."""
    try:
        about: Mapping[str, Any] = inspect_checkpoint(Path(run.policy)) if run.policy else {}
    except (ValueError, OSError):
        about = {}
    parameters, seconds = about.get("policy", {}).get("parameters"), about.get("training", {}).get("seconds")
    return (
        f"{parameters / 1e6:.2f} M" if isinstance(parameters, int) else MISSING,
        f"{seconds / 3600:.1f}" if isinstance(seconds, int | float) else MISSING,
    )


def with_interval(rate: Rate) -> str:
    """Format a rate: "71.2 [67.0, 75.1]" in per cent."""
    low, high = rate.interval
    return f"{100 * rate.mean:.1f} [{100 * low:.1f}, {100 * high:.1f}]"


def points(rate: Rate) -> str:
    """Format a difference: "+31.0 [+24.5, +37.2]" in percentage points."""
    low, high = rate.interval
    return f"{100 * rate.mean:+.1f} [{100 * low:+.1f}, {100 * high:+.1f}]"


def _percent(value: float | None) -> str:
    return MISSING if value is None else f"{100 * value:.1f}"


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}"
