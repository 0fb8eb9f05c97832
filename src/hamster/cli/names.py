"""Comma-separated lists of names, and the registries' names for help texts."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from inspect import isfunction

from tyro.conf import arg


def listed(text: str) -> tuple[str, ...]:
    """Return the names in a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def registered(names: str, what: str = "") -> Callable[[str], str]:
    """Return a hint for tyro that lists registered names, and imports the registry only when help is printed.

    Args:
        names: "module:function" that returns the names, or "module:REGISTRY".
        what: words before the list.
    """

    def hint(default: str) -> str:
        module, _, attribute = names.partition(":")
        source = getattr(import_module(module), attribute)
        listing: Iterable[str] = source() if isfunction(source) else source
        text = f"{what}{', '.join(listing)}"
        return f"(default: {default}; {text})" if default else f"({text})"

    return hint


def _listing(names: str) -> object:
    return arg(help_behavior_hint=registered(names, "there are: "))


PLANNERS = _listing("hamster.planner.load:planner_names")
POLICIES = _listing("hamster.policy.load:policy_names")
DIALECTS = _listing("hamster.dialects:DIALECTS")
SUITES = _listing("hamster.evaluate.suites:SUITES")
ROBOTS = _listing("hamster.rollout.robots.registry:ROBOTS")
SOURCES = _listing("hamster.data.registry:usages")
"""Annotations of options whose help lists the registered names."""
