"""A user's policy type is checked on two samples before it is trained."""

from __future__ import annotations

import pytest
import torch

from hamster.policy.actor import Prediction, Target
from hamster.policy.policy_input import PointBatch
from hamster.policy.training.check_actor import check_actor

TARGET = Target(torch.zeros(1, 3), torch.eye(3)[None], torch.ones(1), torch.tensor(0.0), torch.ones(1))


class Samples:
    """Two samples of given numbers of points."""

    def __init__(self, *lengths: int) -> None:
        self.lengths = lengths

    def __getitem__(self, index):
        n = self.lengths[index[1]]
        return PointBatch(torch.zeros(n, 3), torch.zeros(n, 2), torch.ones(n, dtype=torch.bool)), TARGET


class Mine(torch.nn.Module):
    """An actor that returns what it is given."""

    def __init__(self, losses=None, **changes) -> None:
        super().__init__()
        fields = {
            "position": torch.zeros(2, 1, 3), "rotation": torch.zeros(2, 1, 3, 3), "is_open": torch.zeros(2, 1),
            "done": torch.zeros(2), "contact_prob": torch.zeros(2, 1), "score": torch.zeros(2),
        } | changes  # fmt: skip
        self.losses = {"position": torch.rand(())} if losses is None else losses
        self.prediction = Prediction(**fields)

    def compute_loss(self, inputs, target, generator):
        return self.losses

    def predict(self, inputs, generator):
        torch.rand(3)
        return self.prediction


def test_a_right_actor_passes_and_random_state_stays() -> None:
    actor, before = Mine(), torch.random.get_rng_state()
    check_actor(actor, Samples(4, 4))
    assert torch.equal(before, torch.random.get_rng_state()) and actor.training


@pytest.mark.parametrize(
    ("actor", "samples", "words"),
    [
        (Mine(), Samples(4, 5), r"Mine.preprocess: the field features is of shape \(4, 2\) in one sample and \(5, 2\)"),
        (Mine(torch.zeros(())), Samples(4, 4), "Mine.compute_loss returned a Tensor; return losses by name"),
        (Mine({"a": torch.zeros(3)}), Samples(4, 4), r"the loss a is of shape \(3,\); return a tensor of one number"),
        (Mine({"a": 0.5}), Samples(4, 4), "the loss a is of type float"),
        (Mine(position=torch.zeros(2, 3)), Samples(4, 4), r"position is of shape \(2, 3\); .* must be \(2, 1, 3\)"),
        (Mine(score=torch.zeros(2, 1)), Samples(4, 4), r"score is of shape \(2, 1\); .* must be \(2,\)"),
    ],
)
def test_a_mistake_is_named(actor, samples, words) -> None:
    with pytest.raises(ValueError, match=words):
        check_actor(actor, samples)


def test_inputs_must_be_a_tensor_batch() -> None:

    class Dicts:
        def __getitem__(self, index):
            return {"rgb": torch.zeros(1)}, TARGET

    with pytest.raises(ValueError, match=r"preprocess returned a dict; .*TensorBatch"):
        check_actor(Mine(), Dicts())
