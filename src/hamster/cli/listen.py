"""Who may reach a server: this machine alone, or others with a key."""

from __future__ import annotations

import ipaddress
import os

KEY = "HAMSTER_API_KEY"


def api_key_for(host: str) -> str | None:
    """The key that clients of a server on this address must send, from the environment; None for none.

    Raises:
        ValueError: if others could reach it and there is no key.
    """
    api_key = os.environ.get(KEY) or None
    if api_key is None and not is_loopback(host):
        raise ValueError(f"others can reach {host}: set a key in {KEY}, which they must send, or keep 127.0.0.1")
    return api_key


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on this address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
