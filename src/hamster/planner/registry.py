"""Planners that users register by name, beside bundled checkpoints, folders, hub ids and addresses."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from hamster.registry import Registry, call_factory

if TYPE_CHECKING:
    from hamster.planner.base import Planner

PlannerFactory: TypeAlias = "Callable[..., Planner]"
"""A class or function that returns a planner. It is called with keywords: `device` and `dtype` if it takes them, and
those of `dialect`, `abstains` and the other options of `load_planner` that the user set.
"""


def _factory(value: Any) -> PlannerFactory:
    if not isinstance(value, type) and callable(getattr(value, "plan", None)):
        return partial(_same, value)
    if not callable(value):
        raise TypeError("it is no planner, nor a class or function that returns one")
    factory: PlannerFactory = value
    return factory


def _same(planner: Planner) -> Planner:
    return planner


_RESERVED = {
    **dict.fromkeys(("nano", "nano-relations"), "a bundled planner's"),
    **dict.fromkeys(
        ("oracle", "points", "shuffled", "shuffled-same", "swapped", "none"),
        "a baseline's, wherever planners are named",
    ),
}
PLANNERS: Registry[PlannerFactory] = Registry("planner", "hamster.planners", adapt=_factory, reserved=_RESERVED)
register_planner = PLANNERS.register
"""Add a planner under a name: `register_planner("mine", factory)`, or as a decorator of the factory."""


def make_planner(name: str, device: str | None = None, dtype: str = "auto", **options: Any) -> Planner:
    """Return the planner that is registered under a name.

    Args:
        name: in `PLANNERS`.
        device: where it computes; passed on to factories that take it.
        dtype: in which numbers; likewise.
        options: what the user set, without what is None.

    Raises:
        ValueError: if its factory does not take one of the options, or what it returns cannot plan.
    """
    computed = {"device": device, "dtype": dtype}
    planner = call_factory("planner", name, PLANNERS.get(name), computed, **options)
    if not callable(getattr(planner, "plan", None)):
        raise ValueError(
            f"the planner {name!r} has no method plan(image, instruction): it is a {type(planner).__name__}"
        )
    try:
        inspect.signature(planner.plan).bind(None, "")
    except TypeError as error:
        raise ValueError(f"the planner {name!r}: plan must take (image, instruction): {error}") from None
    except ValueError:  # a function in C states no signature
        pass
    return planner
