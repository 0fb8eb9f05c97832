"""`hamster report`: a comparison as one self-contained page, and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files
from typing import Any

from hamster.evaluate.comparison.episodes import Runs
from hamster.evaluate.comparison.figures import data_figure, differences_figure, failures_figure, rates_figure
from hamster.evaluate.comparison.plan import Plan, axis_label, labels
from hamster.evaluate.comparison.results import MEAN, Comparison
from hamster.evaluate.comparison.scores import shared_scenes
from hamster.evaluate.comparison.tables import Table, tables
from hamster.evaluate.report_parts import data_uri

MAX_STRIPS = 60  # pictures in a page, about 40 kB each


@dataclass(frozen=True)
class Figure:
    """A figure with its words.

    Attributes:
        title: of its section.
        caption: how to read it.
        svg: the drawing.
    """

    title: str
    caption: str
    svg: str


def figures(comparison: Comparison, plan: Plan | None) -> list[Figure]:
    """Return the figures for which there is data."""
    names = labels(plan or Plan(), comparison.arms)
    drawn = [
        Figure(
            "Which arm succeeds where?",
            "Success in % by axis; whiskers are 95 % intervals. Each axis has its own unseen factor: something that no "
            "demonstration shows. The axes to the right of the mean are not in it. Dashed: a path drawn with knowledge "
            "of the simulator's state, the ceiling of any planner.",
            rates_figure(comparison, plan, names),
        ),
        Figure(
            "Is the difference real?",
            "Difference in success on the same scenes, in percentage points, with 95 % intervals over scenes and "
            "training seeds. Above 0 the first arm is better. Filled: p < 0.05 after Holm's correction.",
            differences_figure(comparison, names),
        ),
        Figure(
            "Does off-domain data help?",
            "Mean success against the share of the planner's training data.",
            data_figure(comparison, names),
        ),
        Figure(
            "Why do episodes fail?",
            "All episodes of the axes in the mean. Wrong object, wrong goal: what was planned, or without a path what "
            "was touched and where it was left. Not followed: the path was right. Wrong execution: it was followed.",
            failures_figure(comparison, names),
        ),
    ]
    return [figure for figure in drawn if figure.svg]


def page(
    comparison: Comparison, plan: Plan | None, runs: Runs, provenance: Mapping[str, Any], notes: Sequence[str]
) -> str:
    """Return the page as HTML.

    Args:
        comparison: its numbers.
        plan: as written before the run, if there was one.
        runs: the episodes, of which some are shown.
        provenance: of this report, as `run_info` returns it.
        notes: sentences on what is missing.
    """
    names = labels(plan or Plan(), comparison.arms)
    style = (files("hamster.evaluate") / "report.css").read_text()
    sections = [
        f'<section><h2>{escape(f.title)}</h2><p class="soft">{escape(f.caption)}</p><div class="scroll" tabindex="0">'
        f'<div class="figure">{f.svg}</div></div></section>'
        for f in figures(comparison, plan)
    ]
    sections += [_html_table(table) for table in tables(comparison, plan, names, runs)]
    sections += [_strips(comparison, plan, runs, names)]
    notes_html = "".join(f"<li>{escape(note)}</li>" for note in notes)
    missing = f"<section><h2>Notes</h2><ul>{notes_html}</ul></section>" if notes else ""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>HAMSTER: comparison of arms</title>
<style>{style}
.figure {{ min-width: 860px; margin-top: 12px; }}
.figure svg {{ display: block; width: 100%; height: auto; }}
</style>
</head>
<body>
<header>
<div class="mark">HAMSTER</div>
<h1>{escape(headline(comparison, names))}</h1>
<p class="soft">{escape(_introduction(comparison, runs))}</p>
</header>
<main>
{"".join(sections)}
{missing}
</main>
{_footer(provenance, runs)}
</body>
</html>
"""


def markdown(
    comparison: Comparison, plan: Plan | None, runs: Runs, provenance: Mapping[str, Any], notes: Sequence[str]
) -> str:
    """Return the tables as Markdown, with the command and the commit that made them."""
    names = labels(plan or Plan(), comparison.arms)
    parts = [f"**{headline(comparison, names)}**", _introduction(comparison, runs)]
    for table in tables(comparison, plan, names, runs):
        head = f"| {' | '.join(map(_cell, table.head))} |\n|{' --- |' * len(table.head)}"
        rows = "\n".join(f"| {' | '.join(map(_cell, row))} |" for row in table.rows)
        parts += [f"### {table.title}", table.note, f"{head}\n{rows}"]
    if notes:
        parts += ["### Notes", "\n".join(f"- {note}" for note in notes)]
    parts.append(f"`{provenance['command']}`, commit {str(provenance['git_commit'])[:8]}")
    return "\n\n".join(parts) + "\n"


def headline(comparison: Comparison, names: Mapping[str, str]) -> str:
    """Return the result in one sentence: the first contrast on the mean, or the first arm's success."""
    first = comparison.arms[0]
    for d in comparison.differences:
        if d.axis == MEAN:
            a, b = (comparison.rates[arm, MEAN].mean for arm in (d.a, d.b))
            low, high = (100 * end for end in d.rate.interval)
            return (
                f"{names[d.a]}: {a:.0%} of the tasks done, {names[d.b]}: {b:.0%}; difference "
                f"{100 * d.rate.mean:+.0f} points [{low:+.0f}, {high:+.0f}]"
            )
    rate = next((rate for (arm, _), rate in comparison.rates.items() if arm == first), None)
    return f"{names[first]}: {rate.mean:.0%} of the tasks done" if rate else names[first]


def _introduction(comparison: Comparison, runs: Runs) -> str:
    n = sum(len(table) for by_seed in runs.values() for run in by_seed.values() for table in run.records.values())
    axes = ", ".join(axis_label(axis) for axis in comparison.axes)
    mean = f"the mean is over {len(comparison.axes)} of them ({axes})" if len(comparison.axes) > 1 else f"axis: {axes}"
    return (
        f"{len(comparison.arms)} arms, each a policy with a kind of path, on the same scenes of "
        f"{len(comparison.axes) + len(comparison.beside)} axes; {mean}. {n:,} episodes, success judged by physics."
    )


def _html_table(table: Table) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.head)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in row[1:])}</tr>'
        for row in table.rows
    )
    return f"""<section><h2>{escape(table.title)}</h2><p class="soft">{escape(table.note)}</p>
<div class="scroll" tabindex="0"><table class="compact"><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>
</div>
</section>"""


def _strips(comparison: Comparison, plan: Plan | None, runs: Runs, names: Mapping[str, str]) -> str:
    """Return the first success and the first failure by scene number, of each axis and arm to be shown."""
    shown = [arm for arm in (plan.strips if plan and plan.strips else comparison.arms[:3]) if arm in runs]
    cards = []
    for axis in (*comparison.axes, *comparison.beside):
        for arm in shown:
            cards += list(_cards(runs, arm, axis, names))
    if not cards:
        return ""
    return f"""<section><h2>Episodes</h2>
<p class="soft">Of each axis and arm the success and the failure with the lowest scene number, in six moments: drawn by
number, not chosen.</p>
<div class="row">{"".join(cards[:MAX_STRIPS])}</div></section>"""


def _cards(runs: Runs, arm: str, axis: str, names: Mapping[str, str]) -> Iterator[str]:
    seed = min(runs[arm])
    run = runs[arm][seed]
    for success, sign in ((True, "✓"), (False, "✗")):
        for _, key in shared_scenes({seed: run}, [axis]):
            record = run.records[axis][key]
            if record["success"] is success and isinstance(record.get("strip"), str):
                folder = run.folders[axis].resolve()
                file = (folder / record["strip"]).resolve()
                if file.is_relative_to(folder) and file.suffix == ".webp" and file.is_file():
                    words = escape(str(record.get("instruction", "")), quote=True)
                    yield (
                        f'<figure><img src="{data_uri(file)}" alt="Six moments: {words}" loading="lazy"><figcaption>'
                        f'<span class="condition">{escape(names[arm])}</span> {escape(axis_label(axis))}, scene '
                        f'{record["scene"]}<span class="end {"yes" if success else "no"}">{sign}</span></figcaption>'
                        f'<p class="why">{words}</p></figure>'
                    )
                break


def _footer(provenance: Mapping[str, Any], runs: Runs) -> str:
    commands = sorted(
        {
            str(info["command"])
            for by_seed in runs.values()
            for run in by_seed.values()
            for info in run.infos
            if info.get("command")
        }
    )
    listed = "".join(f"<li><code>{escape(command)}</code></li>" for command in commands)
    return f"""<footer class="soft"><h2 style="margin-top:0">Where this comes from</h2>
<dl><dt>command</dt><dd><code>{escape(str(provenance["command"]))}</code></dd>
<dt>commit</dt><dd><code>{escape(str(provenance["git_commit"]))}</code></dd>
<dt>when</dt><dd>{escape(str(provenance["started"]))}</dd></dl>
<details><summary>{len(commands)} commands that made the episodes</summary><ul>{listed}</ul></details></footer>"""


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
