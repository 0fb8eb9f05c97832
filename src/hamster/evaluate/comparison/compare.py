"""From episodes to the numbers of a comparison."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from math import nan

import numpy as np
from numpy.typing import NDArray

from hamster.evaluate.comparison.episodes import Run, Runs
from hamster.evaluate.comparison.plan import Plan, Prediction, Statistics
from hamster.evaluate.comparison.results import BASIC, MEAN, Comparison, Difference, Rate
from hamster.evaluate.comparison.scores import (
    Scene,
    full_blocks,
    mean_weights,
    scenes_of_both,
    score_table,
    shared_scenes,
    strata_of,
)
from hamster.evaluate.journal import Record
from hamster.evaluate.statistics import (
    ConfidenceSequence,
    clopper_pearson,
    holm,
    mcnemar,
    sign_flip_test,
    two_way_bootstrap,
)

PAPER_AXES = ("basic", "object-goal", "visual", "language", "spatial", "novel-object", "multiple")
"""The axes of the HAMSTER paper, whose mean is the primary outcome unless a plan says otherwise."""


def compare(runs: Runs, plan: Plan | None = None) -> Comparison:
    """Compute the numbers of a comparison.

    Args:
        runs: episodes by arm and training seed.
        plan: as written before the run; without one, the first arm is compared with every other, and the paper's axes,
            or all there are, are averaged.

    Raises:
        ValueError: if an arm of the plan has no episodes in any of its axes.
    """
    arms = [name for name in plan.arms_to_run if name in runs] if plan and plan.arms else list(runs)
    arms += [name for name in runs if name not in arms]
    available = list(dict.fromkeys(axis for arm in arms for run in runs[arm].values() for axis in run.records))
    if plan and plan.scenes.axes:
        axes = [axis for axis in plan.scenes.axes if axis in available]
    else:
        axes = [axis for axis in PAPER_AXES if axis in available] or available
    beside = [axis for axis in (plan.scenes.beside if plan else ()) if axis in available]
    beside += [axis for axis in available if axis not in axes and axis not in beside]
    settings = plan.statistics if plan else Statistics()
    rates, slopes = dict[tuple[str, str], Rate](), dict[str, Rate]()
    for arm in arms:
        covered = [axis for axis in (*axes, *beside) if shared_scenes(runs[arm], [axis])]
        rates |= {(arm, axis): _rate(runs[arm], [axis], settings) for axis in covered}
        if set(axes) <= set(covered):
            rates[arm, MEAN] = _rate(runs[arm], axes, settings)
            if BASIC in axes and len(axes) > 1:
                slopes[arm] = _slope(runs[arm], axes, settings)
    has_mean = [arm for arm in arms if (arm, MEAN) in rates]
    pairs = plan.contrasts if plan and plan.contrasts else [(arms[0], arm) for arm in arms[1:]]
    return Comparison(
        tuple(arms),
        tuple(axes),
        tuple(beside),
        rates,
        slopes,
        _means(runs, has_mean, axes, "clean"),
        _means(runs, has_mean, axes, "partial"),
        tuple(_differences(runs, pairs, axes, beside, plan, settings)),
        {arm: _failures(runs[arm], axes) for arm in arms},
        tuple(_curve(runs, axes, plan)) if plan else (),
        tuple(_judged(runs, axes, plan)) if plan else (),
        plan is not None and bool(plan.contrasts),
    )


def sequences(runs: Runs, plan: Plan) -> dict[tuple[str, str], ConfidenceSequence]:
    """Return the confidence sequence, on full blocks, of each primary contrast whose arms have episodes."""
    alpha = plan.statistics.alpha / max(1, len(plan.contrasts))
    result = {}
    for a, b in plan.contrasts:
        if a in runs and b in runs:
            scenes = scenes_of_both(runs[a], runs[b], plan.scenes.axes)
            differences = (
                score_table(runs[a], scenes).mean(axis=1) - score_table(runs[b], scenes).mean(axis=1)
            ).tolist()
            sequence = ConfidenceSequence(alpha)
            for block in full_blocks(scenes, plan.scenes.block):
                sequence.add_block(np.array([differences[i] for i in block]))
            result[a, b] = sequence
    return result


def _bootstrap(
    arm: NDArray[np.float64],
    rival: NDArray[np.float64] | None,
    scenes: Sequence[Scene],
    weights: NDArray[np.float64],
    settings: Statistics,
) -> tuple[float, float]:
    return two_way_bootstrap(arm, rival, strata_of(scenes), weights, resamples=settings.resamples, seed=settings.seed)


def _rate(by_seed: Mapping[int, Run], axes: Sequence[str], settings: Statistics) -> Rate:
    """Return the success rate: with Clopper and Pearson's interval for one training seed on one axis.

    Where all episodes have one outcome, which leaves a bootstrap nothing to resample, that interval is of the scenes.
    """
    scenes = shared_scenes(by_seed, axes)
    scores, weights = score_table(by_seed, scenes), mean_weights(scenes)
    n, n_seeds = scores.shape
    mean = float(weights @ scores.mean(axis=1))
    if (n_seeds == 1 and len(axes) == 1) or len(np.unique(scores)) == 1:
        interval = clopper_pearson(int(scores[:, 0].sum()), n)
    else:
        interval = _bootstrap(scores, None, scenes, weights, settings)
    return Rate(mean, interval, n, n_seeds)


def _slope(by_seed: Mapping[int, Run], axes: Sequence[str], settings: Statistics) -> Rate:
    scenes = shared_scenes(by_seed, axes)
    scores, counts = score_table(by_seed, scenes), Counter(axis for axis, _ in scenes)
    weights = np.array([(-1 if axis == BASIC else 1 / (len(axes) - 1)) / counts[axis] for axis, _ in scenes])
    interval = _bootstrap(scores, None, scenes, weights, settings)
    return Rate(float(weights @ scores.mean(axis=1)), interval, *scores.shape)


def _differences(
    runs: Runs,
    pairs: Sequence[tuple[str, str]],
    axes: Sequence[str],
    beside: Sequence[str],
    plan: Plan | None,
    settings: Statistics,
) -> list[Difference]:
    looks = sequences(runs, plan) if plan and settings.stop_early else {}
    pairs = [(a, b) for a, b in pairs if a in runs and b in runs]
    primary, secondary = list[Difference](), list[Difference]()
    for a, b in pairs:
        if all(scenes_of_both(runs[a], runs[b], [axis]) for axis in axes):
            difference = _difference(runs, a, b, MEAN, axes, settings)
            sequence = looks[a, b].interval if (a, b) in looks else None
            primary.append(replace(difference, sequence=sequence))
        for axis in (*axes, *beside) if len(axes) + len(beside) > 1 else ():
            if scenes_of_both(runs[a], runs[b], [axis]):
                secondary.append(_difference(runs, a, b, axis, [axis], settings))
    result = []
    for listed in (primary, secondary):
        adjusted = holm({i: difference.p for i, difference in enumerate(listed)})
        result += [replace(difference, p_holm=adjusted[i]) for i, difference in enumerate(listed)]
    return result


def _difference(runs: Runs, a: str, b: str, axis: str, axes: Sequence[str], settings: Statistics) -> Difference:
    scenes = scenes_of_both(runs[a], runs[b], axes)
    scores_a, scores_b, weights = score_table(runs[a], scenes), score_table(runs[b], scenes), mean_weights(scenes)
    differences = scores_a.mean(axis=1) - scores_b.mean(axis=1)
    interval = _bootstrap(scores_a, scores_b, scenes, weights, settings)
    n_seeds = min(scores_a.shape[1], scores_b.shape[1])
    is_single = scores_a.shape[1] == scores_b.shape[1] == 1
    p = sign_flip_test(differences, weights, settings.permutations, settings.seed)
    test = mcnemar((scores_a[:, 0] > 0).tolist(), (scores_b[:, 0] > 0).tolist()) if is_single else None
    return Difference(a, b, axis, Rate(float(weights @ differences), interval, len(scenes), n_seeds), p, p, test)


def _curve(runs: Runs, axes: Sequence[str], plan: Plan) -> Iterator[tuple[float, str, Rate]]:
    """Yield the mean success of the arms that differ in the planner's data, where there are several."""
    by_share = sorted((arm.share, name) for name, arm in plan.arms.items() if arm.share is not None and name in runs)
    shared = [axis for axis in axes if all(shared_scenes(runs[name], [axis]) for _, name in by_share)]
    if len(by_share) > 1 and shared:
        for share, name in by_share:
            yield share, name, _rate(runs[name], shared, plan.statistics)


def _judged(runs: Runs, axes: Sequence[str], plan: Plan) -> Iterator[tuple[Prediction, Difference, bool]]:
    """Yield the predictions whose arms have episodes on their axes."""
    for prediction in plan.predictions:
        (a, b), needed = prediction.arms, axes if prediction.axis == MEAN else [prediction.axis]
        if a in runs and b in runs and all(scenes_of_both(runs[a], runs[b], [axis]) for axis in needed):
            difference = _difference(runs, a, b, prediction.axis, needed, plan.statistics)
            is_above_0 = difference.rate.interval[0] > 0 or not prediction.excludes_0
            yield prediction, difference, difference.rate.mean >= prediction.at_least and is_above_0


def _means(runs: Runs, arms: Sequence[str], axes: Sequence[str], metric: str) -> dict[str, float]:
    """Return the mean of a metric over axes for the arms all of whose episodes record it."""
    means = {}
    for arm in arms:
        scenes = shared_scenes(runs[arm], axes)
        scores = _metric_table(runs[arm], scenes, metric)
        if not np.isnan(scores).any():
            means[arm] = float(mean_weights(scenes) @ scores.mean(axis=1))
    return means


def n_without(by_seed: Mapping[int, Run], axes: Sequence[str], metric: str) -> tuple[int, int]:
    """Return how many of the episodes that count record no such metric, and how many count.

    Args:
        by_seed: an arm's episodes.
        axes: of the mean.
        metric: one of `METRICS`.
    """
    scores = _metric_table(by_seed, shared_scenes(by_seed, axes), metric)
    return int(np.isnan(scores).sum()), scores.size


def _metric_table(by_seed: Mapping[int, Run], scenes: Sequence[Scene], metric: str) -> NDArray[np.float64]:
    return score_table(by_seed, scenes, lambda record: _metric(record, metric))


def _metric(record: Record, metric: str) -> float:
    """Return a metric of an episode; NaN where the episode records no number in [0, 1]."""
    value = record.get("metrics", {}).get(metric)
    return float(value) if isinstance(value, int | float) and 0 <= value <= 1 else nan


def _failures(by_seed: Mapping[int, Run], axes: Sequence[str]) -> dict[str, int]:
    reasons: Counter[str] = Counter()
    for run in by_seed.values():
        for axis in axes:
            for record in run.records.get(axis, {}).values():
                reasons[_reason(record)] += 1
    return dict(reasons)


def _reason(record: Record) -> str:
    """Return why an episode failed: as its environment judged it, else how it ended."""
    if record["success"]:
        return "success"
    return str(record.get("metrics", {}).get("failure") or record["outcome"].replace("_", " "))
