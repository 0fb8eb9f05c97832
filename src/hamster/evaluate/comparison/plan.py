"""The plan of a comparison, written before the run: arms, axes, contrasts, levels. One TOML file."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
LONGEST_TOML = 1 << 20  # bytes; a plan has a few thousand


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
    """A planner that the first stage trains.

    Attributes:
        source: of its label set, such as "offdomain:24000".
        steps: optimiser steps.
        calibration: source of held-out images that its scores and refusals are fitted on.
        share: of the data of the largest planner, for the curve over the amount of data.
    """

    source: str
    steps: int
    calibration: str
    share: float = 1.0


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
        return _contrast(self.contrast)


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


def read_plan(file: Path, scale: str = "") -> Plan:
    """Return the plan in a TOML file.

    Args:
        file: to read.
        scale: name of a table under [scales] whose values replace those of the plan, such as "smoke"; "" for none.

    Raises:
        ValueError: in one line that names the file and what is wrong in it.
    """
    if file.stat().st_size > LONGEST_TOML:
        raise ValueError(f"{file} is larger than {LONGEST_TOML} bytes; a plan is a short TOML file")
    try:
        content = tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{file} is no TOML: {error}") from None
    scales = content.pop("scales", {})
    if scale and scale not in scales:
        raise ValueError(f"{file} has no scale {scale!r}; there are: {', '.join(scales) or 'none'}")
    try:
        plan = _plan(content)
        plan = _scaled(plan, scales[scale]) if scale else plan
        _check(plan)
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    return plan


def _plan(content: Mapping[str, Any]) -> Plan:
    tables = {"arms": Arm, "planners": PlannerTraining, "policies": PolicyTraining}
    values: dict[str, Any] = dict(content)
    for name, kind in (("scenes", Scenes), ("statistics", Statistics)):
        if name in values:
            values[name] = _record(kind, values[name], name)
    for name, record in tables.items():
        table = values.get(name, {})
        if not isinstance(table, dict):
            raise ValueError(f"[{name}] must be a table")
        values[name] = {key: _record(record, value, f"{name}.{key}") for key, value in table.items()}
    values["contrasts"] = tuple(_contrast(text) for text in values.get("contrasts", ()))
    values["predictions"] = tuple(
        _record(Prediction, value, f"predictions[{i}]") for i, value in enumerate(values.get("predictions", ()))
    )
    return _record(Plan, values, "the plan")


def _contrast(text: object) -> tuple[str, str]:
    names = text.split(" - ") if isinstance(text, str) else []
    if len(names) != 2:
        raise ValueError(f'a contrast must be written "A - B", got {text!r}')
    return names[0].strip(), names[1].strip()


def _record(kind: type[T], values: object, where: str) -> T:
    """Return a record of a TOML table, whose keys and types are checked against the fields."""
    known = {item.name: item for item in fields(kind)}  # type: ignore[arg-type]
    if not isinstance(values, dict):
        raise ValueError(f"[{where}] must be a table, got {values!r}")
    if unknown := [name for name in values if name not in known]:
        raise ValueError(f"{where} has no {unknown[0]!r}; there are: {', '.join(known)}")
    required = [name for name, item in known.items() if item.default is MISSING and item.default_factory is MISSING]
    if missing := [name for name in required if name not in values]:
        raise ValueError(f"{where} lacks {missing[0]!r}")
    return kind(**{name: _checked(value, str(known[name].type), f"{where}.{name}") for name, value in values.items()})


def _checked(value: Any, annotation: str, where: str) -> Any:
    if annotation == "tuple[str, ...]":
        if not isinstance(value, list | tuple) or not all(isinstance(item, str) for item in value):
            raise ValueError(f"{where} must be a list of names, got {value!r}")
        return tuple(value)
    plain: dict[str, type | tuple[type, ...]] = {"str": str, "bool": bool, "int": int, "float": (int, float)}
    kind = plain.get(annotation.removesuffix(" | None"))
    if kind is not None and (not isinstance(value, kind) or (kind is not bool and isinstance(value, bool))):
        raise ValueError(f"{where} must be of type {annotation}, got {value!r}")
    if isinstance(value, int | float) and value < 0:
        raise ValueError(f"{where} must not be negative, got {value}")
    return value


def _scaled(plan: Plan, changes: Mapping[str, Any]) -> Plan:
    """Return a plan at another scale: fewer scenes, steps, seeds and arms, and the same stages."""
    changes = dict(changes)
    scenes = _changed(plan.scenes, changes.pop("scenes", {}), "scenes")
    statistics = _changed(plan.statistics, changes.pop("statistics", {}), "statistics")
    policy = changes.pop("policy", {})
    planner = changes.pop("planner", {})
    arms = _checked(changes.pop("arms", list(plan.arms)), "tuple[str, ...]", "arms")
    seeds, demonstrations = changes.pop("seeds", None), changes.pop("demonstrations", plan.demonstrations)
    if changes:
        raise ValueError(
            f"a scale has no {next(iter(changes))!r}; there are: scenes, statistics, policy, planner, arms, seeds, "
            "demonstrations"
        )
    evaluated = (*scenes.axes, *scenes.beside)
    kept = {
        name: replace(
            arm,
            seeds=min(arm.seeds, seeds or arm.seeds),
            per_axis=None,
            axes=tuple(axis for axis in arm.axes if axis in evaluated),
        )
        for name, arm in plan.arms.items()
        if name in arms
    }
    return replace(
        plan,
        scenes=scenes,
        statistics=statistics,
        demonstrations=demonstrations,
        arms=kept,
        policies={name: _changed(value, policy, "policy") for name, value in plan.policies.items()},
        planners={name: _changed(value, planner, "planner") for name, value in plan.planners.items()},
        contrasts=tuple(pair for pair in plan.contrasts if set(pair) <= kept.keys()),
        shown=tuple(name for name in plan.shown if name in kept),
        strips=tuple(name for name in plan.strips if name in kept),
        predictions=tuple(p for p in plan.predictions if set(p.arms) <= kept.keys()),
    )


def _changed(record: T, changes: object, where: str) -> T:
    values = {item.name: getattr(record, item.name) for item in fields(record)}  # type: ignore[arg-type]
    return _record(type(record), values | dict(changes if isinstance(changes, dict) else {}), where)


def _check(plan: Plan) -> None:
    scenes = plan.scenes
    pairs = [*plan.contrasts, *(prediction.arms for prediction in plan.predictions)]
    named = [*(name for pair in pairs for name in pair), *plan.shown, *plan.strips]
    if unknown := [name for name in named if name not in plan.arms]:
        raise ValueError(f"there is no arm {unknown[0]!r}; there are: {', '.join(plan.arms)}")
    for name, arm in plan.arms.items():
        if arm.seeds < 1:
            raise ValueError(f"arms.{name}.seeds must be at least 1")
        if strangers := [axis for axis in arm.axes if axis not in (*scenes.axes, *scenes.beside)]:
            raise ValueError(f"arms.{name} is evaluated on {strangers[0]!r}, which is none of the axes of [scenes]")
    if scenes.block < 1 or scenes.per_axis % scenes.block:
        raise ValueError(f"scenes.per_axis ({scenes.per_axis}) must be a multiple of scenes.block ({scenes.block})")
    if not 0 < plan.statistics.alpha < 1:
        raise ValueError(f"statistics.alpha must be between 0 and 1, got {plan.statistics.alpha}")


def labels(plan: Plan, arms: Sequence[str]) -> dict[str, str]:
    """Return what figures and tables call the arms."""
    return {name: plan.arms[name].label if name in plan.arms else name for name in arms}
