"""Who may use a server: programs on this machine, and others with a key; web pages never."""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

API_KEY_VARIABLE = "HAMSTER_API_KEY"


def required_api_key(host: str) -> str | None:
    """Return the key that clients of a server on this address must send, from the environment; None for none.

    Raises:
        ValueError: if other machines could reach it and there is no key.
    """
    api_key = os.environ.get(API_KEY_VARIABLE) or None
    if api_key is None and not is_loopback(host):
        raise ValueError(
            f"others can reach {host}: set a key in {API_KEY_VARIABLE}, which they must send, or keep 127.0.0.1"
        )
    return api_key


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach what listens on this address."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def is_local_name(host: str) -> bool:
    """Return whether a Host header is an IP address or localhost, with or without a port.

    A page whose name was rebound to this machine's address (DNS rebinding) sends that name.

    >>> is_local_name("127.0.0.1:8000"), is_local_name("evil.example")
    (True, False)
    """
    try:
        name = urlsplit(f"//{host}").hostname or ""
        return name == "localhost" or name.endswith(".localhost") or bool(ip_address(name))
    except ValueError:
        return False


def is_authorized(authorization: Sequence[str], scheme: str, api_key: str) -> bool:
    """Return whether there is exactly one Authorization header, with the key; compared in constant time.

    Args:
        authorization: the values of all Authorization headers.
        scheme: before the key; its case does not matter (RFC 9110).
        api_key: the server's.
    """
    if len(authorization) != 1:
        return False
    sent_scheme, _, key = authorization[0].partition(" ")
    same_key = hmac.compare_digest(_bytes(key.strip()), _bytes(api_key))
    return same_key and sent_scheme.lower() == scheme.lower()


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")  # of bytes that were decoded so, and are not UTF-8
