"""Load weights from untrusted files into networks: complete, finite, and of the right shapes."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn
from torch.nn.modules.module import register_module_parameter_registration_hook

from hamster.inspect_checkpoint import unreadable

Network = TypeVar("Network", bound=nn.Module)
LISTED = 3  # names in a message


def read_tensors(file: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, on the CPU.

    Raises:
        ValueError: if it is missing or damaged.
    """
    try:
        with safe_open(str(file), "pt") as stored:
            return {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  # it is no dictionary
    except (SafetensorError, OSError) as error:
        raise unreadable(file, error) from None


def check_finite(tensors: Mapping[str, Tensor], where: object) -> None:
    """Refuse weights with a NaN or an infinity: such a network answers with confidence, and wrongly.

    A sum of finite numbers is finite unless it overflows: one pass is enough for good weights, and the check is exact
    for bad ones. It takes about as long as reading them from memory.

    Raises:
        ValueError: with the names of such tensors.
    """
    bad = [name for name, tensor in tensors.items() if not _is_finite(tensor)]
    if bad:
        raise ValueError(
            f"{where} holds weights that are no finite numbers ({_listed(bad)}): its training diverged, or the file is "
            "damaged; name another checkpoint"
        )


def check_finite_files(files: Iterable[Path]) -> None:
    """Refuse safetensors files with a NaN or an infinity, reading one tensor at a time; see `check_finite`.

    For weights that are quantized while they are loaded, after which they cannot be checked.

    Raises:
        ValueError: if a file is missing or damaged, or with the names of such tensors.
    """
    for file in files:
        try:
            with safe_open(str(file), "pt") as stored:
                for name in stored.keys():  # noqa: SIM118  # it is no dictionary
                    check_finite({name: stored.get_tensor(name)}, file)
        except (SafetensorError, OSError) as error:
            raise unreadable(file, error) from None


def load_weights(network: nn.Module, tensors: Mapping[str, Tensor], where: object, may_lack: str = "") -> None:
    """Load tensors into a network that was built for them.

    Args:
        network: to fill; floating-point numbers are converted to its own format.
        tensors: by name.
        where: for messages.
        may_lack: prefix of names of weights that may be missing and then keep their values.

    Raises:
        ValueError: if a tensor is missing, unexpected, of another shape or kind of number, or not finite.
    """
    check_fit(network, tensors, where, may_lack)
    own = network.state_dict()
    check_finite({name: tensor.to(own[name].dtype) for name, tensor in tensors.items()}, where)  # as converted
    network.load_state_dict(dict(tensors), strict=False)


def check_fit(network: nn.Module, tensors: Mapping[str, Tensor], where: object, may_lack: str = "") -> None:
    """Refuse tensors that are not those of a network, which may be on the meta device; see `load_weights`."""
    own, parameters = network.state_dict(), {name for name, _ in network.named_parameters()}
    lacking = [name for name in own if name not in tensors and not (may_lack and name.startswith(may_lack))]
    left = [name for name in tensors if name not in own]
    if lacking or left:
        parts = [f"{what} {_listed(names)}" for what, names in (("lacking", lacking), ("left over", left)) if names]
        raise ValueError(f"{where}: the weights do not fit config.json: {'; '.join(parts)}")
    for name, tensor in tensors.items():
        expected = own[name]
        # A buffer that is empty in the network takes the file's shape.
        if expected.shape != tensor.shape and (name in parameters or expected.numel()):
            shapes = f"{list(tensor.shape)} instead of {list(expected.shape)}"
            raise ValueError(f"{where}: the weights do not fit config.json: {name} has shape {shapes}")
        if expected.is_floating_point() != tensor.is_floating_point() or expected.is_complex() != tensor.is_complex():
            raise ValueError(f"{where}: {name} holds {_name(tensor.dtype)} where {_name(expected.dtype)} belongs")


def build_for(build: Callable[[], Network], tensors: Mapping[str, Tensor], where: object) -> Network:
    """Build the network of a configuration, after checking that it is no larger than its weights.

    It is built on the meta device first, where nothing is allocated, so that a configuration of terabytes is a
    one-line error.

    Args:
        build: builds the network; what it raises for an invalid configuration becomes a ValueError.
        tensors: its weights.
        where: the configuration, for messages.

    Raises:
        ValueError: if nothing can be built of the configuration, or it is larger than the weights.
    """
    with bounded(len(tensors), sum(tensor.numel() for tensor in tensors.values()), where):
        try:
            with torch.device("meta"):
                build()
        except (ArithmeticError, AssertionError, AttributeError, LookupError, RuntimeError, TypeError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ValueError(f"{where}: no network can be built of it ({type(error).__name__}: {reason})") from None
    return build()


@contextmanager
def bounded(tensors: int, numbers: int, where: object) -> Iterator[None]:
    """Refuse networks far larger than a checkpoint's weights while they are built, before anything is allocated.

    The files may hold slightly fewer weights than are built (tied or packed weights, conditioners without weights).

    Args:
        tensors: number of tensors in the weight files.
        numbers: number of elements in them.
        where: the configuration, for messages.

    Raises:
        ValueError: as soon as the network has many times as many parameters.
    """
    count = size = 0
    most_tensors, most_numbers, thread = 4 * tensors + 1000, 10 * numbers + 10_000_000, threading.get_ident()

    def check_size(module: nn.Module, name: str, parameter: nn.Parameter | None) -> None:
        nonlocal count, size
        if parameter is None or threading.get_ident() != thread:
            return
        count, size = count + 1, size + parameter.numel()
        if count > most_tensors or size > most_numbers:
            raise ValueError(
                f"{where} describes a network far larger than its weights, which have {tensors} tensors and {numbers} "
                "numbers: it belongs to another checkpoint, or is damaged"
            )

    hook = register_module_parameter_registration_hook(check_size)
    try:
        yield
    finally:
        hook.remove()


def _is_finite(tensor: Tensor) -> bool:
    if not (tensor.is_floating_point() or tensor.is_complex()) or tensor.is_meta:
        return True
    wide = tensor.float() if tensor.is_floating_point() and tensor.element_size() < 2 else tensor
    total = wide.sum(dtype=torch.float32 if wide.element_size() < 4 else None)
    return bool(torch.isfinite(total)) or bool(torch.isfinite(wide).all())


def _listed(names: list[str]) -> str:
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
