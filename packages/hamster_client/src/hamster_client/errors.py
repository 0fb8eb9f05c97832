"""What can go wrong between an observation and an action."""

from __future__ import annotations

import json

MAX_MESSAGE = 500  # characters


class RequestError(ValueError):
    """A message that was refused: on the wire `{"error": {"type", "message"}}` in a text frame.

    Attributes:
        type: what to decide on; docs/serving.md lists them.
        message: one line for people.
    """

    def __init__(self, type: str, message: str) -> None:
        self.type = type
        self.message = " ".join(message.split())[:MAX_MESSAGE]
        super().__init__(f"{self.type}: {self.message}")

    def to_text(self) -> str:
        """Return what is sent. openpi's client, too, takes text for an error."""
        return json.dumps({"error": {"type": self.type, "message": self.message}})

    @classmethod
    def from_text(cls, text: str) -> RequestError:
        """Return the error in a text; any other text of a server is an error of type "internal"."""
        try:
            error = json.loads(text)["error"]
            return cls(str(error["type"]), str(error["message"]))
        except (ValueError, TypeError, KeyError, RecursionError):
            return cls("internal", text)


class ConnectionLostError(ConnectionError):
    """There is no server, or it went away and forgot this episode. Start a new one: `reset`, and its path again."""


class StaleActionError(RuntimeError):
    """An action for a world that has moved on, or of unknown age because the clock stepped back. Observe again.

    Attributes:
        age_s: of the observation; negative where it is ahead of the clock.
        max_age_s: what was allowed.
    """

    def __init__(self, age_s: float, max_age_s: float) -> None:
        reason = f"{age_s:.3f} s old, more than {max_age_s:g} s"
        if age_s < 0:
            reason = (
                f"{-age_s:.3f} s ahead of the clock, which stepped back or is another one than captured_s was read of"
            )
        super().__init__(f"the observation is {reason}: do not execute, observe again")
        self.age_s, self.max_age_s = age_s, max_age_s
