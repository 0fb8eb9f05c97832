import torch
from torch import nn

from hamster.muon import Muon
from hamster.nano import HamsterNanoConfig, HamsterNanoForConditionalGeneration
from hamster.planner.nano_training import optimisers


def test_a_kernel_is_stepped_as_the_matrix_of_its_output_rows():
    kernel, matrix = (nn.Parameter(torch.arange(36.0).reshape(shape)) for shape in ((2, 2, 3, 3), (2, 18)))
    grad = torch.randn(2, 18, generator=torch.Generator().manual_seed(0))
    ours = Muon([kernel], lr=0.1, weight_decay=0.0)
    theirs = torch.optim.Muon([matrix], lr=0.1, weight_decay=0.0)
    for _ in range(3):
        kernel.grad, matrix.grad = grad.reshape(2, 2, 3, 3).clone(), grad.clone()
        ours.step()
        theirs.step()
        ours.zero_grad()
    torch.testing.assert_close(kernel.detach().flatten(1), matrix.detach())
    assert kernel.grad is None


def test_every_weight_has_one_optimiser():
    model = HamsterNanoForConditionalGeneration(HamsterNanoConfig())
    probes = nn.Linear(3, 3)
    found = optimisers.build(model, probes, 0.1, 0.1, 0.0)
    addresses = [p.data_ptr() for o in found.values() for group in o.param_groups for p in group["params"]]
    expected = {p.data_ptr() for module in (model, probes) for p in module.parameters()}
    assert len(addresses) == len(set(addresses)) and set(addresses) == expected
