"""`hamster info`: kind, architecture and provenance of a checkpoint."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional


@dataclass(frozen=True)
class Info:
    """Print the properties of a checkpoint: architecture, cameras, conditioners, units, training, commit, metrics."""

    checkpoint: Positional[str]
    """Checkpoint folder, hub id or bundled name; a name that a policy and a planner share prints both."""
    json: bool = False
    """Print one JSON object per checkpoint."""

    def run(self) -> None:
        """Print its sections."""
        from hamster.inspect_checkpoint import inspect_checkpoint
        from hamster.terminal import show_next

        for folder in _folders(self.checkpoint):
            about = inspect_checkpoint(folder)
            sys.stdout.write(json.dumps(about) + "\n" if self.json else _printed(about))
            kind, name = next(iter(about)), self.checkpoint
            show_next(f"hamster eval --policy {name}" if kind == "policy" else f"hamster eval planner --planner {name}")


def _printed(about: dict[str, dict[str, Any]]) -> str:
    lines = []
    for section, properties in about.items():
        lines.append(section)
        for name, value in properties.items():
            lines.append(f"  {name:20} {value if isinstance(value, str) else json.dumps(value)}")
    return "\n".join(lines) + "\n"


def _folders(name: str) -> list[Path]:
    from hamster.hub import HubId, fetch
    from hamster.planner.load import BUNDLED, bundled_planners
    from hamster.policy.load import bundled_policies, bundled_policy

    if (hub_id := HubId.parse(name)) is not None:
        return [fetch(hub_id, "model")]
    policy = bundled_policy(name)
    folders = [] if policy is None else [policy]
    folders += [BUNDLED / name] if name in bundled_planners() else []
    if not folders and not (Path(name) / "config.json").is_file():
        names = ", ".join(sorted({*bundled_policies(), *bundled_planners()}))
        raise ValueError(
            f"no checkpoint {name!r}: neither bundled ({names}) nor a folder with config.json, nor a hub id"
        )
    return folders or [Path(name)]
