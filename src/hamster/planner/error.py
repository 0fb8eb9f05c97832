"""Errors of a planner's server or configuration; those about paths are `hamster.path.PlanError`."""

from __future__ import annotations


class PlannerUnavailableError(ConnectionError):
    """The planner cannot be reached now: no connection, a time-out, a server's failure, a rate limit.

    It is not a result of the planner, so evaluations do not count it; the same request may succeed later.

    Attributes:
        reason: one line.
        retry_after_s: when to ask again, where the server says so.
        is_timeout: whether the whole time for an answer has passed.
    """

    def __init__(self, reason: str, retry_after_s: float | None = None, is_timeout: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.retry_after_s, self.is_timeout = reason, retry_after_s, is_timeout


class PlannerConfigurationError(ValueError):
    """The planner will never answer requests of this kind: a wrong key, no such model, an unreadable configuration."""
