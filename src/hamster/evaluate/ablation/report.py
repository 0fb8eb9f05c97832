"""The ablation's table as Markdown and as an image."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Row = Mapping[str, Any]
INK, SOFT, GROUND, BAR, WHISKER = (28, 28, 30), (120, 120, 118), (250, 249, 246), (104, 142, 196), (32, 52, 86)
WRONG_PATH = (206, 128, 100)
SHADES = {"oracle": (92, 170, 120), "points": (140, 186, 120), "none": (170, 166, 158)}
SHADES |= dict.fromkeys(("shuffled", "shuffled-same", "swapped"), WRONG_PATH)
LEFT, CELL, LINE, TOP, PAD = 300, 190, 34, 74, 16  # pixels


def markdown(table: Mapping[str, Any]) -> str:
    """Return a table with a line per policy and a column per camera and condition, and the paired tests."""
    rows, columns = table["rows"], _columns(table["rows"])
    head = ["policy", *(_title(column) for column in columns)]
    lines = [_line(head), _line(["---"] * len(head))]
    for policy in _policies(rows):
        lines.append(_line([policy, *(_format_rate(_find(rows, policy, column)) for column in columns)]))
    meta = table["meta"]
    note = f"Success in %, with 95 % Wilson intervals; {meta['episodes']} scenes (seed {meta['seed']}) shared by all."
    if any(column == "counterfactual" for column, _ in columns):
        note += " Counterfactual: scenes in which two paths led to two outcomes, each to its own."
    return "\n".join([note, "", *lines, "", *_comparisons(table["paired"])]).rstrip() + "\n"


def _comparisons(paired: Sequence[Row]) -> list[str]:
    if not paired:
        return []
    head = ["a", "b", "episodes", "only a", "only b", "p (exact McNemar)"]
    lines = ["Scene by scene:", "", _line(head), _line(["---"] * len(head))]
    for pair in paired:
        sides = [" / ".join(pair[side][name] for name in ("policy", "column", "condition")) for side in "ab"]
        counts = [str(pair[name]) for name in ("n", "n_only_a", "n_only_b")]
        lines.append(_line([*sides, *counts, f"{pair['p_mcnemar']:.3g}"]))
    return lines


def picture(table: Mapping[str, Any]) -> NDArray[np.uint8]:
    """Draw the table (H, W, 3) as bars with whiskers."""
    rows, columns, policies = table["rows"], _columns(table["rows"]), _policies(table["rows"])
    size = (LEFT + CELL * len(columns) + PAD, TOP + LINE * len(policies) + PAD)
    image = Image.new("RGB", size, GROUND)
    pen = ImageDraw.Draw(image)
    for i, (column, condition) in enumerate(columns):
        pen.text((LEFT + i * CELL, PAD), condition, INK, _font(16))
        pen.text((LEFT + i * CELL, PAD + 24), column, SOFT, _font(14))
    for j, policy in enumerate(policies):
        top = TOP + j * LINE
        pen.text((PAD, top + 4), _fitting(policy, 36), INK, _font(15))
        for i, place in enumerate(columns):
            row = _find(rows, policy, place)
            if row is not None:
                _bar(pen, LEFT + i * CELL, top, row)
    return np.asarray(image)


def _bar(pen: ImageDraw.ImageDraw, left: int, top: int, row: Row) -> None:
    width, (low, high) = CELL - 84, row["pc_success_ci95"]
    pen.rectangle((left, top + 6, left + width, top + 22), (236, 234, 228))
    pen.rectangle((left, top + 6, left + width * row["pc_success"] / 100, top + 22), SHADES.get(row["condition"], BAR))
    middle = top + 14
    pen.line((left + width * low / 100, middle, left + width * high / 100, middle), WHISKER, 2)
    pen.text((left + width + 8, top + 4), f"{row['pc_success']:.0f} %", INK, _font(15))


def _columns(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return (column, condition) in order of appearance, grouped by column."""
    columns = list(dict.fromkeys((row["column"], row["condition"]) for row in rows))
    order = list(dict.fromkeys(column for column, _ in columns))
    return sorted(columns, key=lambda column: order.index(column[0]))


def _policies(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(row["policy"] for row in rows))


def _find(rows: Sequence[Row], policy: str, column: tuple[str, str]) -> Row | None:
    return next((row for row in rows if (row["policy"], row["column"], row["condition"]) == (policy, *column)), None)


def _title(column: tuple[str, str]) -> str:
    where, condition = column
    return where if where == "counterfactual" else f"{condition}, {where} camera"


def _format_rate(row: Row | None) -> str:
    if row is None:
        return ""
    low, high = row["pc_success_ci95"]
    return f"**{row['pc_success']:.0f}** [{low:.0f}, {high:.0f}] {row['n_success']}/{row['n_episodes']}"


def _line(values: Sequence[str]) -> str:
    return "| " + " | ".join(value.replace("|", "/") for value in values) + " |"


def _fitting(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[: longest - 1] + "…"


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
