"""The numbers of a comparison: rates by arm and axis, paired differences, failures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from hamster.evaluate.comparison.plan import Prediction

MEAN = "mean"
"""Stands for the mean of the axes where the name of an axis is expected."""
BASIC = "basic"
METRICS = ("clean", "partial")
"""Metrics of an episode beside its success, in [0, 1], whose means a comparison states."""


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
