"""What a person should know about the planners that a command was given."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from hamster.planner import PlannerUnavailableError
from hamster.planner.load import is_address
from hamster.stopped import RunStoppedError


def say_assumed_dialects(planners: Iterable[str], dialect: str | None) -> None:
    """Say on standard error which servers leave open in which dialect they answer, and what is assumed then.

    Raises:
        ValueError: if a server has several models, and none is named.
        PlannerUnavailableError: if a server cannot be asked now.
    """
    addresses = [name for name in planners if is_address(name)]
    if dialect is not None or not addresses:
        return
    from hamster.dialects import DIALECTS
    from hamster.planner.load import ASSUMED_DIALECT, connect

    for address in addresses:
        if connect(address).prompt_config is None:
            known = ", ".join(DIALECTS)
            sys.stderr.write(
                f"hamster: {address} does not say in which dialect it answers; {ASSUMED_DIALECT} is assumed. "
                f"Choose another one by --dialect: {known}\n"
            )


@contextmanager
def continued_later() -> Iterator[None]:
    """Turn an outage of a planner's server in this block into RunStoppedError: the same command goes on later."""
    try:
        yield
    except PlannerUnavailableError as error:
        raise RunStoppedError(f"{error}; run the same command again to go on") from None


def check_measured(info: Mapping[str, Any]) -> None:
    """Raise RunStoppedError, after the table, if something could not be measured, since a server was away, say."""
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
