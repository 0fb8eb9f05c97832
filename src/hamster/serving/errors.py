"""Refusals that both servers share. Each sends them in its protocol's own form: OpenAI's JSON, or openpi's text frames.

`Refusal` is the code that a program decides on and the line that a person reads; neither ever holds a traceback.
"""

from __future__ import annotations

from typing import NamedTuple


class Refusal(NamedTuple):
    """Why a client is not served.

    Attributes:
        code: stable, for programs.
        message: one line, for people.
    """

    code: str
    message: str


INTERNAL = Refusal("internal", "the server failed; its log says why")
UNKNOWN_HOST = Refusal("unknown_host", "ask by an IP address or as localhost; other names need a key")
BROWSER_ORIGIN = Refusal("browser_origin_forbidden", "requests of web pages are not served")


def unauthorized(scheme: str) -> Refusal:
    """Return the refusal of a missing or wrong key, which clients send in this scheme of the Authorization header."""
    return Refusal("unauthorized", f"send the server's key once, as Authorization: {scheme} …")
