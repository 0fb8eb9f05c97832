"""A planner on a port: ready once warm, away once everybody is answered."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from hamster.serving.planner.limits import Limits
from hamster.serving.planner.middleware import Gate
from hamster.serving.planner.protocol import patient_protocol


class Server(uvicorn.Server):
    """uvicorn's, except for how it ends: after the first signal it answers what it took, refuses the rest with 503, and
    still says how it is; after the second it ends at once."""

    def __init__(self, gate: Gate, limits: Limits) -> None:
        self._gate = gate
        self._ending: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        super().__init__(
            uvicorn.Config(
                gate,
                http=patient_protocol(limits),
                ws="none",
                lifespan="off",
                log_level="error",
                access_log=False,
                limit_concurrency=limits.connections,
                backlog=limits.connections,
                timeout_graceful_shutdown=5,
                server_header=False,
            )
        )

    async def run_on(self, listener: socket.socket, ready: Callable[[], None]) -> None:
        """Serves on a bound socket until a signal or `stop`; calls `ready` once it is warm."""
        self._loop = asyncio.get_running_loop()
        warming = asyncio.ensure_future(self._warm_up(ready))
        try:
            await self.serve([listener])
        finally:
            warming.cancel()
        if warming.done() and not warming.cancelled():
            warming.result()

    def stop(self) -> None:
        """Begins to end; to be called in the event loop."""
        self._ending = self._ending or asyncio.ensure_future(self._end())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """What a signal does."""
        if self._ending is not None or self._loop is None:
            self.should_exit = self.force_exit = True
            return
        self._loop.call_soon_threadsafe(self.stop)

    async def _warm_up(self, ready: Callable[[], None]) -> None:
        try:
            await self._gate.service.warm_up()
            ready()
        except BaseException:
            self.should_exit = True
            raise

    async def _end(self) -> None:
        await self._gate.service.engine.drain()
        self.should_exit = True


def bound(host: str, port: int) -> socket.socket:
    """A socket with an address, on which nobody listens yet; OSError if the port is taken."""
    (family, kind, protocol, _, place), *_ = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    listener = socket.socket(family, kind, protocol)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(place)
    except OSError:
        listener.close()
        raise
    return listener


def address(listener: socket.socket) -> str:
    """Where it is, as http://…"""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
