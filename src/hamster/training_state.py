"""A training's whole state in one safetensors file, written atomically: it survives a kill at any moment."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path as File
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from hamster.files import replacing


def save(
    file: File, modules: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer], known: Mapping[str, Any]
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
    file: File, modules: Mapping[str, nn.Module], optimisers: Mapping[str, Optimizer], may_grow: Collection[str] = ()
) -> dict[str, Any]:
    """Restore what `save` wrote into the same modules and optimisers; returns the facts.

    Modules named in `may_grow` may have got parameters since, which stay as they are.
    """
    with safe_open(file, "pt") as saved:
        tensors = {key: saved.get_tensor(key) for key in saved.keys()}  # noqa: SIM118  # not a dict
    for name, module in modules.items():
        own = {k.removeprefix(f"{name}/"): v for k, v in tensors.items() if k.startswith(f"{name}/")}
        module.load_state_dict(own, strict=name not in may_grow)
    for name, optimiser in optimisers.items():
        optimiser.load_state_dict({**optimiser.state_dict(), "state": _states(name, tensors)})
    return facts(file)


def facts(file: File) -> dict[str, Any]:
    """The plain facts alone."""
    with safe_open(file, "pt") as saved:
        found: dict[str, Any] = json.loads(saved.metadata()["facts"])
    return found


def _states(name: str, tensors: Mapping[str, Tensor]) -> dict[int, dict[str, Tensor]]:
    states: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith(f"{name}/"):
            _, number, field = key.split("/", 2)
            states.setdefault(int(number), {})[field] = value
    return states
