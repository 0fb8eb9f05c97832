"""A policy's checkpoint is a folder: config.json (type and architecture), model.safetensors, train_info.json."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from hamster.files import replacing, write_atomic
from hamster.inspect_checkpoint import read_json
from hamster.policy.actor import AnyActor
from hamster.policy.legacy_names import upgrade_config, upgrade_tensor_name
from hamster.policy.registry import build_actor, config_from_json
from hamster.weights import build_for, load_weights, read_tensors

UNITS = {
    "position": "metres, from the tool's tip, along the world's axes",
    "rotation": "world from tool, 6 numbers: its x and y axes",
    "gripper": "0 closed to 1 open",
    "rgb": "0 to 255; scaled by the network itself",
    "depth": "metres along the optical axis, 0 where unknown",
}
"""Units of a checkpoint's inputs and outputs. Normalization statistics, where a type has any, are among its weights."""


def save(folder: Path, actor: AnyActor, train_info: dict[str, Any] | None = None) -> None:
    """Write the three files; weights in float32.

    Args:
        folder: made if need be.
        actor: to save.
        train_info: how it was trained, for people.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = {"type": actor.config.type, "units": UNITS, "actor": asdict(actor.config)}
    write_atomic(folder / "config.json", json.dumps(config, indent=1) + "\n")
    with replacing(folder / "model.safetensors") as part:
        save_file({name: tensor.contiguous().cpu() for name, tensor in actor.state_dict().items()}, part)
    if train_info is not None:
        write_atomic(folder / "train_info.json", json.dumps(train_info, indent=1) + "\n")


def load(folder: Path, **changes: Any) -> AnyActor:
    """Return the actor in a folder, on the CPU, in evaluation mode.

    Conditioners that the weights lack are zero-initialised.

    Args:
        folder: of the checkpoint, whoever wrote it.
        changes: fields of its configuration to replace, `conditioners` for example.

    Raises:
        ValueError: if a file is missing or damaged, the type is unknown, config.json describes no policy, or the
            weights do not fit it or are not finite; one line that names the file.
    """
    file = folder / "config.json"
    record = read_config(folder)
    record["actor"] = {**record["actor"], **changes}
    config = config_from_json(record, file)
    stored = read_tensors(folder / "model.safetensors")
    tensors = {upgrade_tensor_name(config.type, name): tensor for name, tensor in stored.items()}
    actor = build_for(partial(build_actor, config), tensors, file)
    load_weights(actor, tensors, folder / "model.safetensors", may_lack="conditioners.")
    return actor.eval()


def read_config(folder: Path) -> dict[str, Any]:
    """Return config.json with the names of today; its "type" names the class of the rest. ValueError as `load`."""
    record = read_json(folder / "config.json")
    if not isinstance(record.get("actor"), dict):
        raise ValueError(f"{folder}/config.json is no policy's configuration: it has no actor")
    return upgrade_config(record)
