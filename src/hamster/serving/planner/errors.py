"""What is said to a client that cannot be served: OpenAI's shape, a type and a code to decide on, never a traceback."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

MAX_MESSAGE = 500  # characters
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
        code: what to decide on; docs/serving.md lists them.
        message: one line for people.
        param: which field is at fault, or None.
        retry_after_s: when to come again, or None.
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
        self.message = " ".join(message.split())[:MAX_MESSAGE]
        self.more = dict(more or {})
        super().__init__(f"{code}: {self.message}")

    def with_hint(self, hint: str) -> ServeError:
        """The same error that also says what may be behind it."""
        return ServeError(self.status, self.code, f"{self.message}; {hint}", self.param, self.retry_after_s, self.more)

    @property
    def type(self) -> str:
        """OpenAI's name for this kind of error."""
        return TYPES.get(self.status, "invalid_request_error")

    def to_json(self) -> dict[str, Any]:
        """{"error": {"message", "type", "code", "param", …}}."""
        known = {"message": self.message, "type": self.type, "code": self.code, "param": self.param}
        return {"error": self.more | known}

    @property
    def headers(self) -> dict[str, str]:
        """What HTTP wants to be said besides."""
        headers = {} if self.retry_after_s is None else {"retry-after": str(self.retry_after_s)}
        return headers | ({"www-authenticate": "Bearer"} if self.status == 401 else {})


def invalid(message: str, param: str | None = None, code: str = "invalid_request") -> ServeError:
    """A request that will never be served as it is."""
    return ServeError(400, code, message, param)
