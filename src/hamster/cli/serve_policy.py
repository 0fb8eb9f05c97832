"""Loads a policy and serves it until somebody says stop."""

from __future__ import annotations

import asyncio
import copy
import logging
import signal
from typing import TYPE_CHECKING

from hamster.cli.listen import api_key_for
from hamster.policy import load_policy
from hamster.serving.policy import Limits, PolicyServer, about

if TYPE_CHECKING:
    from hamster.cli.serve import ServePolicy


def serve_policy(options: ServePolicy, limits: Limits) -> None:
    """Serves a policy by the name of a bundled one, or from a folder. SIGTERM answers what is in work, then ends.

    Raises:
        ValueError: if there is no such policy, or others could reach it and there is no key.
        OSError: if the port is taken.
    """
    name, host, port = options.policy, options.host, options.port
    api_key = api_key_for(host)
    logging.basicConfig(level=logging.DEBUG if options.verbose else logging.WARNING, format="%(asctime)s %(message)s")
    policy = load_policy(name, device=options.device, dtype=options.dtype)

    def ready(bound: int) -> None:
        print(f"serving {name} on ws://{host}:{bound}, health on http://{host}:{bound}/healthz", flush=True)  # noqa: T201

    async def run() -> None:
        # A policy's episode is what `reset` sets anew; a shallow copy shares the rest, which is its weights.
        server = PolicyServer(lambda: copy.copy(policy), about(policy, name), host, port, api_key, limits)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
        await server.run(ready)

    asyncio.run(run())
