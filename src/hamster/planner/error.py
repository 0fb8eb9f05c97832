"""The errors of asking a planner that say nothing about its paths; those about paths are `hamster.path.PlanError`s."""

from __future__ import annotations


class PlannerUnavailableError(ConnectionError):
    """The planner could not be asked now: no connection, a time-out, a server's failure, a rate limit.

    It says nothing about the planner, so nothing is counted from it; the same question may be answered later.

    Attributes:
        reason: one line.
        retry_after_s: when to ask again, where the server says so.
        is_timeout: whether the whole time for an answer has passed.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None, is_timeout: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.retry_after_s, self.is_timeout = reason, retry_after_s, is_timeout


class PlannerConfigurationError(ValueError):
    """The planner is asked in a way in which it will never answer: a wrong key, no such model, no way to read it."""
