"""A second device without a GPU: tensors that say they are on "meta", hold their numbers, and mix with no others.

As on a GPU, an operation with a tensor here and one there is refused, `.numpy()` fails, and a generator of the CPU
draws on the CPU only. So a network that runs here, with the CPU's answer, moves everything that a GPU needs moved.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any
from unittest.mock import patch

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map

THERE = torch.device("meta")
AUTOCAST, TENSOR = torch.autocast, torch.tensor


class Elsewhere(Tensor):
    """A tensor on the second device; its numbers are in `here`."""

    here: Tensor

    @staticmethod
    def __new__(cls, here: Tensor, requires_grad: bool = False) -> Elsewhere:
        made: Elsewhere = torch.Tensor._make_wrapper_subclass(
            cls, here.size(), strides=here.stride(), storage_offset=here.storage_offset(), dtype=here.dtype,
            device=THERE, requires_grad=requires_grad,
        )  # fmt: skip
        made.here = here.detach()
        return made

    __torch_function__ = torch._C._disabled_torch_function_impl

    @classmethod
    def __torch_dispatch__(cls, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})

    def tolist(self) -> Any:
        return self.here.tolist()


class _Mode(TorchDispatchMode):
    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        return _computed(func, args, kwargs or {})


@contextmanager
def second_device() -> Iterator[torch.device]:
    """Make "meta" a device that computes."""
    overwrites = torch.__future__.get_overwrite_module_params_on_conversion()
    torch.__future__.set_overwrite_module_params_on_conversion(True)  # a parameter's data cannot become another class
    with (
        patch("torch.autocast", _autocast),
        patch("torch.tensor", _tensor),
        patch("torch.inference_mode", torch.no_grad),  # inference tensors cannot be wrapped
        ExitStack() as stack,
    ):
        stack.callback(torch.__future__.set_overwrite_module_params_on_conversion, overwrites)
        stack.enter_context(_Mode())
        yield THERE


def _tensor(data: Any, *, device: Any = None, **options: Any) -> Tensor:
    """torch's own forgets the numbers on "meta"."""
    made = TENSOR(data, **options)
    return made if device is None else made.to(device)


def _autocast(device: str, *arguments: Any, enabled: bool = True) -> Any:
    """torch knows none for "meta"."""
    assert not enabled or device != THERE.type
    return nullcontext() if device == THERE.type else AUTOCAST(device, *arguments, enabled=enabled)


def _computed(func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
    flat, _ = tree_flatten((args, kwargs))
    tensors = [each for each in flat if isinstance(each, Tensor)]
    there = [each for each in tensors if isinstance(each, Elsewhere)]
    target = kwargs.get("device")
    goes_there = target is not None and target.type == THERE.type
    is_copy = func in (torch.ops.aten._to_copy.default, torch.ops.aten.copy_.default)
    if there and not is_copy:
        strangers = [each for each in tensors if not isinstance(each, Elsewhere) and each.dim()]
        if strangers:
            raise RuntimeError(f"{func}: expected all tensors on one device, got {THERE} and {strangers[0].device}")
    if kwargs.get("generator") is not None and (there or goes_there):
        raise RuntimeError(f"{func}: a generator of the CPU cannot draw on {THERE}")
    if goes_there:
        kwargs = kwargs | {"device": torch.device("cpu")}
    args, inner = tree_map(_unwrapped, (args, kwargs))
    found = func(*args, **inner)
    arguments = func._schema.arguments
    if arguments and arguments[0].alias_info is not None and arguments[0].alias_info.is_write:
        return tensors[0]  # it worked in place
    stays = goes_there or (bool(there) and target is None)
    return tree_map(_wrapped, found) if stays else found


def _unwrapped(value: Any) -> Any:
    return value.here if isinstance(value, Elsewhere) else value


def _wrapped(value: Any) -> Any:
    return Elsewhere(value) if isinstance(value, Tensor) and not isinstance(value, Elsewhere) else value
