"""Proxy settings of the environment for HTTP clients; never for this machine, and an unusable one is a clear error."""

from __future__ import annotations

import ipaddress
import os
import ssl
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any
from urllib.parse import SplitResult, urlsplit
from urllib.request import proxy_bypass

from hamster.extras import install

SCHEMES = ("http", "https", "socks5", "socks5h")


@dataclass(frozen=True)
class Proxy:
    """A proxy, and the environment variable that names it."""

    variable: str
    address: str

    def __str__(self) -> str:
        """Return the setting, without a password."""
        return f"{self.variable}={_without_password(self.address)}"


def proxy_of(url: str) -> Proxy | None:
    """Return the proxy that the environment sets for a URL; None for a direct connection.

    Connections to this machine and to hosts in NO_PROXY are direct.
    """
    parts = urlsplit(url)
    host = parts.hostname or ""
    if is_this_machine(host) or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    names = (f"{parts.scheme}_proxy", "all_proxy")
    for variable in (spelling for name in names for spelling in (name, name.upper())):
        if address := os.environ.get(variable, "").strip():
            return Proxy(variable, address if "://" in address else f"http://{address}")
    return None


def client_options(url: str) -> dict[str, Any]:
    """Return the options of an httpx client (or of openai's `DefaultHttpxClient`) for a URL.

    A client that reads the environment by itself fails to start on a SOCKS proxy even if it would not use it.

    Raises:
        ValueError: if the environment sets an unusable proxy; one line with the variable and the fix.
    """
    proxy = proxy_of(url)
    if proxy is None:
        return {"trust_env": False, **_certificates(url)}
    parts = urlsplit(url)
    fix = f"unset {proxy.variable}, or add {parts.hostname} to NO_PROXY"
    address = _parsed(proxy.address)
    if address is None or address.scheme not in SCHEMES or not address.hostname:
        raise ValueError(f"{proxy} is no proxy that can be used ({', '.join(f'{s}://' for s in SCHEMES)}): {fix}")
    if address.scheme.startswith("socks") and find_spec("socksio") is None:
        raise ValueError(f"{proxy} is a SOCKS proxy, which needs socksio: {install('socksio')}; or {fix}")
    return {"proxy": proxy.address}


def is_this_machine(host: str) -> bool:
    """Return whether a host is this machine."""
    host = host.lower().rstrip(".")
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    mapped = getattr(address, "ipv4_mapped", None) or address
    return bool(mapped.is_loopback or mapped.is_unspecified)


def _certificates(url: str) -> dict[str, Any]:
    """Return custom certificate authorities, which clients read from the environment only together with proxies."""
    file, folder = os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR")
    if not url.startswith("https://") or not (file or folder):
        return {}
    return {"verify": ssl.create_default_context(cafile=file or None, capath=folder or None)}


def _parsed(address: str) -> SplitResult | None:
    try:
        parts = urlsplit(address)
        _ = parts.port
    except ValueError:
        return None
    return parts


def _without_password(address: str) -> str:
    scheme, separator, rest = address.partition("://")
    return f"{scheme}{separator}{rest.rpartition('@')[2]}"
