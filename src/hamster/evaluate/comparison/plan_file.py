"""Plans as TOML files: keys, types and names are checked, and a table under [scales] makes a plan smaller."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, fields, replace
from math import inf
from pathlib import Path
from typing import Any, TypeVar

from hamster.evaluate.comparison.plan import (
    Arm,
    Plan,
    PlannerTraining,
    PolicyTraining,
    Prediction,
    Scenes,
    Statistics,
    parse_contrast,
)
from hamster.evaluate.suites import WITHHELD

T = TypeVar("T")
LONGEST_TOML = 1 << 20  # bytes; a plan has a few thousand


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
    values["contrasts"] = tuple(parse_contrast(text) for text in values.get("contrasts", ()))
    values["predictions"] = tuple(
        _record(Prediction, value, f"predictions[{i}]") for i, value in enumerate(values.get("predictions", ()))
    )
    return _record(Plan, values, "the plan")


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
    if isinstance(value, int | float) and not 0 <= value < inf:  # TOML has nan and inf
        raise ValueError(f"{where} must be finite and not negative, got {value}")
    return value


def _scaled(plan: Plan, changes: Mapping[str, Any]) -> Plan:
    """Return a plan at another scale: fewer scenes, steps, seeds and arms, and the same stages."""
    changes = dict(changes)
    scenes = _changed(plan.scenes, changes.pop("scenes", {}), "scenes")
    statistics = _changed(plan.statistics, changes.pop("statistics", {}), "statistics")
    policy = changes.pop("policy", {})
    planner = changes.pop("planner", {})
    arms = _checked(changes.pop("arms", list(plan.arms)), "tuple[str, ...]", "arms")
    strips = _checked(changes.pop("strips", list(plan.strips)), "tuple[str, ...]", "strips")
    seeds, demonstrations = changes.pop("seeds", None), changes.pop("demonstrations", plan.demonstrations)
    if changes:
        raise ValueError(
            f"a scale has no {next(iter(changes))!r}; there are: scenes, statistics, policy, planner, arms, seeds, "
            "demonstrations, strips"
        )
    evaluated = (*scenes.axes, *scenes.beside)
    kept = {
        name: replace(
            arm,
            seeds=min(arm.seeds, seeds or arm.seeds),
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
        strips=tuple(name for name in strips if name in kept),
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
        if arm.withheld not in ("", *WITHHELD):
            raise ValueError(f"arms.{name}.withheld is {arm.withheld!r}; choose from {', '.join(WITHHELD)}")
        if strangers := [axis for axis in arm.axes if axis not in (*scenes.axes, *scenes.beside)]:
            raise ValueError(f"arms.{name} is evaluated on {strangers[0]!r}, which is none of the axes of [scenes]")
    if scenes.block < 1 or scenes.per_axis % scenes.block:
        raise ValueError(f"scenes.per_axis ({scenes.per_axis}) must be a multiple of scenes.block ({scenes.block})")
    if not 0 < plan.statistics.alpha < 1:
        raise ValueError(f"statistics.alpha must be between 0 and 1, got {plan.statistics.alpha}")
