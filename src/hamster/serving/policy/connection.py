"""A websocket that says why it closes on a message that is too long."""

from __future__ import annotations

from typing import Any

from hamster_client.errors import RequestError
from websockets.asyncio.server import ServerConnection
from websockets.frames import CloseCode
from websockets.protocol import OPEN


class Connection(ServerConnection):
    """Sends a typed error before the close frame, since openpi's client reads text frames, not close codes.

    The message itself is never read: its header says how long it is.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        fail, send_text = self.protocol.fail, self.protocol.send_text

        def explain_and_fail(code: CloseCode | int, reason: str = "") -> None:
            if code == CloseCode.MESSAGE_TOO_BIG and self.protocol.state is OPEN:
                send_text(RequestError("oversized", reason).to_text().encode())
            fail(code, reason)

        self.protocol.fail = explain_and_fail  # type: ignore[method-assign]
