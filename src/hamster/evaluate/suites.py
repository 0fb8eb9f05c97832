"""Named sets of scenes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hamster.rollout.arms import ExpertEnvironment


class SuiteEnvironment(ExpertEnvironment, Protocol):
    """An environment that was made for one trial."""

    def close(self) -> None:
        """Frees what it holds."""


@dataclass(frozen=True)
class Suite:
    """A distribution of scenes per task family.

    Attributes:
        families: the task families there are.
        make: (family, seed) -> an environment just reset; the same seed makes the same scene.
        max_steps: control steps after which an episode has timed out.
    """

    families: tuple[str, ...]
    make: Callable[[str, int], SuiteEnvironment]
    max_steps: int


def find_suite(name: str) -> Suite:
    """The suite of that name; ValueError lists the names there are."""
    if name not in SUITES:
        raise ValueError(f"unknown suite {name!r}; there are: {', '.join(SUITES)}")
    return SUITES[name]()


def _tabletop() -> Suite:
    from hamster.rollout.tabletop import FAMILIES, MAX_STEPS, TabletopEnvironment

    return Suite(FAMILIES, TabletopEnvironment, MAX_STEPS)


SUITES: dict[str, Callable[[], Suite]] = {"tabletop": _tabletop}
