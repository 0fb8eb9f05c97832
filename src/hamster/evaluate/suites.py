"""Suites: named distributions of scenes, each with its environments. Users register their own."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from hamster.registry import Registry, unknown_name
from hamster.rollout.baselines import NEED_EXPERT, ExpertEnvironment, SwappableEnvironment
from hamster.rollout.end_conditions import EndConditions
from hamster.rollout.environment import Environment
from hamster.rollout.withheld import BlindEnvironment, WrongWordsEnvironment

if TYPE_CHECKING:
    from hamster.evaluate.config import EvalConfig
    from hamster.rollout.result import Rollout

DEFAULT_FAMILIES = ("pick_place", "press", "knock")  # of the tabletop, those that the bundled models were trained on


@dataclass(frozen=True)
class Suite:
    """A distribution of scenes, by task family.

    Attributes:
        families: the task families there are.
        make: (family, seed) -> an environment just reset; the same seed makes the same scene. An environment may have
            `close()`, which is called at its end, and `expert_path()`, which only baselines with a path need;
            "swapped" needs `other_task(seed)` instead, see `SwappableEnvironment`. What its `episode_metrics(rollout)`
            returns, a mapping of JSON values, is recorded with the episode.
        max_steps, hold_steps, idle_steps, stop_when_failed: when an episode ends; see `EndConditions`. `max_steps` may
            be a mapping by task family.
        tasks: tasks per scene. With more than one, those of a scene have consecutive seeds, and the scene is a success
            if all of them are done.
        default_families: evaluated if none are named; None for all.
        scene_seed: (seed of the run, number of a scene among those of its family) -> the scene's seed; None for a hash
            of the run's seed and the scene's number among all.
    """

    families: tuple[str, ...]
    make: Callable[[str, int], Environment]
    max_steps: int | Mapping[str, int]
    tasks: int = 1
    default_families: tuple[str, ...] | None = None
    hold_steps: int = 0
    idle_steps: int = 0
    stop_when_failed: bool = False
    scene_seed: Callable[[int, int], int] | None = None

    def __post_init__(self) -> None:
        for family in self.families:
            EndConditions(**self.end_conditions(family))  # checks the numbers
        if isinstance(self.make, _IgnoringFamily):
            return
        try:
            inspect.signature(self.make).bind("", 0)
        except TypeError as error:
            raise ValueError(
                f"`make` of a Suite must take (family, seed): {error}; for one without families, "
                "Suite.of_environment(make)"
            ) from None
        except ValueError:  # a function in C states no signature
            pass

    def end_conditions(self, family: str) -> dict[str, Any]:
        """Return when an episode of a task family ends: the fields of `EndConditions`, and keywords of `rollout`.

        Raises:
            ValueError: if `max_steps` is a mapping without this family.
        """
        conditions = {condition.name: getattr(self, condition.name) for condition in fields(EndConditions)}
        if isinstance(self.max_steps, Mapping):
            if family not in self.max_steps:
                families = ", ".join(self.families)
                raise ValueError(f"max_steps has no {family!r}; it needs a number for each of {families}")
            conditions["max_steps"] = self.max_steps[family]
        return conditions

    @property
    def implementation(self) -> Callable[[str, int], Environment]:
        """The function that makes its environments."""
        return self.make

    @classmethod
    def of_environment(cls, make: Callable[[int], Environment], max_steps: int = 300) -> Suite:
        """Return a suite of one task family, "default".

        Args:
            make: seed -> an environment just reset.
            max_steps: control steps after which an episode has timed out.
        """
        return cls(("default",), _IgnoringFamily(make), max_steps)


@dataclass(frozen=True)
class _IgnoringFamily:
    implementation: Callable[[int], Environment]

    def __call__(self, family: str, seed: int) -> Environment:
        return self.implementation(seed)


def _suite_factory(value: Any) -> Callable[[], Suite]:
    if isinstance(value, Suite):
        return partial(_same, value)
    if not callable(value):
        raise TypeError("it is neither a Suite nor a function that returns one")
    return cast("Callable[[], Suite]", value)


def _same(suite: Suite) -> Suite:
    return suite


@dataclass(frozen=True)
class _Blind:
    """Makes environments without images."""

    implementation: Callable[[str, int], Environment]

    def __call__(self, family: str, seed: int) -> Environment:
        return cast(Environment, BlindEnvironment(self.implementation(family, seed)))


@dataclass(frozen=True)
class _WrongWords:
    """Makes environments with the instruction of another scene of the same family."""

    implementation: Callable[[str, int], Environment]

    def __call__(self, family: str, seed: int) -> Environment:
        [bits] = np.random.SeedSequence([seed, 1]).generate_state(1, np.uint64)
        other = self.implementation(family, int(bits >> 2))
        instruction = other.instruction
        close(other)
        return cast(Environment, WrongWordsEnvironment(self.implementation(family, seed), instruction))


WITHHELD: dict[str, Callable[[Callable[[str, int], Environment]], Callable[[str, int], Environment]]] = {
    "blind": _Blind,
    "wrong-words": _WrongWords,
}
"""Suffixes of a suite's name that withhold an input: "tabletop+blind"."""


def find_suite(name: str) -> Suite:
    """Return a suite by name, with its inputs withheld as the suffixes say ("tabletop+blind").

    Raises:
        ValueError: it lists the names there are, or says what is registered instead.
    """
    base, *suffixes = name.split("+")
    made: Any = SUITES.get(base)()
    if not isinstance(made, Suite):
        raise ValueError(f"the suite {base!r} must be a hamster.evaluate.Suite; its function returns {type(made)}")
    suite: Suite = made
    for suffix in suffixes:
        if suffix not in WITHHELD:
            raise unknown_name("suffix of a suite", suffix, WITHHELD)
        suite = replace(suite, make=WITHHELD[suffix](suite.make))
    return suite


def registered_name(name: str) -> str:
    """Return the name under which a suite is registered, without the suffixes of `WITHHELD`.

    >>> registered_name("tabletop+blind")
    'tabletop'
    """
    return name.partition("+")[0]


def suite_of(config: EvalConfig) -> Suite:
    """Return the suite of an evaluation: the object that was passed, or the one of that name."""
    return config.objects.suite or find_suite(config.suite)


def check_expert(config: EvalConfig, seed: int) -> None:
    """Raise ValueError if a condition needs an expert's path and the suite's environments have none.

    Args:
        config: of the evaluation.
        seed: of a scene whose environment is made and checked; built-in suites are not, since they have experts.
    """
    conditions = [name for name in config.planners if name in NEED_EXPERT]
    if not conditions or (config.objects.suite is None and SUITES.is_builtin(registered_name(config.suite))):
        return
    env = suite_of(config).make(config.families[0], seed)
    try:
        needed = {name: "other_task" if name == "swapped" else "expert_path" for name in conditions}
        lacking = [name for name in conditions if not hasattr(env, needed[name])]
        if lacking:
            others = ",".join(name for name in config.planners if name not in lacking) or "none"
            raise ValueError(
                f"the condition {lacking[0]} needs an expert's path, and {type(env).__name__} of the suite "
                f"{config.suite} has no {needed[lacking[0]]}(): add it, or leave out {' and '.join(lacking)} "
                f"(--planner {others})"
            )
    finally:
        close(env)


def is_test_seed(config: EvalConfig) -> bool:
    """Return whether the scenes are among those of the axes that are kept for released tables."""
    if registered_name(config.suite).partition("-")[0] != "axes":
        return False
    from hamster.sim.tabletop.axes.seeds import TEST

    return config.seed in TEST


def close(env: Environment) -> None:
    """Call the environment's `close()`, if it has one."""
    if callable(close_env := getattr(env, "close", None)):
        close_env()


def expert_of(env: Environment) -> ExpertEnvironment:
    """Cast an environment to one with `expert_path()`, which `check_expert` has verified."""
    return cast(ExpertEnvironment, env)


def episode_metrics(env: Environment, result: Rollout) -> dict[str, Any]:
    """Return what the environment's `episode_metrics(rollout)` measured, as the value of "metrics"; {} without one.

    Raises:
        ValueError: if it returned something that JSON cannot hold: the record could not be written, or not be read.
    """
    measure = getattr(env, "episode_metrics", None)
    if not callable(measure) or not result.is_measured:
        return {}
    returned = measure(result)
    try:
        metrics = dict(returned)
        json.dumps(metrics, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"episode_metrics() of {type(env).__name__} must return a mapping of JSON values, with None for a number "
            f"that there is not: {error}"
        ) from None
    return {"metrics": metrics}


def swappable(env: Environment) -> SwappableEnvironment:
    """Cast an environment to one with `other_task(seed)`, which `check_expert` has verified."""
    return cast(SwappableEnvironment, env)


def _tabletop(viewpoint: str = "front", shifts: bool = False, occluded: bool = False) -> Suite:
    from hamster.rollout.tabletop import FAMILIES, MAX_STEPS, MAX_STEPS_SHIFTED, TabletopEnvironment

    make = partial(TabletopEnvironment, viewpoint=viewpoint, shifts=shifts, occluded=occluded)
    return Suite(FAMILIES, make, MAX_STEPS_SHIFTED if shifts else MAX_STEPS, default_families=DEFAULT_FAMILIES)


def _counterfactual() -> Suite:
    from hamster.rollout.tabletop import FAMILIES, MAX_STEPS, counterfactual

    return Suite(FAMILIES, counterfactual, MAX_STEPS, tasks=2, default_families=DEFAULT_FAMILIES)


def _axes() -> Suite:
    from hamster.rollout.axes import STRATA, scene_of_stratum

    limits = {stratum: _axis_steps(stratum.partition("/")[0]) for stratum in STRATA}
    return _axes_suite(STRATA, scene_of_stratum, limits)


def _axis(name: str) -> Suite:
    from hamster.rollout.axes import AxisEnvironment
    from hamster.sim.tabletop.axes.factors import FAMILIES

    return _axes_suite(FAMILIES, partial(AxisEnvironment, name), _axis_steps(name))


def _axis_steps(axis: str) -> int:
    return MOVED_STEPS if axis == "moved" else AXES_STEPS


def _axes_suite(
    families: tuple[str, ...], make: Callable[[str, int], Environment], max_steps: int | Mapping[str, int]
) -> Suite:
    """Return a suite whose success has to last for half a second, and whose hopeless episodes end early."""
    from hamster.sim.tabletop.axes.seeds import scene_seed

    return Suite(families, make, max_steps, hold_steps=10, idle_steps=25, stop_when_failed=True, scene_seed=scene_seed)


AXES_STEPS, MOVED_STEPS = 120, 300  # the expert needs 30 to 80
_AXES = (
    "basic", "object-goal", "visual", "language", "spatial", "novel-object", "multiple",
    "new-camera", "clutter", "moved", "unseen-kinds", "unseen-facts",
)  # fmt: skip
# tabletop-moved: the same scenes, seen by a camera at another place. tabletop-shifted: the target, or its goal, is
# shifted while the robot is on its way. tabletop-occluded: a column hides a part of the way from the camera.
# counterfactual: scenes with two tasks and the same instruction, so that only the expert's path tells which one is
# meant. axes: scenes that differ from the demonstrations "axes-demos" in one held-out factor each.
SUITES: Registry[Callable[[], Suite]] = Registry(
    "suite",
    "hamster.suites",
    {
        "tabletop": _tabletop,
        "tabletop-moved": partial(_tabletop, "moved"),
        "tabletop-shifted": partial(_tabletop, shifts=True),
        "tabletop-occluded": partial(_tabletop, occluded=True),
        "counterfactual": _counterfactual,
        "axes": _axes,
        **{f"axes-{name}": partial(_axis, name) for name in _AXES},
    },
    adapt=_suite_factory,
)
"""The suites by name; a value is called without arguments and returns a `Suite`."""
register_suite = SUITES.register
"""Add a suite under a name: `register_suite("mine", factory)`, or as a decorator of the factory."""
