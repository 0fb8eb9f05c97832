"""Accelerate as both trainings start it."""

from __future__ import annotations

from typing import Any

import torch


def start_accelerator(bf16: bool, *handlers: Any) -> Any:
    """An `Accelerator` of the processes that were started, for one training.

    Args:
        bf16: run networks in bfloat16.
        handlers: Accelerate's keyword handlers.
    """
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState

    # It would remember the precision of the training before, and refuse another. transformers' Trainer does the same.
    AcceleratorState._reset_state()
    # Without a GPU it would overlook the other processes, unless it is told to use the CPU.
    cpu = not torch.cuda.is_available()
    return Accelerator(mixed_precision="bf16" if bf16 else "no", cpu=cpu, kwargs_handlers=list(handlers))
