"""From episodes to every number of a comparison: rates by arm and axis, paired differences, failures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.evaluate.comparison.episodes import Run, Runs
from hamster.evaluate.comparison.plan import Plan, Prediction, Statistics
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

MEAN = "mean"
"""Stands for the mean of the axes where the name of an axis is expected."""
PAPER_AXES = ("basic", "object-goal", "visual", "language", "spatial", "novel-object", "multiple")
"""The axes of the HAMSTER paper, whose mean is the primary outcome unless a plan says otherwise."""
BASIC = "basic"


@dataclass(frozen=True)
class Rate:
    """A rate or a difference with its 95 % interval, in [-1, 1].

    Attributes:
        mean: over scenes and training seeds.
        interval: (low, high).
        n_scenes: scenes that every training seed was evaluated on.
        n_seeds: training seeds.
    """

    mean: float
    interval: tuple[float, float]
    n_scenes: int
    n_seeds: int


@dataclass(frozen=True)
class Difference:
    """The difference of two arms on the same scenes.

    Attributes:
        a, b: names of arms; the difference is a - b.
        axis: an axis, or `MEAN`.
        rate: the difference; its interval is the two-way bootstrap's.
        p: of the sign-flip test over scenes.
        p_holm: adjusted for all contrasts of its kind (primary on the mean, secondary on single axes).
        mcnemar: scenes that only a, only b solved, and the exact p-value, where both arms have one training seed.
        sequence: interval that holds at every look, on the scenes of full blocks; None unless the plan stops early.
    """

    a: str
    b: str
    axis: str
    rate: Rate
    p: float
    p_holm: float
    mcnemar: tuple[int, int, float] | None = None
    sequence: tuple[float, float] | None = None


@dataclass(frozen=True)
class Comparison:
    """Every number of a report.

    Attributes:
        arms: names, in the order of the figures.
        axes: those whose mean is the primary outcome.
        beside: further axes.
        rates: success by (arm, axis); `MEAN` for arms that have all axes.
        slopes: by arm, the mean of the other axes less `BASIC`.
        clean, partial: by arm, mean over the axes of `rates[arm, MEAN]`; absent where episodes do not record them.
        differences: primary contrasts first.
        failures: by arm, number of episodes by the reason of failure, "success" among them.
        curve: (share of the planner's data, arm, mean over the axes that all arms of the curve have), by share.
        predictions: those of the plan that could be judged, each with the difference and whether it held.
        is_registered: whether contrasts and axes come from a plan.
    """

    arms: tuple[str, ...]
    axes: tuple[str, ...]
    beside: tuple[str, ...]
    rates: Mapping[tuple[str, str], Rate]
    slopes: Mapping[str, Rate]
    clean: Mapping[str, float]
    partial: Mapping[str, float]
    differences: tuple[Difference, ...]
    failures: Mapping[str, Mapping[str, int]]
    curve: tuple[tuple[float, str, Rate], ...]
    predictions: tuple[tuple[Prediction, Difference, bool], ...]
    is_registered: bool

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON values, with rates by arm, then by axis."""
        by_arm = {
            arm: {axis: asdict(rate) for (name, axis), rate in self.rates.items() if name == arm} for arm in self.arms
        }
        return {
            "arms": list(self.arms),
            "axes": list(self.axes),
            "beside": list(self.beside),
            "rates": by_arm,
            "slopes": {arm: asdict(rate) for arm, rate in self.slopes.items()},
            "clean": dict(self.clean),
            "partial": dict(self.partial),
            "differences": [asdict(difference) for difference in self.differences],
            "failures": {arm: dict(counts) for arm, counts in self.failures.items()},
            "curve": [{"share": share, "arm": arm, **asdict(rate)} for share, arm, rate in self.curve],
            "predictions": [
                {**asdict(prediction), "rate": asdict(difference.rate), "held": held}
                for prediction, difference, held in self.predictions
            ],
            "pre_registered": self.is_registered,
        }


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
        try:
            scores = score_table(runs[arm], scenes, lambda record: float(record["metrics"][metric]))
        except (KeyError, TypeError, ValueError):
            continue
        means[arm] = float(mean_weights(scenes) @ scores.mean(axis=1))
    return means


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
