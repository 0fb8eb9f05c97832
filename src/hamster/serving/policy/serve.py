"""Load a policy and serve it until a signal."""

from __future__ import annotations

import asyncio
import copy
import signal
from typing import Any

from hamster.policy import load_policy
from hamster.serving.auth import required_api_key
from hamster.serving.limits import PolicyLimits
from hamster.serving.log import configure_logging
from hamster.serving.policy.metadata import server_metadata
from hamster.serving.policy.server import PolicyServer


def serve_policy(
    name: str,
    host: str = "127.0.0.1",
    port: int = 8000,
    limits: PolicyLimits | None = None,
    is_verbose: bool = False,
    **computed: Any,
) -> None:
    """Serve a policy. SIGTERM answers the observations in work, then ends.

    Args:
        name: of a bundled policy, or a checkpoint's folder.
        host: to listen on; one that others can reach needs a key in the environment.
        port: 0 for a free one.
        limits: on what clients can ask for.
        is_verbose: whether every request is logged.
        computed: `device` and `dtype` of `load_policy`.

    Raises:
        ValueError: if there is no such policy, or others could reach it and there is no key.
        OSError: if the port is taken.
    """
    api_key = required_api_key(host)
    configure_logging(is_verbose)
    policy = load_policy(name, **computed)

    def ready(bound_port: int) -> None:
        print(f"serving {name} on ws://{host}:{bound_port}, health on http://{host}:{bound_port}/healthz", flush=True)  # noqa: T201

    async def run() -> None:
        # A policy's episode is what `reset` sets anew; a shallow copy shares the rest, which is its weights.
        server = PolicyServer(lambda: copy.copy(policy), server_metadata(policy, name), host, port, api_key, limits)
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, server.stop)
        await server.run(ready)

    asyncio.run(run())
