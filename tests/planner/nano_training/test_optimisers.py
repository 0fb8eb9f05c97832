import pytest
import torch
from torch import nn

from hamster import muon
from hamster.muon import Muon, orthogonalized
from hamster.nano import HamsterNanoConfig, HamsterNanoForConditionalGeneration
from hamster.planner.nano_training import optimisers


@pytest.mark.parametrize("has_bfloat16", [True, False])
def test_a_kernel_is_stepped_as_the_matrix_of_its_output_rows(has_bfloat16, monkeypatch):
    monkeypatch.setattr(muon, "computes_bfloat16", lambda device: has_bfloat16)
    generator = torch.Generator().manual_seed(0)
    shapes = ((2, 2, 3, 3), (24, 4, 1, 1), (24, 4, 1, 1))
    kernels = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    matrices = [nn.Parameter(kernel.detach().flatten(1).clone()) for kernel in kernels]
    ours = Muon(kernels, lr=0.1, weight_decay=0.3)
    theirs = torch.optim.Muon(matrices, lr=0.1, weight_decay=0.3)
    for _ in range(3):
        for kernel, matrix in zip(kernels, matrices, strict=True):
            matrix.grad = torch.randn(matrix.shape, generator=generator)
            kernel.grad = matrix.grad.reshape(kernel.shape).clone()
        ours.step()
        theirs.step()
        ours.zero_grad()
        assert all(kernel.grad is None for kernel in kernels)
    tolerance = {} if has_bfloat16 else {"atol": 0.01, "rtol": 0.0}  # torch orthogonalises in bfloat16
    for kernel, matrix in zip(kernels, matrices, strict=True):
        torch.testing.assert_close(kernel.detach().flatten(1), matrix.detach(), **tolerance)
    assert {*ours.state_dict()["state"][0]} == {*theirs.state_dict()["state"][0]}


@pytest.mark.parametrize("shape", [(3, 16, 64), (2, 64, 16)])
def test_orthogonalized_matrices_keep_their_singular_vectors(shape):
    matrices = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    nearly = orthogonalized(matrices, (3.4445, -4.7750, 2.0315))
    left, _, right = torch.linalg.svd(matrices, full_matrices=False)
    diagonal = left.mT @ nearly @ right.mT
    values = diagonal.diagonal(dim1=1, dim2=2)
    assert values.min() > 0.3 and values.max() < 1.3
    torch.testing.assert_close(diagonal, torch.diag_embed(values), atol=1e-4, rtol=0.0)


def test_weights_without_a_gradient_stay(monkeypatch):
    monkeypatch.setattr(muon, "computes_bfloat16", lambda device: False)
    moved, still = (nn.Parameter(torch.eye(3)) for _ in range(2))
    optimiser = Muon([moved, still], lr=0.1, weight_decay=0.5)
    moved.grad = torch.ones(3, 3)
    optimiser.step()
    assert torch.equal(still, torch.eye(3)) and not torch.equal(moved, torch.eye(3))


def test_every_weight_has_one_optimiser():
    model = HamsterNanoForConditionalGeneration(HamsterNanoConfig())
    probes = nn.Linear(3, 3)
    built = optimisers.build(model, probes, 0.1, 0.1, 0.1, 0.0)
    addresses = [p.data_ptr() for o in built.values() for group in o.param_groups for p in group["params"]]
    expected = {p.data_ptr() for module in (model, probes) for p in module.parameters()}
    assert len(addresses) == len(set(addresses)) and set(addresses) == expected


def test_each_kind_of_weight_has_its_learning_rate():
    model = HamsterNanoForConditionalGeneration(HamsterNanoConfig())
    probes = nn.Linear(3, 3)
    built = optimisers.build(model, probes, 0.3, 0.2, 0.1, 0.05)
    rates = {
        p.data_ptr(): group["initial_lr"] for o in built.values() for group in o.param_groups for p in group["params"]
    }
    assert {rates[p.data_ptr()] for p in probes.parameters()} == {0.1}
    assert rates[model.tower.state_dict(keep_vars=True)["stem.weight"].data_ptr()] == 0.3
    assert rates[model.words.token.weight.data_ptr()] == 0.2
