"""Calibration of a planner: from raw scores to probabilities, and the threshold above which it refuses.

A checkpoint's folder may hold `calibration.json`, which `hamster eval planner --calibrate` writes.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

FILE = "calibration.json"
FORMAT = 1
MARGIN = 1e-6  # raw scores are clipped to this distance from 0 and 1
RIDGE = 1.0  # weight of the penalty on the slopes, in answers
MAX_STEPS = 100

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """A monotone map from raw scores to probabilities, and a threshold.

    The map is that of Kull et al. (2017), "beta calibration": sigmoid(a ln s - b ln(1 - s) + c), which never falls.

    Attributes:
        a, b, c: of the map; a, b >= 0. a = b = 1, c = 0 leaves scores as they are.
        refuse_above: the probability of "not in view" above which a planner that can tell it refuses.
        about: what it was fitted on, for people.

    Raises:
        ValueError: if a number is none, or out of range.
    """

    a: float = 1.0
    b: float = 1.0
    c: float = 0.0
    refuse_above: float = 0.5
    about: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        numbers = (self.a, self.b, self.c, self.refuse_above)
        if not all(isinstance(value, int | float) and math.isfinite(value) for value in numbers):
            raise ValueError(f"a calibration needs four finite numbers, got {numbers}")
        if self.a < 0 or self.b < 0 or not 0 <= self.refuse_above <= 1:
            raise ValueError(f"a calibration needs a, b >= 0 and refuse_above in [0, 1], got {numbers}")

    def apply(self, raw: float) -> float:
        """Return the probability that a path with this raw score is right; ValueError for one not in [0, 1], as NaN."""
        if not 0 <= raw <= 1:
            raise ValueError(f"a raw score must be in [0, 1], got {raw}")
        return float(_sigmoid(_features([raw]) @ np.array([self.a, self.b, self.c]))[0])

    def save(self, folder: Path) -> None:
        """Write `calibration.json` beside a checkpoint."""
        record = {"format": FORMAT, **asdict(self), "about": dict(self.about)}
        (folder / FILE).write_text(json.dumps(record, indent=1) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Calibration:
        """Load that of a checkpoint, or one that changes nothing where there is none.

        Raises:
            ValueError: if it is malformed, or of another format.
        """
        file = folder / FILE
        if not file.is_file():
            return cls()
        try:
            record = json.loads(file.read_text())
            if not isinstance(record, dict) or record.pop("format", None) != FORMAT:
                raise ValueError(f"only format {FORMAT} is read")
            if unknown := set(record) - {known.name for known in fields(cls)}:
                raise ValueError(f"unknown fields: {', '.join(sorted(unknown))}")
            return cls(**record)
        except (ValueError, TypeError, RecursionError) as error:
            raise ValueError(f"{file} is no calibration: {error}; fit it again, or remove it") from None


def fit(raw: ArrayLike, is_right: ArrayLike) -> tuple[float, float, float]:
    """Fit a, b, c of the map by penalised maximum likelihood.

    Args:
        raw: (N,) scores in [0, 1].
        is_right: (N,) whether each path was right.

    Raises:
        ValueError: if there are fewer than two, or a score is out of range.
    """
    score, truth = np.asarray(raw, np.float64), np.asarray(is_right, np.float64)
    if score.shape != truth.shape or score.size < 2 or not ((score >= 0) & (score <= 1)).all():
        raise ValueError("a fit needs at least two scores in [0, 1], and whether each path was right")
    for kept in ([0, 1, 2], [0, 2], [1, 2], [2]):  # a negative slope is left out
        abc = np.zeros(3)
        abc[kept] = _newton(_features(score)[:, kept], truth)
        if (abc[:2] >= 0).all():
            break
    return float(abc[0]), float(abc[1]), float(abc[2])


def refusal_threshold(p_not_in_view: Sequence[float], max_false_refusal_rate: float) -> float:
    """Return the lowest threshold on P("not in view") that keeps the false refusal rate within a maximum.

    Args:
        p_not_in_view: the probabilities for things that are in view.
        max_false_refusal_rate: in [0, 1].

    Raises:
        ValueError: if there are none, or some are not finite.
    """
    ordered = np.sort(np.asarray(p_not_in_view, np.float64))
    if not np.isfinite(ordered).all():
        raise ValueError(
            'some probabilities of "not in view" are no numbers: the model\'s weights or dtype are at fault'
        )
    if not ordered.size:
        raise ValueError("a threshold needs answers about what is in view")
    allowed = int(max_false_refusal_rate * ordered.size)
    return float(ordered[ordered.size - 1 - allowed])


def _newton(features: Array, truth: Array) -> Array:
    """Fit a logistic regression by Newton's method, with a ridge penalty on the slopes."""
    ridge = np.diag([RIDGE] * (features.shape[1] - 1) + [1e-9])
    weights = np.zeros(features.shape[1])
    for _ in range(MAX_STEPS):
        p = _sigmoid(features @ weights)
        gradient = features.T @ (p - truth) + ridge @ weights
        curvature = (features * (p * (1 - p) + 1e-9)[:, None]).T @ features + ridge
        step = np.clip(np.linalg.solve(curvature, gradient), -2, 2)
        weights -= step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def _features(raw: ArrayLike) -> Array:
    """Return (N, 3): ln s, -ln(1 - s), 1."""
    score = np.clip(np.asarray(raw, np.float64), MARGIN, 1 - MARGIN)
    return np.stack([np.log(score), -np.log1p(-score), np.ones_like(score)], -1)


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(x / 2)))
