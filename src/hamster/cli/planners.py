"""Messages about the planners of a command: assumed dialects, outages."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hamster.planner import PlannerUnavailableError
from hamster.planner.load import is_address
from hamster.stopped import RunStoppedError


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
