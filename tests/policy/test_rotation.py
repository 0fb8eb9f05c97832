import numpy as np
import torch

from hamster.policy.layers import matrix_from_six, six_from_matrix
from hamster.policy.rotation import angle_between


def _rotations(count: int) -> torch.Tensor:
    q, r = np.linalg.qr(np.random.default_rng(0).normal(size=(count, 3, 3)))
    q = q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None]
    q[:, :, 2] *= np.linalg.det(q)[:, None]
    return torch.from_numpy(q)


def test_six_numbers_hold_a_rotation() -> None:
    rotations = _rotations(500)
    torch.testing.assert_close(matrix_from_six(six_from_matrix(rotations)), rotations)


def test_any_six_numbers_make_a_rotation_and_their_scale_does_not_matter() -> None:
    six = torch.randn(500, 6, dtype=torch.float64)
    matrices = matrix_from_six(six)
    torch.testing.assert_close(matrices @ matrices.mT, torch.eye(3, dtype=torch.float64).expand(500, 3, 3))
    torch.testing.assert_close(torch.linalg.det(matrices), torch.ones(500, dtype=torch.float64))
    torch.testing.assert_close(matrix_from_six(six * 3), matrices)


def test_angle_between_turned_rotations() -> None:
    c, s = np.cos(0.3), np.sin(0.3)
    turn = torch.tensor([[c, -s, 0], [s, c, 0], [0, 0, 1]], dtype=torch.float64)
    rotations = _rotations(20)
    expected = torch.full((20,), 0.3, dtype=torch.float64)
    torch.testing.assert_close(angle_between(turn @ rotations, rotations), expected)
