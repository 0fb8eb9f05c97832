"""Sockets that are bound before anything is loaded, so that a taken port is known at once."""

from __future__ import annotations

import socket


def bind_socket(host: str, port: int) -> socket.socket:
    """Return a socket that is bound but does not listen yet; OSError if the port is taken."""
    (family, kind, protocol, _, socket_address), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(socket_address)
    except OSError:
        listener.close()
        raise
    return listener


def socket_url(listener: socket.socket) -> str:
    """Return the URL of a bound socket, http://HOST:PORT."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
