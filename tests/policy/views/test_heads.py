import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hamster.policy.layers import matrix_from_six
from hamster.policy.rotation import angle_between, euler_from_matrix, matrix_from_euler
from hamster.policy.views.heads import BINS, HEADS, EulerHead


def _rotations(count: int, seed: int = 0) -> torch.Tensor:
    return matrix_from_six(torch.randn(count, 6, generator=torch.Generator().manual_seed(seed)).double())


@given(st.lists(st.floats(-3.1, 3.1), min_size=3, max_size=3))
def test_euler_angles_make_the_rotation_they_came_from(angles: list[float]) -> None:
    x, y, z = (matrix_from_euler(torch.tensor([a if i == j else 0.0 for j in range(3)], dtype=torch.float64))
               for i, a in enumerate(angles))  # fmt: skip
    rotation = z @ y @ x
    torch.testing.assert_close(matrix_from_euler(torch.tensor(angles, dtype=torch.float64)), rotation)
    torch.testing.assert_close(matrix_from_euler(euler_from_matrix(rotation)), rotation)


@pytest.mark.parametrize("sign", [1, -1])
def test_upright_rotations_have_angles_too(sign: float) -> None:
    upright = matrix_from_euler(torch.tensor([0.4, sign * torch.pi / 2, 1.1], dtype=torch.float64))
    torch.testing.assert_close(matrix_from_euler(euler_from_matrix(upright)), upright, atol=1e-6, rtol=0)


@pytest.mark.parametrize("kind", HEADS)
def test_rotations_are_learnt_far_finer_than_a_bin(kind: str) -> None:
    torch.manual_seed(0)
    rotations, generator = _rotations(6).float(), torch.Generator().manual_seed(0)
    down = torch.diag(torch.tensor([1.0, -1.0, -1.0]))  # a tool that points down is half a turn about x
    rotations[0] = down
    features, action_type = torch.eye(6), HEADS[kind](6, 64)
    optimiser = torch.optim.Adam(action_type.parameters(), lr=1e-2)
    for _ in range(300):
        loss = action_type.compute_loss(features, rotations, generator).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert angle_between(action_type(features), rotations).max().rad2deg() < 1.5 < 360 / BINS


def test_of_two_alternatives_one_is_chosen_not_their_mean() -> None:
    torch.manual_seed(0)
    both = matrix_from_euler(torch.tensor([[0.0, 0.0, 0.5], [0.0, 0.0, -0.9]]))
    action_type, generator = EulerHead(1, 32), torch.Generator().manual_seed(0)
    optimiser = torch.optim.Adam(action_type.parameters(), lr=1e-2)
    for _ in range(200):
        loss = action_type.compute_loss(torch.ones(2, 1), both, generator).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert angle_between(action_type(torch.ones(1, 1)), both).min().rad2deg() < 5
