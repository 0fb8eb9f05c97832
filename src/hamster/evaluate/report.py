"""`report.html`: a self-contained page with the table, videos and stills of an evaluation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import groupby
from pathlib import Path
from typing import Any

from hamster.evaluate.report_parts import Tag, episode_card, format_rate, kind, percent, tag, video_card
from hamster.evaluate.trials import short_name

Record = Mapping[str, Any]
# Pages grow by about 120 kB a scene; the videos and the records of all scenes are in the folder.
MAX_SCENES = 30
ABOUT = {
    "oracle": "the expert's own path: the ceiling",
    "planner": "drawn by the vision-language model",
    "points": "a line between the ends of the expert's path",
    "shuffled": "an expert's path from another scene",
    "shuffled-same": "an expert's path from another scene of the same family",
    "swapped": "an expert's path to another target or goal in the same scene",
    "none": "the policy has to guess",
}


def report(info: Mapping[str, Any], records: Sequence[Record], folder: Path) -> str:
    """Return the page as HTML.

    Args:
        info: the content of eval_info.json.
        records: episodes, scene by scene.
        folder: of the images that the records name, which are embedded in the page.
    """
    scenes = [list(episodes) for _, episodes in groupby(records, key=lambda r: r["scene"])]
    parts = [_header(info, len(scenes)), "<main>", _table(info), _videos(scenes, folder)]
    parts += ['<div class="pair">', _paired(info), _speed(info), "</div>"]
    parts += [_gallery(scenes[:MAX_SCENES], len(scenes), folder), "</main>", _footer(info)]
    return _page("\n".join(parts))


def _page(body: str) -> str:
    here = files("hamster.evaluate")
    style, script = ((here / name).read_text() for name in ("report.css", "report.js"))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>HAMSTER: does the policy follow the path?</title>
<style>{style}</style>
</head>
<body>
{body}
<script>{script}</script>
</body>
</html>
"""


def _header(info: Mapping[str, Any], n_scenes: int) -> str:
    meta = info["meta"]
    return f"""<header>
<div class="mark">HAMSTER</div>
<h1>{_headline(info)}</h1>
<p class="soft">A planner draws a path on the image, the policy <code>{escape(meta["policy"])}</code> follows it. Every
condition faced the same {n_scenes} scenes of <code>{escape(meta["suite"])}</code> (seed {meta["seed"]}) with the same
policy; only the path differs.</p>
</header>"""


def _headline(info: Mapping[str, Any]) -> str:
    """Return the result in one sentence: the best planner against no path, or the first condition."""
    conditions = info["conditions"]
    planners = sorted(
        (name for name in conditions if kind(name) == "planner"), key=lambda name: -conditions[name]["pc_success"]
    )
    lead = (planners or list(conditions))[0]
    text = f"{escape(short_name(lead))}: {percent(conditions[lead])} of the tasks done"
    if "none" in conditions and lead != "none":
        text += f", {percent(conditions['none'])} without a path"
    return text


def _table(info: Mapping[str, Any]) -> str:
    families = _families(info)
    head = "".join(f'<th scope="col">{escape(f.replace("_", " "))}</th>' for f in families)
    rows = "\n".join(_condition_row(name, condition, families) for name, condition in info["conditions"].items())
    return f"""<section aria-label="Success by condition" class="scroll" tabindex="0"><table>
<caption><span>Success, judged by physics; whiskers are 95 % Wilson intervals.</span></caption>
<thead><tr><th scope="col">path</th><th scope="col" class="wide"></th><th scope="col">success</th>
<th scope="col">95 % interval</th>{head}</tr></thead>
<tbody>
{rows}
</tbody></table>{_whole_scenes(info)}{_unavailable(info)}</section>"""


def _unavailable(info: Mapping[str, Any]) -> str:
    """Return a paragraph on the episodes that are missing in the table."""
    outages = "; ".join(
        f"{escape(short_name(condition))} {outage['n']} ({escape(next(iter(outage['reasons'])))})"
        for condition, outage in info.get("unavailable", {}).items()
    )
    return f'<p class="why">Not measured and not counted: {outages}.</p>' if outages else ""


def _whole_scenes(info: Mapping[str, Any]) -> str:
    """Return a paragraph on scenes all of whose tasks were done, if scenes have several tasks."""
    several = {name: condition["scenes"] for name, condition in info["conditions"].items() if "scenes" in condition}
    rates = "; ".join(f"{escape(short_name(name))} {format_rate(rate)}" for name, rate in several.items())
    n = info["meta"].get("tasks_per_scene", 1)
    return f'<p class="soft">Scenes whose {n} tasks were all done: {rates}.</p>' if several else ""


def _condition_row(name: str, condition: Mapping[str, Any], families: Sequence[str]) -> str:
    low, high = condition["pc_success_ci95"]
    cells = "".join(f"<td>{_family_cell(condition['per_task'].get(family))}</td>" for family in families)
    label = f'<th scope="row">{escape(short_name(name))}<small>{ABOUT[kind(name)]}</small></th>'
    return f"""<tr data-kind="{kind(name)}">{label}
<td class="wide"><div class="bar" role="img" aria-label="{percent(condition)}, interval {low:.0f} to {high:.0f} %"><i
style="width:{condition["pc_success"]:.1f}%"></i><b style="left:{low:.1f}%;width:{high - low:.1f}%"></b></div></td>
<td><span class="rate">{percent(condition)}</span></td><td>{low:.0f} to {high:.0f} %<br>
<span class="soft small">{condition["n_success"]} of {condition["n_episodes"]}</span></td>{cells}</tr>"""


def _family_cell(rate: Mapping[str, Any] | None) -> str:
    if rate is None:
        return ""
    bar = f'<div class="bar mini"><i style="width:{rate["pc_success"]:.1f}%"></i></div>'
    return f"{rate['n_success']} of {rate['n_episodes']}{bar}"


def _paired(info: Mapping[str, Any]) -> str:
    """Return the McNemar tests of the planners."""
    lines = []
    for pair in info["paired"]:
        if "planner" in (kind(pair["a"]), kind(pair["b"])):
            a, b = (escape(short_name(pair[side])) for side in "ab")
            lines.append(
                f"<tr><th scope='row'>{a} against {b}</th><td>{pair['n_only_a']}</td><td>{pair['n_only_b']}</td>"
                f"<td>{_p_value(pair['p_mcnemar'])}</td></tr>"
            )
    if not lines:
        return ""
    return f"""<section><h2>Scene by scene</h2>
<p class="soft">Scenes that only one of two conditions solved, and the exact McNemar test of them.</p>
<div class="scroll" tabindex="0" role="group" aria-label="Scene by scene"><table><thead><tr>
<th scope="col">conditions</th><th scope="col">only the first</th>
<th scope="col">only the second</th><th scope="col">p</th></tr></thead><tbody>{"".join(lines)}</tbody></table></div>
</section>"""


def _p_value(p: float) -> str:
    return "&lt; 0.001" if p < 0.001 else f"{p:.3f}"


def _speed(info: Mapping[str, Any]) -> str:
    rows = []
    for name, condition in info["conditions"].items():
        outcomes = ", ".join(f"{n} {escape(code.replace('_', ' '))}" for code, n in condition["outcomes"].items())
        latency = "".join(f"<td>{_latency(condition['latency_ms'][who])}</td>" for who in ("planner", "policy"))
        rows.append(
            f'<tr><th scope="row">{escape(short_name(name))}</th>{latency}<td class="list">{outcomes}</td></tr>'
        )
    meta = info["meta"]
    return f"""<section><h2>Latency and endings</h2>
<p class="soft">One question to each model: median / 95th percentile, with {meta["workers"]} at work on
{meta["hardware"]["cores"]} cores of {escape(str(meta["hardware"]["cpu"]))}.</p>
<div class="scroll" tabindex="0" role="group" aria-label="Latency and endings"><table><thead><tr>
<th scope="col">path</th><th scope="col">planner</th><th scope="col">policy</th>
<th scope="col">endings</th></tr></thead><tbody>{"".join(rows)}</tbody></table></div>
</section>"""


def _latency(latency: Mapping[str, float] | None) -> str:
    if latency is None:
        return '<span class="soft">none asked</span>'
    return f'{latency["p50"]:.0f} ms <span class="soft">/ {latency["p95"]:.0f} ms</span>'


def _videos(scenes: Sequence[Sequence[Record]], folder: Path) -> str:
    """Return videos of the first scene of each family."""
    first_of_family: dict[str, Sequence[Record]] = {}
    for episodes in scenes:
        first_of_family.setdefault(episodes[0]["family"], episodes)
    rows = [
        f'<h3 style="margin-top:28px">“{escape(episodes[0]["instruction"])}”{tag(episodes[0]["family"])}</h3>'
        f'<div class="row">{"".join(video_card(r, folder) for r in episodes)}</div>'
        for episodes in first_of_family.values()
    ]
    return f"<h2>Watch</h2><p class='soft'>One scene of each family, once per condition.</p>{''.join(rows)}"


def _gallery(scenes: Sequence[Sequence[Record]], n_all: int, folder: Path) -> str:
    note = "" if len(scenes) == n_all else f" The first {len(scenes)} of {n_all}; the folder has them all."
    tags = Tag.of(scenes)
    buttons = "".join(
        f'<button type="button" data-tag="{t.name}" aria-pressed="{"true" if t.name == "all" else "false"}">'
        f"{escape(t.label)}</button>"
        for t in tags
    )
    sections = "\n".join(_scene(episodes, folder, tags) for episodes in scenes)
    return f"""<h2>All scenes</h2>
<p class="soft">The first frame with its path, and six moments from start to end.{note}</p>
<div class="filters" role="group" aria-label="Which scenes">{buttons}</div>
{sections}"""


def _scene(episodes: Sequence[Record], folder: Path, tags: Sequence[Tag]) -> str:
    first = episodes[0]
    names = " ".join(t.name for t in tags if t.fits(episodes))
    cards = "".join(episode_card(r, folder) for r in episodes)
    return f"""<section class="scene" data-tags="{names}">
<h3>“{escape(first["instruction"])}”{tag(first["family"])}{tag(f"scene {first['scene']}")}</h3>
<div class="row">{cards}</div></section>"""


def _footer(info: Mapping[str, Any]) -> str:
    meta = info["meta"]
    hardware = meta["hardware"]
    lines = {
        "command": f"<code>{escape(meta['command'])}</code>",
        "commit": f"<code>{escape(str(meta['git_commit']))}</code>",
        "when": f"{escape(meta['started'])}, {meta['wall_s']:.0f} s",
        "machine": escape(f"{hardware['cpu']}, {hardware['cores']} cores, {hardware['memory_gib']} GiB memory"),
        "system": escape(f"{meta['platform']}, Python {meta['python']}"),
        "versions": escape(", ".join(f"{name} {version}" for name, version in meta["versions"].items())),
    }
    items = "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in lines.items())
    return f"""<footer class="soft"><h2 style="margin-top:0">Where this comes from</h2><dl>{items}</dl>
<p class="small" style="margin-top:16px">Every number here can be made again from <code>rollouts.jsonl</code> beside
this page. <code>hamster show FOLDER</code> lists the episodes, <code>hamster show FOLDER EPISODE --rerun</code> records
one in 3D.</p></footer>"""


def _families(info: Mapping[str, Any]) -> list[str]:
    return sorted({family for condition in info["conditions"].values() for family in condition["per_task"]})
