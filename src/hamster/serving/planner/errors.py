"""Errors of the planner's server, in OpenAI's form: a type and a code to decide on, never a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_MESSAGE_CHARS = 500
PLANNING_FAILED, UPSTREAM_UNAVAILABLE = "planning_failed", "upstream_unavailable"
TYPES = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    422: "plan_error",
    429: "rate_limit_error",
    500: "server_error",
    502: "server_error",
    503: "unavailable_error",
    504: "timeout_error",
}
"""OpenAI's `type` by HTTP status; every other one is an invalid_request_error."""


class ServeError(Exception):
    """A request that is refused, or could not be answered.

    Attributes:
        status: of HTTP.
        code: for programs; docs/serving.md lists them.
        message: one line for people.
        param: which field is at fault, or None.
        retry_after_s: when to try again, or None.
        more: further fields of the error, such as the model's raw text.
    """

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        param: str | None = None,
        retry_after_s: int | None = None,
        more: Mapping[str, Any] | None = None,
    ) -> None:
        self.status, self.code, self.param, self.retry_after_s = status, code, param, retry_after_s
        self.message = " ".join(message.split())[:MAX_MESSAGE_CHARS]
        self.more = dict(more or {})
        super().__init__(f"{code}: {self.message}")

    def with_hint(self, hint: str) -> ServeError:
        """Return the same error with a hint at its cause."""
        return ServeError(self.status, self.code, f"{self.message}; {hint}", self.param, self.retry_after_s, self.more)

    @property
    def type(self) -> str:
        """OpenAI's name for this kind of error."""
        return TYPES.get(self.status, "invalid_request_error")

    def to_json(self) -> dict[str, Any]:
        """{"error": {"message", "type", "code", "param", …}}."""
        fields = {"message": self.message, "type": self.type, "code": self.code, "param": self.param}
        return {"error": self.more | fields}

    @property
    def headers(self) -> dict[str, str]:
        """Headers that HTTP requires with this status."""
        headers = {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}
        return headers | ({"www-authenticate": "Bearer"} if self.status == 401 else {})


def invalid(message: str, param: str | None = None, code: str = "invalid_request") -> ServeError:
    """Return the error (400) of a request that is wrong in itself.

    Args:
        message: one line for people.
        param: the field at fault.
        code: for programs.
    """
    return ServeError(400, code, message, param)
