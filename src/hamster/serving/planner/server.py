"""The planner's HTTP server: ready once warm; drains when it is stopped."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from hamster.serving.limits import PlannerLimits
from hamster.serving.planner.http_protocol import http_protocol
from hamster.serving.planner.middleware import RequestMiddleware


class PlannerServer(uvicorn.Server):
    """uvicorn's server with another shutdown.

    After the first signal it answers what it has taken, refuses the rest with 503, and still serves /health; after the
    second it ends at once.
    """

    def __init__(self, app: RequestMiddleware, limits: PlannerLimits) -> None:
        self._app = app
        self._ending: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        super().__init__(
            uvicorn.Config(
                app,
                http=http_protocol(limits),
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
        """Serve on a bound socket until a signal or `stop`; call `ready` once the model is warm."""
        self._loop = asyncio.get_running_loop()
        warming = asyncio.ensure_future(self._warm_up(ready))
        try:
            await self.serve([listener])
        finally:
            warming.cancel()
        if warming.done() and not warming.cancelled():
            warming.result()

    def stop(self) -> None:
        """Begin to shut down; to be called in the event loop."""
        self._ending = self._ending or asyncio.ensure_future(self._end())

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        if self._ending is not None or self._loop is None:
            self.should_exit = self.force_exit = True
            return
        self._loop.call_soon_threadsafe(self.stop)

    async def _warm_up(self, ready: Callable[[], None]) -> None:
        try:
            await self._app.service.warm_up()
            ready()
        except BaseException:
            self.should_exit = True
            raise

    async def _end(self) -> None:
        await self._app.service.engine.drain()
        self.should_exit = True
