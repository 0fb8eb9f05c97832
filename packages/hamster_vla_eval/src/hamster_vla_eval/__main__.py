"""Serve planner and policy for `vla-eval run`: python -m hamster_vla_eval."""

from __future__ import annotations

import tyro
from vla_eval.model_servers.serve import serve

from hamster_vla_eval.server import HamsterModelServer


def main(
    planner: str | None = "nano",
    policy: str = "flow-nano",
    planner_camera: str = "front",
    replan_every: int = 0,
    device: str | None = None,
    dtype: str = "auto",
    port: int = 8000,
) -> None:
    """Serve on 127.0.0.1 until Ctrl-C. The protocol has no authentication: do not forward the port.

    Args:
        planner: bundled or registered name, folder, hub id or address of a server; None for none.
        policy: bundled or registered name, folder or hub id.
        planner_camera: camera whose image the planner draws on.
        replan_every: keyposes between two calls of the planner; 0 plans once.
        device: where the networks compute.
        dtype: auto, float32, bfloat16 or float16.
        port: to listen on.
    """
    server = HamsterModelServer(
        planner, policy, planner_camera=planner_camera, replan_every=replan_every, device=device, dtype=dtype
    )
    serve(server, "127.0.0.1", port)


if __name__ == "__main__":
    tyro.cli(main, prog="python -m hamster_vla_eval")
