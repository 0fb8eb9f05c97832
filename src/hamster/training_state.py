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


def save(
    file: Path, modules: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer], known: Mapping[str, Any]
) -> None:
    """Write modules, optimisers and plain facts; an interrupted write leaves the former file as it was."""
    tensors = {f"{name}/{key}": value for name, module in modules.items() for key, value in module.state_dict().items()}
    for name, optimiser in optimisers.items():
        for i, state in optimiser.state_dict()["state"].items():
            tensors.update({f"{name}/{i}/{key}": torch.as_tensor(value) for key, value in state.items()})
    own = {key: value.detach().clone().contiguous() for key, value in tensors.items()}
    with replacing(file) as part:
        save_file(own, part, {"facts": json.dumps(known)})


def load(
    file: Path,
    modules: Mapping[str, nn.Module],
    optimisers: Mapping[str, Optimizer],
    may_grow: Collection[str] = (),
    needs: Collection[str] = (),
    rename: Callable[[str], str] = str,
) -> dict[str, Any]:
    """Restore what `save` wrote into the same modules and optimisers; returns the facts.

    Args:
        file: that `save` wrote.
        modules, optimisers: to fill.
        may_grow: modules that may have got parameters since, which stay as they are.
        needs: names of facts that must be there.
        rename: translates the names of a module's tensors, of which a former version wrote others.

    Raises:
        ValueError: if the file is damaged, belongs to another training or holds numbers that are none; it says what is
            lost, and what is not.
    """
    known = facts(file)
    try:
        if lacking := [name for name in needs if name not in known]:
            raise ValueError(f"it does not say {', '.join(lacking)}")
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
    return known


def facts(file: Path) -> dict[str, Any]:
    """Return the plain facts alone; ValueError as `load`."""
    try:
        with safe_open(file, "pt") as saved:
            known = json.loads((saved.metadata() or {})["facts"])
        if not isinstance(known, dict):
            raise ValueError("its facts are no JSON object")
    except (SafetensorError, OSError, LookupError, RecursionError, ValueError) as error:
        raise _lost(file, error) from None
    return known


def _lost(file: Path, error: Exception) -> ValueError:
    """What somebody needs to know whose training cannot be gone on with."""
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    models = [folder for folder in (file.parent / "model", file.parent) if _is_whole(folder / "model.safetensors")]
    kept = f"; the weights of the last save are whole, in {models[0]}" if models else ""
    return ValueError(
        f"{file} is damaged, this training cannot go on ({reason}): its step, its optimisers and the weights in it are "
        f"lost{kept}. To begin anew, remove {file.name}, or give another --out"
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
