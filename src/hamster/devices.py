"""Torch devices and number formats of planners and policies."""

from __future__ import annotations

import platform
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

DTYPES = ("auto", "float32", "bfloat16", "float16")


def choose_device(device: str | None = None) -> torch.device:
    """Return the device of that name; by default the GPU where there is one, else the CPU.

    Raises:
        ValueError: if this machine has no such device; the message lists those that it has.
    """
    import torch

    if device is None:
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        chosen = torch.device(device)
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError, ImportError, TypeError):  # no such type or index, no driver, or no name
        available = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count()))]
        available += ["mps"] if torch.backends.mps.is_available() else []
        raise ValueError(f"no device {device!r} here; there are: {', '.join(available)}") from None
    return chosen


def computes_bfloat16(device: torch.device) -> bool:
    """Return whether a device has instructions for bfloat16; without them it is emulated, several times slower."""
    import torch

    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if device.type != "cpu":
        return False
    if platform.machine().lower() in ("x86_64", "amd64"):
        return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def check_dtype(dtype: str) -> str:
    """Return the name of a number format unchanged; ValueError if it is not in `DTYPES`."""
    if dtype not in DTYPES:
        raise ValueError(f"unknown dtype {dtype!r}; there are: {', '.join(DTYPES)}")
    return dtype
