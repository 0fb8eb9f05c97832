"""Trace metrics of a planner's answers under both published protocols, with intervals over images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from hamster.data import AnnotatedImage, Annotation
from hamster.data.records import UNCLIPPED_UV
from hamster.evaluate.journal import Record
from hamster.path import Path2D
from hamster.path.trace_metrics import NO_PATH_A, WORST_A, TraceErrors, displacement_errors, protocol_a, protocol_b

RESAMPLES = 1000
DECIMALS = 6
SECTIONS = ("protocol_a", "protocol_b", "worst_case", "displacement")


def trace_errors(path: Path2D | None, image: AnnotatedImage, annotation: Annotation) -> dict[str, Any]:
    """Return an answer's errors by section, None where a section leaves it out of its mean.

    Sections: `protocol_a`, where an answer without a path counts as the image's corner; `protocol_b`, which leaves it
    out; `worst_case`, protocol A where it counts as the largest error there is; `displacement`, ADE and FDE of paths.

    Args:
        path: the answer's; None if it has none: unreadable, or a refusal.
        image: which the path is on.
        annotation: with the true path.
    """
    height, width = image.view.rgb.shape[:2]
    size_px = (width, height)
    truth = np.asarray(image.provenance.extra.get(UNCLIPPED_UV, annotation.path.uv), np.float64)
    if path is None:
        as_corner = protocol_a(NO_PATH_A, truth, size_px)
        return {**dict.fromkeys(SECTIONS), "protocol_a": _rounded(as_corner), "worst_case": _rounded(WORST_A)}
    errors_a, errors_b = protocol_a(path.uv, truth, size_px), protocol_b(path.uv, truth)
    ade, fde = displacement_errors(path.uv, truth, size_px)
    return {
        "protocol_a": _rounded(errors_a),
        "protocol_b": None if errors_b is None else _rounded(errors_b),
        "worst_case": _rounded(errors_a),
        "displacement": {"ade": round(ade, DECIMALS), "fde": round(fde, DECIMALS)},
    }


def summarize_traces(records: Sequence[Record]) -> dict[str, Any]:
    """Return the means of all answers' `trace_errors`, with 95 % percentile bootstrap intervals over images.

    Returns:
        `n`, the number of answers; `n_path`, those with a path; and the sections of `trace_errors`, each with `n`, the
        answers that its means are over, and {"mean", "ci95"} by metric.
    """
    errors = [record["trace"] for record in records if "trace" in record]  # records of version 0.1 have none
    n_path = sum(answer["displacement"] is not None for answer in errors)
    return {"n": len(errors), "n_path": n_path, **{name: _means([e[name] for e in errors]) for name in SECTIONS}}


def _means(answers: Sequence[Mapping[str, float] | None], seed: int = 0) -> dict[str, Any]:
    counted = np.array([answer is not None for answer in answers], bool)
    values = np.array([list(answer.values()) for answer in answers if answer is not None], np.float64)
    if not counted.any():
        return {"n": 0}
    names = next(answer for answer in answers if answer is not None)
    # How often each image is in each resample; one without a counted answer has no mean, and is left out.
    n = len(answers)
    times = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES)[:, counted]
    times = times[times.sum(1) > 0]
    means = times @ values / times.sum(1, keepdims=True)
    ends = np.quantile(means, (0.025, 0.975), axis=0).round(DECIMALS).T.tolist()
    mean = values.mean(0).round(DECIMALS).tolist()
    by_name = {name: {"mean": mean[i], "ci95": ends[i]} for i, name in enumerate(names)}
    return {"n": int(counted.sum()), **by_name}


def _rounded(errors: TraceErrors) -> dict[str, float]:
    return {name: round(value, DECIMALS) for name, value in errors._asdict().items()}
