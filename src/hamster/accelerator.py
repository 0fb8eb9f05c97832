"""The `Accelerator` of both trainings."""

from __future__ import annotations

from typing import Any

import torch

from hamster.devices import computes_bfloat16


def start_accelerator(bf16: bool, *handlers: Any) -> Any:
    """Return an `Accelerator` for one training on the processes that were launched.

    Args:
        bf16: run networks in bfloat16 where the device has instructions for it, else in float32.
        handlers: Accelerate's keyword handlers.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    # It keeps the precision of a previous training and refuses another. transformers' Trainer resets it, too.
    AcceleratorState._reset_state()
    # Without a GPU it ignores the other processes, unless cpu=True.
    cpu = not torch.cuda.is_available()
    bf16 &= computes_bfloat16(torch.device("cpu" if cpu else "cuda"))
    return Accelerator(mixed_precision="bf16" if bf16 else "no", cpu=cpu, kwargs_handlers=list(handlers))
