"""Messages about the planners of a command: assumed dialects, outages."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hamster.planner import PlannerUnavailableError
from hamster.planner.load import is_address
from hamster.stopped import RunStoppedError


def required_by_planners(names: Iterable[str]) -> list[str]:
    """Return the extras that planners need: models that run here need one; baselines and registered code need none."""
    from hamster.planner.registry import PLANNERS
    from hamster.rollout.baselines import BASELINES

    models = [name for name in names if not (name in BASELINES or name in PLANNERS)]
    return sorted({"endpoint" if is_address(name) else "planner" for name in models})


def required_by_suites(names: Iterable[str]) -> list[str]:
    """Return the extras that suites need: those of the built-in tabletop need a simulator."""
    from hamster.evaluate.suites import SUITES, registered_name

    return ["sim"] if any(SUITES.is_builtin(registered_name(name)) for name in names) else []


def say_assumed_dialects(planners: Iterable[str], dialect: str | None) -> None:
    """Print on standard error which servers do not name their dialect, and which one is assumed.

    Raises:
        ValueError: if a server has several models, and none is named.
        PlannerUnavailableError: if a server does not respond.
    """
    addresses = [name for name in planners if is_address(name)]
    if dialect is not None or not addresses:
        return
    from hamster.dialects import DIALECTS
    from hamster.planner.load import ASSUMED_DIALECT, connect

    for address in addresses:
        if connect(address).prompt_config is None:
            names = ", ".join(DIALECTS)
            sys.stderr.write(
                f"hamster: {address} does not say in which dialect it answers; {ASSUMED_DIALECT} is assumed. "
                f"Choose another one by --dialect: {names}\n"
            )


@contextmanager
def continued_later() -> Iterator[None]:
    """Turn an outage of a planner's server in this block into RunStoppedError: the same command continues later."""
    try:
        yield
    except PlannerUnavailableError as error:
        raise RunStoppedError(f"{error}; run the same command again to go on") from None


def check_measured(info: Mapping[str, Any]) -> None:
    """Raise RunStoppedError if episodes could not be measured because of an outage."""
    if not info["unavailable"]:
        return
    conditions = "; ".join(
        f"{condition}: {outage['n']} ({next(iter(outage['reasons']))})"
        for condition, outage in info["unavailable"].items()
    )
    raise RunStoppedError(
        f"not measured and not counted, because the planner could not be asked or the environment broke down: "
        f"{conditions}; run the same command again to measure them"
    )
