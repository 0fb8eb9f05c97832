"""Who may use the studio: pages that it served itself, in a browser that was given its link."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs

from starlette.responses import JSONResponse, PlainTextResponse

from hamster.serving.auth import is_local_name
from hamster.serving.errors import UNKNOWN_HOST
from hamster.studio.errors import StudioError
from hamster.studio.limits import StudioLimits

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

HEADER, UPLOAD, UPLOAD_VIDEO = b"x-studio-token", "/api/upload", "/api/upload-video"
HEADERS = {
    # Nothing from elsewhere runs or is loaded, and no other page can frame this one.
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
_HOW_TO_ENTER = (
    "open the link that `hamster studio` printed; it holds the key to this page, and changes with every start"
)


def new_token() -> str:
    """Return a token for one run of the server, 192 random bits."""
    return secrets.token_urlsafe(24)


class Guard:
    """ASGI middleware: refuses requests of other pages and programs, and bodies that are too large.

    The name in `Host` must be an address or localhost, against pages whose name was rebound to this machine; an
    `Origin` must be the page's own, against pages of other sites; and the token must come as a cookie or a header, or
    in the link itself, which sets the cookie. The cookie is SameSite=Strict, and no script can read it.

    Args:
        app: the application inside.
        token: of this run.
        limits: on bodies.
    """

    def __init__(self, app: App, token: str, limits: StudioLimits) -> None:
        self._app, self._token, self._json_bytes = app, token, limits.json_bytes
        self._upload_bytes = {UPLOAD: limits.body_bytes, UPLOAD_VIDEO: limits.video_bytes}
        # Cookies do not know ports: each run has a name of its own, so that two studios on one machine get along.
        self.cookie = f"hamster_studio_{hashlib.sha256(token.encode()).hexdigest()[:8]}"

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Handle one request or connection."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        try:
            is_link = self._check(scope)
        except StudioError as error:
            await _refuse(error, scope, receive, send)
            return
        cookie = f"{self.cookie}={self._token}; Path=/; HttpOnly; SameSite=Strict" if is_link else None

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = HEADERS | ({"set-cookie": cookie} if cookie else {})
                message["headers"] = [*message.get("headers", ()), *_encoded(more)]
            await send(message)

        await self._app(scope, receive, send_with_headers)

    def _check(self, scope: Message) -> bool:
        """Raise StudioError unless the request may pass; return whether it is the link that was printed."""
        headers = [(name.lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        hosts, origins = ([value for name, value in headers if name == key] for key in (b"host", b"origin"))
        if len(hosts) != 1 or not is_local_name(hosts[0]):
            raise StudioError(403, UNKNOWN_HOST.code, "ask by an IP address or as localhost")
        if any(origin != f"http://{hosts[0]}" for origin in origins):
            raise StudioError(403, "other_origin", "requests of other pages are not served")
        sent = parse_qs(scope["query_string"].decode("latin-1")).get("token", []) if scope["path"] == "/" else []
        is_link = any(map(self._is_token, sent))
        if not is_link and not any(map(self._is_token, _tokens(headers, self.cookie))):
            raise StudioError(401, "no_token", _HOW_TO_ENTER)
        if scope["type"] == "http" and scope["method"] not in ("GET", "HEAD"):
            self._check_length(scope["path"], [value for name, value in headers if name == b"content-length"])
        return is_link

    def _is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode(errors="replace"), self._token.encode())

    def _check_length(self, path: str, lengths: list[str]) -> None:
        """Raise StudioError unless the body's length is stated and allowed; the HTTP parser holds it to that."""
        if len(lengths) != 1 or not lengths[0].isdecimal():
            raise StudioError(411, "no_length", "a request must state its length")
        allowed = self._upload_bytes.get(path, self._json_bytes)
        if int(lengths[0]) > allowed:
            raise StudioError(413, "body_too_large", f"that is too large: at most {allowed >> 10} KiB are taken")


def _tokens(headers: list[tuple[bytes, str]], cookie: str) -> list[str]:
    """Return the tokens that a request carries in the cookie of this name and in its header."""
    sent = [value for name, value in headers if name == HEADER]
    for value in (value for name, value in headers if name == b"cookie"):
        try:
            cookies = SimpleCookie(value)
        except CookieError:
            continue
        sent += [cookies[cookie].value] if cookie in cookies else []
    return sent


def _encoded(headers: dict[str, str]) -> list[tuple[bytes, bytes]]:
    return [(name.encode(), value.encode()) for name, value in headers.items()]


async def _refuse(error: StudioError, scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()  # its "connect"
        await send({"type": "websocket.close", "code": 1008, "reason": error.refusal.code})
        return
    is_page = scope["path"] == "/"  # where a person reads the answer
    response = PlainTextResponse(f"{error}\n", error.status, HEADERS) if is_page else None
    await (response or JSONResponse(error.to_json(), error.status, HEADERS))(scope, receive, send)
