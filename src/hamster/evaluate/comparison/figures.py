"""The figures of a comparison as SVG, readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from hamster.evaluate.comparison.plan import Plan, axis_label
from hamster.evaluate.comparison.results import MEAN, Comparison, Difference, Rate

# M. Okabe and K. Ito's palette, told apart with any colour vision, then greys.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#8d8d94", "#b8a800", "#5f6b7a")
FAILURE_COLOURS = {
    "success": "#009e73",
    "refused": "#56b4e9",
    "wrong object": "#d55e00",
    "wrong goal": "#e69f00",
    "later path wrong": "#cc79a7",
    "not followed": "#b8a800",
    "wrong execution": "#8d8d94",
}
WIDTH, LEFT, RIGHT, TOP = 1120, 56, 8, 18
PLOT_HEIGHT = 240


def colour(number: int) -> str:
    """Return the colour of the arm with this number."""
    return COLOURS[number % len(COLOURS)]


def rates_figure(comparison: Comparison, plan: Plan | None, names: Mapping[str, str]) -> str:
    """Return Fig. 1: success by axis and arm with 95 % intervals; ceilings are lines instead of bars."""
    ceilings = [arm for arm in comparison.arms if plan and arm in plan.arms and plan.arms[arm].ceiling]
    shown = (plan.shown if plan else ()) or comparison.arms
    bars = [arm for arm in comparison.arms if arm in shown and arm not in ceilings]
    groups = _groups(comparison)
    chart = _Chart(len(groups), 0, 1)
    if plan and plan.scenes.chance is not None:
        chart.across(plan.scenes.chance, "chance")
    width = min(26.0, (chart.group_width - 18) / max(1, len(bars)))
    for number, axis in enumerate(groups):
        start = chart.centre(number) - width * len(bars) / 2
        for i, arm in enumerate(bars):
            if (rate := comparison.rates.get((arm, axis))) is not None:
                chart.bar(
                    start + i * width,
                    width - 2,
                    rate,
                    colour(comparison.arms.index(arm)),
                    _title(names[arm], axis, rate),
                )
        for arm in ceilings:
            if (rate := comparison.rates.get((arm, axis))) is not None:
                chart.level(number, rate.mean, _title(names[arm], axis, rate))
        n = max((rate.n_scenes for (_, of), rate in comparison.rates.items() if of == axis), default=0)
        chart.below(number, axis_label(axis), f"n = {n}")
    legend = [(names[arm], colour(comparison.arms.index(arm)), "bar") for arm in bars]
    legend += [(names[arm], "currentColor", "line") for arm in ceilings]
    if plan and plan.scenes.chance is not None:
        legend.append(("chance", "#c2412f", "line"))
    return chart.svg("Success by axis and arm", legend)


def differences_figure(comparison: Comparison, names: Mapping[str, str]) -> str:
    """Return Fig. 2: paired differences by axis with 95 % intervals; filled where Holm's p is below 0.05."""
    pairs = list(dict.fromkeys((d.a, d.b) for d in comparison.differences))
    if not pairs:
        return ""
    groups = _groups(comparison)
    low = min((d.rate.interval[0] for d in comparison.differences), default=0)
    chart = _Chart(len(groups), min(-0.2, _floor(low)), 1, "+")
    step = min(22.0, (chart.group_width - 24) / len(pairs))
    for number, axis in enumerate(groups):
        for i, (a, b) in enumerate(pairs):
            for d in comparison.differences:
                if (d.a, d.b, d.axis) == (a, b, axis):
                    x = chart.centre(number) + (i - (len(pairs) - 1) / 2) * step
                    chart.dot(x, d.rate, colour(comparison.arms.index(b)), d.p_holm < 0.05, _difference_title(d, names))
        chart.below(number, axis_label(axis), "")
    legend = [(f"{names[a]} − {names[b]}", colour(comparison.arms.index(b)), "dot") for a, b in pairs]
    return chart.svg("Paired differences in success", legend)


def data_figure(comparison: Comparison, names: Mapping[str, str]) -> str:
    """Return Fig. 3: the mean success against the share of the planner's training data; "" without such arms."""
    if not comparison.curve:
        return ""
    chart = _Chart(len(comparison.curve), 0, 1)
    chart.polyline([(chart.centre(i), rate.mean) for i, (_, _, rate) in enumerate(comparison.curve)], COLOURS[0])
    for i, (share, arm, rate) in enumerate(comparison.curve):
        chart.dot(chart.centre(i), rate, COLOURS[0], True, _title(names[arm], MEAN, rate))
        chart.below(i, f"{share:.0%} of the data", f"n = {rate.n_scenes}")
    return chart.svg("Success against the planner's training data", [])


def failures_figure(comparison: Comparison, names: Mapping[str, str]) -> str:
    """Return Fig. 4: how the episodes of each arm ended, as shares."""
    reasons = list(dict.fromkeys(reason for counts in comparison.failures.values() for reason in counts))
    order = list(FAILURE_COLOURS)
    reasons.sort(key=lambda reason: order.index(reason) if reason in order else len(order))
    others = [reason for reason in reasons if reason not in FAILURE_COLOURS]
    colours = FAILURE_COLOURS | {reason: COLOURS[-1 - i % 3] for i, reason in enumerate(others)}
    row, label = 30, 300
    parts = []
    for i, arm in enumerate(comparison.arms):
        counts = comparison.failures[arm]
        total, x = max(1, sum(counts.values())), float(label)
        parts.append(_text(label - 10, i * row + 16, names[arm], "end"))
        for reason in reasons:
            width = (WIDTH - label - RIGHT) * counts.get(reason, 0) / total
            if width > 0:
                title = f"{names[arm]}: {reason} {counts[reason]} of {total}"
                parts.append(_rect(x, i * row, width, row - 8, colours[reason], title))
            if width > 34:
                parts.append(_text(x + width / 2, i * row + 16, f"{counts[reason] / total:.0%}", "middle", 12, "#fff"))
            x += width
    height = len(comparison.arms) * row + 4
    legend, legend_height = _legend([(reason, colours[reason], "bar") for reason in reasons], height)
    return _svg("How episodes ended, by arm", "".join(parts) + legend, height + legend_height)


class _Chart:
    """A vertical axis in percentage points, and groups along the horizontal one."""

    def __init__(self, n_groups: int, low: float, high: float, sign: str = "") -> None:
        self._low, self._high, self._parts = low, high, list[str]()
        self.group_width = (WIDTH - LEFT - RIGHT) / n_groups
        for tenth in range(round(low * 10), round(high * 10) + 1):
            if tenth % 2 == 0:
                strong = tenth == 0
                self._line(LEFT, self.y(tenth / 10), WIDTH - RIGHT, self.y(tenth / 10), 0.7 if strong else 0.15, 1)
                self._parts.append(_text(LEFT - 8, self.y(tenth / 10) + 4, f"{10 * tenth:{sign}} %", "end", 12))

    def centre(self, number: int) -> float:
        return LEFT + self.group_width * (number + 0.5)

    def y(self, value: float) -> float:
        return TOP + PLOT_HEIGHT * (self._high - value) / (self._high - self._low)

    def bar(self, x: float, width: float, rate: Rate, fill: str, title: str) -> None:
        top = self.y(max(rate.mean, 0.004))  # a rate of 0 stays visible
        self._parts.append(_rect(x, top, width, self.y(0) - top, fill, title))
        self._whisker(x + width / 2, rate)

    def dot(self, x: float, rate: Rate, stroke: str, filled: bool, title: str) -> None:
        self._whisker(x, rate)
        fill = stroke if filled else "#fff"
        self._parts.append(
            f'<circle cx="{x:.1f}" cy="{self.y(rate.mean):.1f}" r="5" fill="{fill}" stroke="{stroke}" '
            f'stroke-width="2"><title>{escape(title)}</title></circle>'
        )

    def level(self, number: int, value: float, title: str) -> None:
        half = self.group_width / 2 - 5
        y, x = self.y(value), self.centre(number)
        self._parts.append(
            f'<line x1="{x - half:.1f}" y1="{y:.1f}" x2="{x + half:.1f}" y2="{y:.1f}" stroke="currentColor" '
            f'stroke-width="2" stroke-dasharray="5 3"><title>{escape(title)}</title></line>'
        )

    def across(self, value: float, title: str) -> None:
        y = self.y(value)
        self._parts.append(
            f'<line x1="{LEFT}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}" stroke="#c2412f" stroke-width="1.5" '
            f'stroke-dasharray="2 4"><title>{escape(title)} {value:.0%}</title></line>'
        )

    def polyline(self, points: Sequence[tuple[float, float]], stroke: str) -> None:
        text = " ".join(f"{x:.1f},{self.y(value):.1f}" for x, value in points)
        self._parts.append(f'<polyline points="{text}" fill="none" stroke="{stroke}" stroke-width="2"/>')

    def below(self, number: int, name: str, note: str) -> None:
        x, y = self.centre(number), TOP + PLOT_HEIGHT + 20
        weight = "700" if name == MEAN else "400"
        self._parts.append(_text(x, y, name, "middle", 13, weight=weight))
        self._parts.append(_text(x, y + 16, note, "middle", 11))

    def svg(self, title: str, legend: Sequence[tuple[str, str, str]]) -> str:
        height = TOP + PLOT_HEIGHT + 48
        drawn, legend_height = _legend(legend, height)
        return _svg(title, "".join(self._parts) + drawn, height + legend_height)

    def _whisker(self, x: float, rate: Rate) -> None:
        low, high = (self.y(min(max(end, self._low), self._high)) for end in rate.interval)
        self._line(x, low, x, high, 0.9, 1.5)
        for y in (low, high):
            self._line(x - 3, y, x + 3, y, 0.9, 1.5)

    def _line(self, x1: float, y1: float, x2: float, y2: float, opacity: float, width: float) -> None:
        self._parts.append(
            f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="currentColor" '
            f'stroke-opacity="{opacity}" stroke-width="{width}"/>'
        )


def _groups(comparison: Comparison) -> list[str]:
    """Return the axes, their mean if there are several, then the axes beside."""
    mean = [MEAN] if len(comparison.axes) > 1 else []
    return [*comparison.axes, *mean, *comparison.beside]


def _legend(entries: Sequence[tuple[str, str, str]], top: float) -> tuple[str, float]:
    """Return the legend in as many rows as it needs, and its height."""
    parts, x, y = [], float(LEFT), top + 14
    for label, fill, shape in entries:
        width = 38 + 7.4 * len(label)
        if x + width > WIDTH and x > LEFT:
            x, y = float(LEFT), y + 22
        if shape == "line":
            parts.append(
                f'<line x1="{x:.1f}" y1="{y - 5:.1f}" x2="{x + 14:.1f}" y2="{y - 5:.1f}" stroke="{fill}" '
                'stroke-width="2" stroke-dasharray="5 3"/>'
            )
        elif shape == "dot":
            parts.append(f'<circle cx="{x + 7:.1f}" cy="{y - 5:.1f}" r="5" fill="{fill}"/>')
        else:
            parts.append(_rect(x, y - 12, 14, 14, fill))
        parts.append(_text(x + 20, y, label, "start", 13))
        x += width
    return "".join(parts), (y - top + 12 if entries else 0)


def _svg(title: str, body: str, height: float) -> str:
    return (
        f'<svg viewBox="0 0 {WIDTH} {height:.0f}" role="img" aria-label="{escape(title, quote=True)}" '
        f'font-family="system-ui, sans-serif" xmlns="http://www.w3.org/2000/svg">{body}</svg>'
    )


def _rect(x: float, y: float, width: float, height: float, fill: str, title: str = "") -> str:
    inner = f"<title>{escape(title)}</title>" if title else ""
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{fill}">{inner}</rect>'


def _text(
    x: float, y: float, text: str, anchor: str, size: int = 13, fill: str = "currentColor", weight: str = "400"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{fill}">{escape(text)}</text>'
    )


def _title(name: str, axis: str, rate: Rate) -> str:
    low, high = rate.interval
    return (
        f"{name}, {axis_label(axis)}: {rate.mean:.1%} [{low:.1%}, {high:.1%}], {rate.n_scenes} scenes, "
        f"{rate.n_seeds} training seed{'s' if rate.n_seeds > 1 else ''}"
    )


def _difference_title(d: Difference, names: Mapping[str, str]) -> str:
    low, high = (100 * end for end in d.rate.interval)
    return (
        f"{names[d.a]} − {names[d.b]}, {axis_label(d.axis)}: {100 * d.rate.mean:+.1f} points "
        f"[{low:+.1f}, {high:+.1f}], p = {d.p_holm:.2g}"
    )


def _floor(value: float) -> float:
    """Return a fifth below a value, at least -1."""
    return max(-1.0, -0.2 * -(value // 0.2))
