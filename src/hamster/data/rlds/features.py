"""features.json of TensorFlow Datasets: which features an episode has, under which names, of which shape."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_BYTES = 16 << 20
MAX_DEPTH = 32
NAME = "features.json"


@dataclass(frozen=True)
class Feature:
    """One entry of a tf.Example.

    Attributes:
        kind: "image", "text" or "tensor".
        shape: of one of them, None where it may vary.
        dtype: as TensorFlow names it.
        nested: in how many sequences it lies; what belongs to the steps lies in one.
    """

    kind: str
    shape: tuple[int | None, ...] = ()
    dtype: str = ""
    nested: int = 0


def read_features(folder: Path) -> dict[str, Feature]:
    """Return the features of a dataset by their names in its tf.Examples, `steps/observation/image_0` for instance.

    Raises:
        ValueError: if features.json is missing, damaged, or describes no episodes with steps.
    """
    tree = read_json(folder / NAME)
    out = dict(_leaves(tree, "", 0, 0))
    if not any(name.startswith("steps/") for name in out):
        raise ValueError(f"{folder / NAME} describes no `steps`; an RLDS dataset has episodes of steps")
    return out


def read_json(file: Path) -> dict[str, Any]:
    """Return a JSON object; ValueError in one line for anything else."""
    if not file.is_file():
        raise ValueError(f"no {file.name} in {file.parent}; TensorFlow Datasets writes one beside its TFRecords")
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{file} is larger than {MAX_BYTES >> 20} MiB")
    try:
        tree = json.loads(file.read_bytes())
    except (ValueError, RecursionError):
        raise ValueError(f"{file} is not JSON") from None
    if not isinstance(tree, dict):
        raise ValueError(f"{file} is not a JSON object")
    return tree


def _leaves(node: Any, name: str, nested: int, depth: int) -> Iterator[tuple[str, Feature]]:
    if not isinstance(node, dict) or depth > MAX_DEPTH:
        raise ValueError(f"{NAME}: {name or 'the top'} is not a feature")
    if "featuresDict" in node:
        for key, child in _dict(_dict(node, "featuresDict", name), "features", name).items():
            yield from _leaves(child, f"{name}/{key}" if name else key, nested, depth + 1)
    elif "sequence" in node:
        yield from _leaves(_dict(node, "sequence", name).get("feature"), name, nested + 1, depth + 1)
    elif "image" in node:
        yield name, _leaf("image", _dict(node, "image", name), nested)
    elif "text" in node:
        yield name, Feature("text", nested=nested)
    elif "tensor" in node:
        leaf = _leaf("tensor", _dict(node, "tensor", name), nested)
        is_text = leaf.dtype in ("string", "object")
        yield name, Feature("text", leaf.shape, leaf.dtype, nested) if is_text else leaf


def _leaf(kind: str, node: Mapping[str, Any], nested: int) -> Feature:
    dimensions = (node.get("shape") or {}).get("dimensions", [])
    try:
        sizes = [int(size) for size in dimensions]
    except (TypeError, ValueError):
        raise ValueError(f"{NAME}: {dimensions!r} is no shape") from None
    return Feature(kind, tuple(None if size < 0 else size for size in sizes), str(node.get("dtype", "")), nested)


def _dict(node: Mapping[str, Any], key: str, name: str) -> Mapping[str, Any]:
    child = node.get(key)
    if not isinstance(child, dict):
        raise ValueError(f"{NAME}: {key} of {name or 'the top'} is not an object")
    return child
