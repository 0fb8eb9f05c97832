"""What a checkpoint folder says about itself, a policy's or a planner's, without loading a network."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open


def describe(folder: Path) -> dict[str, dict[str, Any]]:
    """Sections of facts: what it is, its architecture, units or normalisation, training, metrics.

    Args:
        folder: with config.json and model.safetensors; train_info.json (policies) or config.json of the run beside the
            folder (planners) add where it comes from.

    Raises:
        ValueError: if a file is missing or damaged.
    """
    config = _json(folder / "config.json")
    about = _policy(folder, config) if "actor" in config else _planner(folder, config)
    return {name: facts for name, facts in about.items() if facts}


def _policy(folder: Path, config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    info = _json(folder / "train_info.json", {})
    architecture = dict(config["actor"])
    heads = ("cameras", "conditioners", "head", "horizon")
    what = {"kind": "policy", "family": config.get("family")} | {name: architecture.pop(name, None) for name in heads}
    train = {name: value for name, value in info.get("train", {}).items() if name not in ("actor", "family", "augment")}
    return {
        "policy": what | _weights(folder),
        "architecture": architecture,
        "units": config.get("units", {}),
        "data": info.get("data", {}),
        "training": {**train, "seconds": info.get("seconds")},
        "augmentation": info.get("train", {}).get("augment", {}),
        "metrics": _metrics(info.get("metrics", {})),
        "provenance": _provenance(info),
    }


def _planner(folder: Path, config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    processor = _json(folder / "processor_config.json", {})
    image = processor.get("image_processor", {})
    run = _json(folder.parent / "config.json", {}) if folder.name == "model" else {}
    architecture = {name: value for name, value in config.items() if isinstance(value, int | float | list)}
    return {
        "planner": {"kind": "planner", "family": config.get("model_type")} | _weights(folder),
        "architecture": architecture,
        "units": {name: image[name] for name in ("size", "rescale_factor", "image_mean", "image_std") if name in image},
        "training": run.get("train", run),
        "provenance": _provenance(run),
    }


def _weights(folder: Path) -> dict[str, Any]:
    """How many parameters, and as what they are stored; of all shards."""
    files = sorted(folder.glob("model*.safetensors"))  # not state.safetensors, which training goes on from
    if not files:
        raise ValueError(f"{folder} has no weights: model.safetensors is missing")
    count, kinds = 0, set()
    for file in files:
        try:
            with safe_open(str(file), "np") as stored:
                for name in stored.keys():  # noqa: SIM118  # it is no dictionary
                    part = stored.get_slice(name)
                    count += math.prod(part.get_shape())
                    kinds.add(part.get_dtype())
        except SafetensorError as error:
            raise ValueError(f"{file} is damaged: {error}") from None
    return {"parameters": count, "stored_as": sorted(kinds)}


def _metrics(metrics: dict[str, Any]) -> dict[str, Any]:
    return {"step": metrics.get("step"), **metrics.get("all", {})} if metrics else {}


def _provenance(info: dict[str, Any]) -> dict[str, Any]:
    names = ("git_commit", "seed", "command", "started", "versions", "hardware")
    return {name: info[name] for name in names if name in info}


def _json(file: Path, otherwise: dict[str, Any] | None = None) -> dict[str, Any]:
    if not file.is_file():
        if otherwise is None:
            raise ValueError(f"{file.parent} is no checkpoint: {file.name} is missing")
        return otherwise
    try:
        record = json.loads(file.read_text())
    except ValueError as error:
        raise ValueError(f"{file} is not JSON: {error}") from None
    if not isinstance(record, dict):
        raise ValueError(f"{file} holds no JSON object")
    return record
