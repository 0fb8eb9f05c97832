"""One training in the processes that `torchrun` starts: each takes its share of a batch, gradients are averaged."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from torch import Tensor, nn


def start() -> str:
    """Joins the other processes, if `torchrun` started any; returns the device that is this one's to use."""
    cuda = torch.cuda.is_available()
    if int(os.environ.get("WORLD_SIZE", "1")) > 1 and not dist.is_initialized():
        dist.init_process_group("nccl" if cuda else "gloo")
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if cuda else "cpu"


def rank() -> int:
    """This process's number; the one with 0 writes and reports."""
    return dist.get_rank() if dist.is_initialized() else 0


def processes() -> int:
    """How many there are."""
    return dist.get_world_size() if dist.is_initialized() else 1


@contextmanager
def first_alone() -> Iterator[None]:
    """Lets process 0 through before the others: what it leaves on disk is not made twice."""
    if rank() > 0:
        dist.barrier()
    yield
    if rank() == 0 and processes() > 1:
        dist.barrier()


def agree(value: float) -> float:
    """The value that process 0 has: clocks differ."""
    if processes() == 1:
        return value
    shared = torch.tensor([value], dtype=torch.float64, device="cuda" if dist.get_backend() == "nccl" else "cpu")
    dist.broadcast(shared, 0)
    return float(shared)


def average_gradients(modules: Iterable[nn.Module]) -> None:
    """Replaces each gradient by its mean over all processes."""
    if processes() == 1:
        return
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
    flat = torch.cat([grad.flatten() for grad in grads])
    dist.all_reduce(flat)
    means: tuple[Tensor, ...] = torch.split(flat / processes(), [grad.numel() for grad in grads])
    for parameter, mean in zip(parameters, means, strict=True):
        parameter.grad = mean.view_as(parameter)
