"""The plan of a comparison, written before the run: arms, axes, contrasts, levels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Scenes:
    """Which scenes are evaluated.

    Attributes:
        axes: whose mean is the primary outcome, in the order of the figures.
        beside: further axes, which are in no mean.
        per_axis: scenes of each axis.
        block: scenes of each axis that all arms are evaluated on before the next; the same number of each family.
        seed: of the run; a number in `TEST` is read by runs/headline.sh alone.
        chance: success of an arm that picks a target at random, for a line in the figure; None for no line.
    """

    axes: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()
    per_axis: int = 120
    block: int = 24
    seed: int = 0
    chance: float | None = None


@dataclass(frozen=True)
class Statistics:
    """Levels and numbers of draws.

    Attributes:
        alpha: error probability over all primary contrasts.
        half_width: of a contrast's confidence sequence, at which the run may stop, in [0, 1].
        stop_early: whether the run stops once all primary contrasts are decided.
        permutations, resamples, seed: of sign flips and bootstraps.
    """

    alpha: float = 0.05
    half_width: float = 0.1
    stop_early: bool = False
    permutations: int = 100_000
    resamples: int = 10_000
    seed: int = 0


@dataclass(frozen=True)
class PlannerTraining:
    """A planner that the first stage trains, or takes as it is.

    Attributes:
        source: of its label set, such as "offdomain:24000".
        steps: optimiser steps.
        calibration: source of held-out images that its scores and refusals are fitted on; "" leaves it uncalibrated, as
            where no image of its source names something that is absent.
        checkpoint: name or folder of a planner that is trained already; "" trains one. Then `source` is labelled only
            for policies that are co-trained, and the rest is not used.
    """

    source: str
    steps: int
    calibration: str = ""
    checkpoint: str = ""


@dataclass(frozen=True)
class PolicyTraining:
    """A policy that the second stage trains, once for each training seed.

    Attributes:
        config: name of a configuration of `hamster train policy`.
        steps: optimiser steps; None for the configuration's own.
        options: further options of `hamster train policy`; {planner} and {planner_labels} stand for folders.
    """

    config: str
    steps: int | None = None
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Arm:
    """A policy with a kind of path.

    Attributes:
        label: for figures and tables.
        policy: key of `policies`, or of one that needs no training: a bundled name.
        condition: key of `planners`, a bundled planner's name, or a baseline.
        seeds: number of training seeds.
        replan: keyposes between two calls of the planner.
        axes: evaluated; () for all.
        per_axis: scenes of each axis; None for all.
        ceiling: whether figures show it as a line.
        share: of the planner's data, for arms on the curve over the amount of data.
        withheld: a suffix of suites, such as "blind", that hides an input of planner and policy; "" for none. Without
            it, the arm's success must fall to chance.
        control: whether nothing that the policy gets tells it the task, so that its success must stay below chance.
        not_run: why the arm is listed and not run; "" for those that are.
    """

    label: str
    policy: str
    condition: str
    seeds: int = 1
    replan: int = 0
    axes: tuple[str, ...] = ()
    per_axis: int | None = None
    ceiling: bool = False
    share: float | None = None
    withheld: str = ""
    control: bool = False
    not_run: str = ""


@dataclass(frozen=True)
class Prediction:
    """What a claim predicts, and what follows if it does not hold.

    Attributes:
        contrast: "A - B", names of arms.
        otherwise: what the failure of the prediction means.
        axis: that the difference is taken on; "mean" for the mean of `Scenes.axes`.
        at_least: smallest predicted difference, in [0, 1].
        excludes_0: whether the interval of the difference is predicted to be above 0.
    """

    contrast: str
    otherwise: str
    axis: str = "mean"
    at_least: float = 0.0
    excludes_0: bool = False

    @property
    def arms(self) -> tuple[str, str]:
        """The two arms."""
        return parse_contrast(self.contrast)


@dataclass(frozen=True)
class Plan:
    """The plan of a comparison.

    Attributes:
        scenes, statistics: see there.
        demonstrations: source of all policies' demonstrations.
        arms, planners, policies: by their names.
        contrasts: pairs of arms (a, b), whose difference a - b on the mean of `scenes.axes` is tested.
        shown: arms of the figure of axes; () for all. Tables have all.
        strips: arms of which the page shows an episode of each outcome and axis.
        predictions: of the claim, as written before the run.
    """

    scenes: Scenes = field(default_factory=Scenes)
    statistics: Statistics = field(default_factory=Statistics)
    demonstrations: str = ""
    arms: Mapping[str, Arm] = field(default_factory=dict)
    planners: Mapping[str, PlannerTraining] = field(default_factory=dict)
    policies: Mapping[str, PolicyTraining] = field(default_factory=dict)
    contrasts: tuple[tuple[str, str], ...] = ()
    shown: tuple[str, ...] = ()
    strips: tuple[str, ...] = ()
    predictions: tuple[Prediction, ...] = ()

    @property
    def arms_to_run(self) -> dict[str, Arm]:
        """The arms without those that are only listed."""
        return {name: arm for name, arm in self.arms.items() if not arm.not_run}

    def axes_of(self, arm: Arm) -> tuple[str, ...]:
        """Return the axes that an arm is evaluated on."""
        return arm.axes or (*self.scenes.axes, *self.scenes.beside)


def parse_contrast(text: object) -> tuple[str, str]:
    """Return the two arms of "A - B".

    Raises:
        ValueError: if it is written otherwise.
    """
    names = text.split(" - ") if isinstance(text, str) else []
    if len(names) != 2:
        raise ValueError(f'a contrast must be written "A - B", got {text!r}')
    return names[0].strip(), names[1].strip()


def axis_label(axis: str) -> str:
    """Return what figures and tables call an axis."""
    return axis.replace("-", " ")


def labels(plan: Plan, arms: Sequence[str]) -> dict[str, str]:
    """Return what figures and tables call the arms."""
    return {name: plan.arms[name].label if name in plan.arms else name for name in arms}
