"""Check a policy type of a user on two samples before it is trained, so that its errors are found at once."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from hamster.policy.actor import AnyActor, Prediction, Target, TensorBatch
from hamster.policy.training.samples import Samples, collate


def check_actor(actor: AnyActor, samples: Samples) -> None:
    """Call an untrained actor's methods once and check what they return; neither weights nor random state change.

    Args:
        actor: on the CPU.
        samples: of its training.

    Raises:
        ValueError: one line that names the method, what it returned and what it must return.
    """
    name, generator = type(actor).__name__, torch.Generator().manual_seed(0)
    pairs = [samples[0, place] for place in range(2)]
    _check_inputs(name, [inputs for inputs, _ in pairs])
    inputs, target = collate(pairs)
    was_training = actor.training
    actor.eval()
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        losses, prediction = actor.compute_loss(inputs, target, generator), actor.predict(inputs, generator)
    actor.train(was_training)
    _check_losses(name, losses)
    _check_prediction(name, prediction, target)


def _check_inputs(name: str, samples: list[Any]) -> None:
    for sample in samples:
        if not isinstance(sample, TensorBatch):
            raise ValueError(
                f"{name}.preprocess returned a {type(sample).__name__}; return a dataclass derived from "
                "hamster.policy.actor.TensorBatch"
            )
    first, second = ({key: tuple(value.shape) for key, value in sample.flatten().items()} for sample in samples)
    for key in sorted(first.keys() | second.keys()):
        if first.get(key) != second.get(key):
            raise ValueError(
                f"{name}.preprocess: the field {key} is of shape {first.get(key)} in one sample and {second.get(key)} "
                "in another; samples are stacked, so that shapes must be equal (pad them)"
            )


def _check_losses(name: str, losses: Any) -> None:
    if not isinstance(losses, dict) or not losses:
        raise ValueError(
            f'{name}.compute_loss returned a {type(losses).__name__}; return losses by name, {{"position": …}}'
        )
    for key, loss in losses.items():
        if not isinstance(loss, Tensor) or loss.ndim:
            what = f"shape {tuple(loss.shape)}" if isinstance(loss, Tensor) else f"type {type(loss).__name__}"
            raise ValueError(
                f"{name}.compute_loss: the loss {key} is of {what}; return a tensor of one number (loss.mean())"
            )


def _check_prediction(name: str, prediction: Any, target: Target) -> None:
    if not isinstance(prediction, Prediction):
        raise ValueError(
            f"{name}.predict returned a {type(prediction).__name__}; return a hamster.policy.actor.Prediction"
        )
    expected = {
        "position": target.position,
        "rotation": target.rotation,
        "is_open": target.is_open,
        "done": target.done,
        "contact_prob": target.is_open,
        "score": target.done,
    }
    for field, like in expected.items():
        if (shape := tuple(getattr(prediction, field).shape)) != tuple(like.shape):
            raise ValueError(
                f"{name}.predict: {field} is of shape {shape}; for a batch of {len(target.done)} it must be "
                f"{tuple(like.shape)}"
            )
