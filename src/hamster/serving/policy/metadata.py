"""The metadata message of the policy's server, which it sends first."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from hamster import __version__
from hamster.policy import Policy, find_policy
from hamster.policy.config import ActorConfig
from hamster.serving.policy.request import OBSERVATION, VIEW
from hamster.serving.policy.session import COLUMNS


def server_metadata(policy: Policy, name: str) -> dict[str, Any]:
    """Return the metadata message of a policy that was loaded by this name: plain values, for msgpack.

    What only an actor's configuration knows (its family, cameras, head) is None for a policy that has none.
    """
    config: ActorConfig | None = getattr(getattr(policy, "actor", None), "config", None)
    return {
        "server": "hamster-vla",
        "version": __version__,
        "policy": Path(name).name,
        "weights_sha256": _weights_sha256(name),
        "family": config and config.type,
        "cameras": config and list(config.cameras),
        "needs_depth": config and config.needs_depth,
        "actions": {
            "columns": list(COLUMNS),
            "frame": "world",
            "kind": config and config.action_type,
            "horizon": config and config.horizon,
            "executed": config and (config.n_action_steps or config.horizon),
            "step_s": config.step_s if config and config.action_type == "chunk" else None,
        },
        "observation": OBSERVATION | {"views/*": VIEW},
    }


def _weights_sha256(name: str) -> str | None:
    try:
        file = find_policy(name) / "model.safetensors"
    except ValueError:  # a policy object of somebody's own
        return None
    if not file.is_file():
        return None
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
