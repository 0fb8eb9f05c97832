"""`hamster serve`: a policy for robots elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional


@dataclass(frozen=True)
class Serve:
    """Serve a policy over openpi's websocket protocol until Ctrl-C or SIGTERM; `/healthz` on the same port."""

    what: Positional[Literal["policy"]]
    """A policy: observations and paths in, actions out."""
    policy: str = "nano"
    """Name of a bundled policy, or a checkpoint's folder."""
    host: str = "127.0.0.1"
    """Address to listen on. One that others can reach needs a key in the environment variable HAMSTER_API_KEY."""
    port: int = 8000
    """0 chooses a free one."""
    deadline_s: float = 30.0
    """An observation that is not answered by then is an error."""
    clients: int = 8
    """How many may be connected at a time."""
    message_mib: int = 32
    """Longest observation."""
    verbose: bool = False
    """Log every request."""

    def run(self) -> None:
        """Serves; the first line on standard output says where."""
        try:
            from hamster.cli.serve_policy import serve_policy
        except ModuleNotFoundError as error:
            if error.name not in ("websockets", "msgpack", "hamster_client"):
                raise
            raise ValueError(
                f"serving needs {error.name}: pip install 'hamster-vla[serve]' ./packages/hamster_client"
            ) from None
        from hamster.policy.serve import Limits

        if not (self.deadline_s > 0 and self.clients > 0 and self.message_mib > 0):
            raise ValueError("deadline-s, clients and message-mib must be > 0")
        limits = Limits(message_bytes=self.message_mib << 20, clients=self.clients, deadline_s=self.deadline_s)
        serve_policy(self.policy, self.host, self.port, limits, self.verbose)
