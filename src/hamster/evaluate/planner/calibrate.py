"""Fit the calibration of a planner's scores and its refusal threshold on labelled images."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import AnnotatedImage, Unreadable
from hamster.evaluate.journal import Record
from hamster.evaluate.planner.answers import judge, sample_instructions, scores_and_outcomes
from hamster.evaluate.planner.reliability import reliability
from hamster.evaluate.planner.run import Progress
from hamster.nano.refusal import p_not_in_view
from hamster.planner.backend import GenerationRequest
from hamster.planner.calibration import Calibration, fit, refusal_threshold
from hamster.planner.transformers_backend import TransformersBackend
from hamster.planner.vlm import VlmPlanner
from hamster.provenance import git_commit

MAX_FALSE_REFUSALS = 0.02  # share of what is in view: far below the 5 % that are allowed, since other images differ
MIN_ABSENT_REFUSED = 0.5  # a planner that refuses a smaller share of what is absent cannot tell, and never refuses


@dataclass
class RawAnswers:
    """A planner's answers before calibration.

    Attributes:
        records: of its paths, with raw scores.
        in_view: its probabilities of "not in view", for objects that are in view.
        absent: the same, for absent objects.
    """

    records: list[Record] = field(default_factory=list)
    in_view: list[float] = field(default_factory=list)
    absent: list[float] = field(default_factory=list)


def calibrate(
    sources: Mapping[str, Iterable[AnnotatedImage | Unreadable]],
    planner: VlmPlanner,
    n: int | None,
    seed: int,
    progress: Progress,
) -> Calibration:
    """Return the calibration that fits all sources together.

    Args:
        sources: labelled images by the name of their source.
        planner: draws all paths, also where it would refuse.
        n: images per source; None for all.
        seed: of the choice of instructions.
        progress: as for `evaluate_paths`.

    Raises:
        ValueError: if there are fewer than two paths.
        PlannerUnavailableError: if the planner does not respond: a part of the answers would be a biased sample.
    """
    uncalibrated, raw = _uncalibrated(planner), RawAnswers()
    for source, images in sources.items():
        for _ in progress(_answers(images, uncalibrated, source, n, seed, raw), 0, n or 0):
            pass
    scores, right = scores_and_outcomes(raw.records)
    a, b, c = fit(scores, right)
    refuse_above = _refuse_above(raw)
    calibration = Calibration(a, b, c, refuse_above)
    fitted = reliability([calibration.apply(score) for score in scores], right)
    return replace(calibration, about=_about(list(sources), seed, raw, fitted["ece"], refuse_above))


def _refuse_above(raw: RawAnswers) -> float:
    """Return the threshold on the probability of "not in view"; 1, never, for a planner that cannot tell."""
    if not (raw.in_view and raw.absent):
        return 1.0
    threshold = refusal_threshold(raw.in_view, MAX_FALSE_REFUSALS)
    return threshold if float(np.mean(np.array(raw.absent) > threshold)) >= MIN_ABSENT_REFUSED else 1.0


def _uncalibrated(planner: VlmPlanner) -> VlmPlanner:
    """Return the same planner with raw scores and without refusals."""
    backend = planner.backend
    if isinstance(backend, TransformersBackend):
        backend = backend.with_refuse_above(1.0)
    return replace(planner, backend=backend, calibration=Calibration(refuse_above=1.0))


def _answers(
    images: Iterable[AnnotatedImage | Unreadable],
    planner: VlmPlanner,
    source: str,
    n: int | None,
    seed: int,
    raw: RawAnswers,
) -> Iterable[Record]:
    for sample in sample_instructions(images, n, seed):
        record = judge(sample, planner)
        raw.records.append({"condition": source, **record})
        rgb = sample.image.view.rgb
        raw.in_view += _p_not_in_view(planner, rgb, sample.annotation.instruction)
        if sample.absent is not None:
            raw.absent += _p_not_in_view(planner, rgb, sample.absent)
        yield raw.records[-1]


def _p_not_in_view(planner: VlmPlanner, rgb: NDArray[np.uint8], instruction: str) -> list[float]:
    request = GenerationRequest(rgb, planner.prompt_config.format_prompt(instruction))
    backend = planner.backend
    if isinstance(backend, TransformersBackend) and backend.model_type == "hamster_nano":
        return [float(p) for p in p_not_in_view(backend.model, backend.inputs([request]))]
    return [p for p in planner.p_not_in_view([request]) if p is not None]


def _about(sources: list[str], seed: int, raw: RawAnswers, ece: float | None, refuse_above: float) -> dict[str, Any]:
    shares = {
        name: round(float(np.mean(np.array(values) > refuse_above)), 4)
        for name, values in (("absent", raw.absent), ("in_view", raw.in_view))
        if values
    }
    return {
        "sources": [Path(source).name for source in sources],  # not where they lie on this machine
        "seed": seed,
        "n": len(raw.records),
        "n_absent": len(raw.absent),
        "ece": ece,
        "refused": shares,
        "git_commit": git_commit(),
        "fitted": datetime.now(UTC).isoformat(timespec="seconds"),
    }
