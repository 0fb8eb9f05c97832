"""Named sets of scenes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from hamster.rollout.baselines import ExpertEnvironment


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
        tasks: how many in each scene. With more than one, those of a scene have consecutive seeds, and the scene counts
            as right if all of them are done.
    """

    families: tuple[str, ...]
    make: Callable[[str, int], SuiteEnvironment]
    max_steps: int
    tasks: int = 1


def find_suite(name: str) -> Suite:
    """The suite of that name; ValueError lists the names there are."""
    if name not in SUITES:
        raise ValueError(f"unknown suite {name!r}; there are: {', '.join(SUITES)}")
    return SUITES[name]()


def _tabletop(viewpoint: str = "front") -> Suite:
    from hamster.rollout.tabletop import FAMILIES, MAX_STEPS, TabletopEnvironment

    return Suite(FAMILIES, partial(TabletopEnvironment, viewpoint=viewpoint), MAX_STEPS)


def _counterfactual() -> Suite:
    from hamster.rollout.tabletop import FAMILIES, MAX_STEPS, counterfactual

    return Suite(FAMILIES, counterfactual, MAX_STEPS, tasks=2)


# The same scenes through a camera that stands elsewhere; and scenes with two tasks in the same words, so that only the
# expert's path says which is meant.
SUITES: dict[str, Callable[[], Suite]] = {
    "tabletop": _tabletop,
    "tabletop-moved": partial(_tabletop, "moved"),
    "counterfactual": _counterfactual,
}
