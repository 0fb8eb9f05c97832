"""What identifies a planner: the digest of its weights, or what its server states."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hamster.hub import HubId
from hamster.identity import checkpoint_digest, plugin_digest
from hamster.inspect_checkpoint import read_json
from hamster.planner.families import family_identity
from hamster.planner.load import is_address, resolve_checkpoint
from hamster.planner.registry import PLANNERS


def planner_identity(name: str, dialect: str | None = None) -> dict[str, Any]:
    """Return what tells a planner from another one of the same name, without loading it.

    Args:
        name: as for `load_planner`.
        dialect: in which it is asked to answer, None for its own.

    Returns:
        "weights", a digest, of a folder; "revision", a commit, of a hub id; "url", "model" and what the server states
        of it, of an address; "code", a digest, of a registered planner. And "dialect".

    Raises:
        ValueError: if there is no such planner.
        PlannerUnavailableError: if its server cannot be asked now.
    """
    if name in PLANNERS:
        return {"code": plugin_digest(PLANNERS.get(name)), "dialect": dialect}
    if is_address(name):
        from hamster.planner.load import connect

        backend = connect(name)
        return {
            "url": backend.url,
            "model": backend.name,
            **backend.stated,
            **({"dialect": dialect} if dialect else {}),
        }
    folder = Path(resolve_checkpoint(name))
    if HubId.parse(name) is not None:
        return {"revision": folder.name, "dialect": dialect, **family_identity(_model_type(folder))}
    return {"weights": checkpoint_digest(folder), "dialect": dialect, **family_identity(_model_type(folder))}


def _model_type(folder: Path) -> str:
    record = read_json(folder / "config.json", finite=False)
    return str(record.get("model_type"))
