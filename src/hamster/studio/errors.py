"""Requests of a page that are refused."""

from __future__ import annotations

from hamster.serving.errors import Refusal


class StudioError(Exception):
    """A request that is refused: the page shows the message, and nothing has changed.

    Attributes:
        status: of HTTP.
        refusal: a stable code, and one line for people.
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status, self.refusal = status, Refusal(code, " ".join(message.split())[:500])

    def to_json(self) -> dict[str, dict[str, str]]:
        """Return {"error": {"code", "message"}}."""
        return {"error": self.refusal._asdict()}


def invalid(message: str) -> StudioError:
    """Return the error (400) of a request that is wrong in itself."""
    return StudioError(400, "invalid_request", message)


def conflict(code: str, message: str) -> StudioError:
    """Return the error (409) of a request that does not fit the present state."""
    return StudioError(409, code, message)


def no_simulator() -> StudioError:
    """Return the error of what only a simulated robot can do."""
    return conflict("no_simulator", "there is no robot in a picture: go back to the simulator for that")
