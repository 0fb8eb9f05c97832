"""A training's whole state in one safetensors file, written atomically: it survives a kill at any moment."""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from hamster.files import replacing
from hamster.inspect_checkpoint import read_header
from hamster.weights import check_finite, load_weights, read_tensors

METADATA_KEY = "facts"  # its name in the files, since version 0.1


def save(
    file: Path, modules: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer], metadata: Mapping[str, Any]
) -> None:
    """Write a training's state; an interrupted write leaves the former file as it was.

    Args:
        file: to write.
        modules: by the name that `load` finds them under.
        optimisers: likewise.
        metadata: plain JSON values: the step, the configuration and such.
    """
    tensors = {f"{name}/{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        for i, state in optimiser.state_dict()["state"].items():
            tensors.update({f"{name}/{i}/{key}": torch.as_tensor(value) for key, value in state.items()})
    own = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    with replacing(file) as part:
        save_file(own, part, {METADATA_KEY: json.dumps(metadata)})


def load(
    file: Path,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, Optimizer],
    may_grow: Collection[str] = (),
    needs: Collection[str] = (),
    rename: Callable[[str], str] = str,
) -> dict[str, Any]:
    """Restore what `save` wrote into the same modules and optimisers; return its metadata.

    Args:
        file: that `save` wrote.
        modules: to fill.
        optimisers: to fill.
        may_grow: modules that may have gained parameters since; the new ones keep their values.
        needs: keys that the metadata must have.
        rename: maps the tensor names of a former version to those of today.

    Raises:
        ValueError: if the file is damaged, belongs to another training or holds values that are not finite; it says
            what is lost, and what is not.
    """
    metadata = read_metadata(file)
    try:
        if lacking := [name for name in needs if name not in metadata]:
            raise ValueError(f"its metadata lacks {', '.join(lacking)}")
        tensors = read_tensors(file)
        for name, module in modules.items():
            own = {rename(k.removeprefix(f"{name}/")): v for k, v in tensors.items() if k.startswith(f"{name}/")}
            if name in may_grow:
                check_finite(own, name)
                module.load_state_dict(own, strict=False)
            else:
                load_weights(module, own, name)
        for name, optimiser in optimisers.items():
            optimiser.load_state_dict({**optimiser.state_dict(), "state": _states(name, tensors)})
    except (LookupError, RuntimeError, TypeError, ValueError) as error:
        raise _lost(file, error) from None
    return metadata


def read_metadata(file: Path) -> dict[str, Any]:
    """Return the metadata alone; ValueError as `load`."""
    try:
        with safe_open(file, "pt") as saved:
            metadata = json.loads((saved.metadata() or {})[METADATA_KEY])
        if not isinstance(metadata, dict):
            raise ValueError("its metadata is no JSON object")
    except (SafetensorError, OSError, LookupError, RecursionError, ValueError) as error:
        raise _lost(file, error) from None
    return metadata


def _lost(file: Path, error: Exception) -> ValueError:
    """Return the error for a training that cannot be resumed, with what is left of it."""
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    models = [folder for folder in (file.parent / "model", file.parent) if _is_whole(folder / "model.safetensors")]
    kept = f"; the weights of the last save are whole, in {models[0]}" if models else ""
    return ValueError(
        f"{file} is damaged, this training cannot be resumed ({reason}): its step, optimisers and the weights in it "
        f"are lost{kept}. To start again, remove {file.name}, or give another --out"
    )


def _is_whole(file: Path) -> bool:
    try:
        return bool(read_header(file))
    except ValueError:
        return False


def _states(name: str, tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(f"{name}/"):
            _, number, field = key.split("/", 2)
            states.setdefault(int(number), {})[field] = value
    return states
