"""A checkpoint is a folder: config.json (family and architecture), model.safetensors, train_info.json."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path as FilePath
from typing import Any

from safetensors.torch import load_file, save_file

from hamster.policy.actor import AnyActor
from hamster.policy.families import build, config_from_json

UNITS = {
    "position": "metres, from the tool's tip, along the world's axes",
    "rotation": "world from tool, 6 numbers: its x and y axes",
    "gripper": "0 closed to 1 open",
    "rgb": "0 to 255; scaled by the network itself",
    "depth": "metres along the optical axis, 0 where unknown",
}
"""How a checkpoint's numbers are meant. Statistics of the data, where a family scales by any, are among its weights."""


def save(folder: FilePath, actor: AnyActor, train_info: dict[str, Any] | None = None) -> None:
    """Writes the three files; weights in float32."""
    folder.mkdir(parents=True, exist_ok=True)
    config = {"family": actor.config.family, "units": UNITS, "actor": asdict(actor.config)}
    (folder / "config.json").write_text(json.dumps(config, indent=1) + "\n")
    save_file({k: v.contiguous().cpu() for k, v in actor.state_dict().items()}, str(folder / "model.safetensors"))
    if train_info is not None:
        (folder / "train_info.json").write_text(json.dumps(train_info, indent=1) + "\n")


def load(folder: FilePath, **changes: Any) -> AnyActor:
    """The actor in a folder, ready to infer. Conditioners that the weights do not know start out silent.

    Args:
        changes: fields of its configuration that are to be others, `conditioners` for example.

    Raises:
        ValueError: if nobody knows its family, config.json has unknown fields, or the weights do not fit it.
    """
    record = read_config(folder)
    record["actor"] = {**record["actor"], **changes}
    actor = build(config_from_json(record, folder / "config.json"))
    found = actor.load_state_dict(load_file(str(folder / "model.safetensors")), strict=False)
    lacking = [name for name in found.missing_keys if not name.startswith("conditioners.")]
    if lacking or found.unexpected_keys:
        raise ValueError(f"{folder}: weights do not fit config.json; lacking {lacking}, left {found.unexpected_keys}")
    return actor.eval()


def read_config(folder: FilePath) -> dict[str, Any]:
    """config.json: "family" names who can load the rest."""
    try:
        record = json.loads((folder / "config.json").read_text())
    except json.JSONDecodeError as error:
        raise ValueError(f"{folder}/config.json is not JSON: {error}") from None
    if not isinstance(record, dict) or not isinstance(record.get("actor"), dict):
        raise ValueError(f"{folder}/config.json is no policy's configuration: it has no actor")
    return record
