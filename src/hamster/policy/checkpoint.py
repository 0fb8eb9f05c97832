"""A checkpoint is a folder: config.json (family and architecture), model.safetensors, train_info.json."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from safetensors.torch import load_file, save_file

from hamster.policy.actor import FlowActor
from hamster.policy.config import ActorConfig

if TYPE_CHECKING:
    from hamster.policy.policy import Policy


def save(folder: FilePath, actor: FlowActor, train_info: dict[str, Any] | None = None) -> None:
    """Writes the three files; weights in float32."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"family": "flow", "actor": asdict(actor.config)}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file({k: v.contiguous().cpu() for k, v in actor.state_dict().items()}, str(folder / "model.safetensors"))
    if train_info is not None:
        (folder / "train_info.json").write_text(json.dumps(train_info, indent=1) + "\n")


def load(folder: FilePath) -> FlowActor:
    """The actor in a folder, ready to infer. Conditioners that the weights do not know start out silent.

    Raises:
        ValueError: if config.json has unknown fields, or the weights do not fit it.
    """
    record = read_config(folder)["actor"]
    names = [f.name for f in fields(ActorConfig)]
    if unknown := sorted(set(record) - set(names)):
        raise ValueError(f"{folder}/config.json: unknown fields {unknown}; an actor has {', '.join(names)}")
    actor = FlowActor(ActorConfig(**record | {"conditioners": tuple(record["conditioners"])}))
    found = actor.load_state_dict(load_file(str(folder / "model.safetensors")), strict=False)
    lacking = [name for name in found.missing_keys if not name.startswith("conditioners.")]
    if lacking or found.unexpected_keys:
        raise ValueError(f"{folder}: weights do not fit config.json; lacking {lacking}, left {found.unexpected_keys}")
    return actor.eval()


def read_config(folder: FilePath) -> dict[str, Any]:
    """config.json: "family" names who can load the rest."""
    return dict(json.loads((folder / "config.json").read_text()))


def _flow(folder: FilePath) -> Policy:
    from hamster.policy.flow_policy import FlowPolicy

    return FlowPolicy(load(folder))


FAMILIES: dict[str, Callable[[FilePath], Policy]] = {"flow": _flow}
