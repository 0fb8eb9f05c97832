"""Calibration of scores: of the paths with a score of 0.8, eight in ten should be correct."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

BINS = 10
SIDE_PX, EDGE_PX = 320, 44


def reliability(scores: Sequence[float], right: Sequence[bool]) -> dict[str, Any]:
    """Compute the expected calibration error (Naeini et al., 2015; Guo et al., 2017) over ten bins of equal width.

    Returns:
        n; ece, the mean over answers of |share right - mean score| of their bin; bins, those that hold anything, each
        {"low", "high", "n", "score", "right"}.
    """
    score, truth = np.asarray(scores, np.float64), np.asarray(right, np.float64)
    which = np.minimum((score * BINS).astype(int), BINS - 1)
    bins = [
        {
            "low": b / BINS,
            "high": (b + 1) / BINS,
            "n": int((which == b).sum()),
            "score": round(float(score[which == b].mean()), 4),
            "right": round(float(truth[which == b].mean()), 4),
        }
        for b in np.unique(which).tolist()
    ]
    error = sum(b["n"] * abs(b["right"] - b["score"]) for b in bins) / len(score) if len(score) else None
    return {"n": len(score), "ece": None if error is None else round(error, 4), "bins": bins}


def diagram(reliabilities: Mapping[str, Mapping[str, Any]]) -> NDArray[np.uint8]:
    """Draw reliability diagrams side by side, by name: share of correct paths over scores, and the ideal line."""
    step = SIDE_PX + 2 * EDGE_PX
    page = Image.new("RGB", (step * len(reliabilities), step), "white")
    pen = ImageDraw.Draw(page)
    for i, (name, measured) in enumerate(reliabilities.items()):
        _draw(pen, i * step + EDGE_PX, EDGE_PX, name, measured)
    return np.asarray(page)


def _draw(pen: ImageDraw.ImageDraw, left: int, top: int, name: str, measured: Mapping[str, Any]) -> None:
    def place(score: float, right: float) -> tuple[float, float]:
        return left + score * SIDE_PX, top + (1 - right) * SIDE_PX

    most = max((b["n"] for b in measured["bins"]), default=1)
    for b in measured["bins"]:
        shade = int(215 - 130 * b["n"] / most)
        pen.rectangle((*place(b["low"] + 0.006, b["right"]), *place(b["high"] - 0.006, 0)), fill=(shade, shade, 255))
        x, y = place(b["score"], b["right"])
        pen.ellipse((x - 3, y - 3, x + 3, y + 3), fill="black")
        pen.text((place(b["low"] + 0.02, 0)[0], top + SIDE_PX - 14), str(b["n"]), "black")
    pen.line((*place(0, 0), *place(1, 1)), fill=(200, 60, 60), width=2)
    pen.rectangle((*place(0, 1), *place(1, 0)), outline="black")
    for tick in (0.0, 0.5, 1.0):
        pen.text((place(tick, 0)[0] - 8, top + SIDE_PX + 4), f"{tick:g}", "black")
        pen.text((left - 22, place(0, tick)[1] - 6), f"{tick:g}", "black")
    pen.text((left, top - 30), f"{name[-44:]}: n = {measured['n']}, ECE {measured['ece']:.3f}", "black")
    pen.text((left, top + SIDE_PX + 20), "score; bars: share of right paths", "black")
