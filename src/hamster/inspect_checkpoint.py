"""Properties of a checkpoint folder, a policy's or a planner's, without loading a network.

A missing, truncated or invalid file is a one-line error that names the file.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from hamster.extras import extra

LONGEST_JSON = 32 << 20  # a model's configuration is a few thousand bytes; the longest vocabularies in one, megabytes
PARTS_AS_BYTES = ("vocabulary", "planner.vocabulary", "planner.weights")  # files within a policy: no parameters
DAMAGED = "copy it again from where it came from, or name another checkpoint"


def inspect_checkpoint(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the properties of a checkpoint by section: kind, architecture, units, training, metrics, provenance.

    Args:
        folder: with config.json and model.safetensors; train_info.json (policies) or config.json of the run beside the
            folder (planners) add its provenance.

    Raises:
        ValueError: if a file is missing or damaged.
    """
    config = _json(folder / "config.json")
    about = _policy(folder, config) if "actor" in config else _planner(folder, config)
    return {name: section for name, section in about.items() if section}


def _policy(folder: Path, config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    from hamster.policy.legacy_names import upgrade_actor, upgrade_config, upgrade_train_config

    info = _json(folder / "train_info.json", {})
    architecture = upgrade_actor(_object(config, "actor", folder))
    trained = upgrade_train_config(_object(info, "train", folder))
    first = ("cameras", "conditioners", "action_type", "horizon")
    policy_type = upgrade_config(config).get("type")
    what = {"kind": "policy", "family": policy_type} | {name: architecture.pop(name, None) for name in first}
    train = {name: value for name, value in trained.items() if name not in ("actor", "type", "augment")}
    return {
        "policy": what | _weights(folder),
        "architecture": architecture,
        "units": _object(config, "units", folder),
        "data": _object(info, "data", folder),
        "training": {**train, "seconds": info.get("seconds")},
        "augmentation": _object(trained, "augment", folder),
        "metrics": _metrics(_object(info, "metrics", folder), folder),
        "provenance": _provenance(info),
    }


def _planner(folder: Path, config: dict[str, Any]) -> dict[str, dict[str, Any]]:
    processor = _json(folder / "processor_config.json", {})
    image = _object(processor, "image_processor", folder)
    run = _json(folder.parent / "config.json", {}) if folder.name == "model" else {}
    architecture = {name: value for name, value in config.items() if isinstance(value, int | float | list)}
    return {
        "planner": {"kind": "planner", "family": config.get("model_type")} | _weights(folder),
        "architecture": architecture,
        "units": {name: image[name] for name in ("size", "rescale_factor", "image_mean", "image_std") if name in image},
        "training": _object(run, "train", folder) or run,
        "provenance": _provenance(run),
    }


def read_json(file: Path, *, finite: bool = True) -> dict[str, Any]:
    """Return the object in a JSON file that somebody else may have written.

    Args:
        file: to read.
        finite: refuse NaN and infinity, which Python's JSON accepts.

    Raises:
        ValueError: if it is missing, no file, too long, no JSON, nested too deeply or no object.
    """
    try:
        if file.stat().st_size > LONGEST_JSON:
            raise ValueError(f"{file} has {file.stat().st_size} bytes, more than any configuration: {DAMAGED}")
        options: dict[str, Any] = {"parse_constant": _refused, "parse_float": _finite} if finite else {}
        record = json.loads(file.read_text(encoding="utf-8"), **options)
    except FileNotFoundError:
        raise ValueError(f"{file.parent} is no checkpoint: {file.name} is missing") from None
    except OSError as error:
        raise ValueError(f"{file} cannot be read: {error.strerror}") from None
    except RecursionError:
        raise ValueError(f"{file} is nested too deeply to be a configuration: {DAMAGED}") from None
    except ValueError as error:
        reason = str(error)
        raise ValueError(reason if str(file) in reason else f"{file} is not JSON ({reason}): {DAMAGED}") from None
    if not isinstance(record, dict):
        raise ValueError(f"{file} holds no JSON object: {DAMAGED}")
    return record


def weight_files(folder: Path) -> list[Path]:
    """Return a checkpoint's weight files, of all shards; ValueError if there are none."""
    files = sorted(folder.glob("model*.safetensors"))  # not state.safetensors, the state of a training
    if not files:
        raise ValueError(f"{folder} has no weights: model.safetensors is missing")
    return files


def read_header(file: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Return shape and dtype by the name of each tensor in a safetensors file, without reading their numbers.

    Raises:
        ValueError: if it is missing, or damaged: cut off, for example.
    """
    with extra("policy"):
        from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), "np") as stored:
            parts = {name: stored.get_slice(name) for name in stored.keys()}  # noqa: SIM118  # it is no dictionary
            return {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in parts.items()}
    except (SafetensorError, OSError) as error:
        raise unreadable(file, error) from None


def unreadable(file: Path, error: Exception) -> ValueError:
    """Return the one-line error for a safetensors file that cannot be read."""
    if not file.exists():
        return ValueError(f"{file.parent} has no weights: {file.name} is missing")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return ValueError(f"{file} is damaged ({' '.join(reason.split())[:200]}): {DAMAGED}")


def _weights(folder: Path) -> dict[str, Any]:
    """Return the number of parameters and their number formats, over all shards; see `PARTS_AS_BYTES`."""
    stored = [
        tensor
        for file in weight_files(folder)
        for name, tensor in read_header(file).items()
        if name not in PARTS_AS_BYTES
    ]
    return {
        "parameters": sum(math.prod(shape) for shape, _ in stored),
        "stored_as": sorted({kind for _, kind in stored}),
    }


def _metrics(metrics: dict[str, Any], folder: Path) -> dict[str, Any]:
    return {"step": metrics.get("step"), **_object(metrics, "all", folder)} if metrics else {}


def _object(record: dict[str, Any], name: str, folder: Path) -> dict[str, Any]:
    """Return a copy of a part of a record; {} if there is none."""
    part = record.get(name, {})
    if not isinstance(part, dict):
        raise ValueError(f"{folder} is no checkpoint of ours: its {name!r} is no JSON object")
    return dict(part)


def _provenance(info: dict[str, Any]) -> dict[str, Any]:
    names = ("git_commit", "seed", "command", "started", "versions", "hardware")
    return {name: info[name] for name in names if name in info}


def _json(file: Path, otherwise: dict[str, Any] | None = None) -> dict[str, Any]:
    return otherwise if otherwise is not None and not file.is_file() else read_json(file, finite=False)


def _refused(constant: str) -> float:
    raise ValueError(f"{constant} is no number")


def _finite(text: str) -> float:
    value = float(text)
    return value if math.isfinite(value) else _refused(text)
