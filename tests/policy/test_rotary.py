import torch

from hamster.policy.layers import apply_rotary, rope_3d


def _logits(positions: torch.Tensor, query: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    code = rope_3d(positions, query.shape[-1])
    return apply_rotary(query, code) @ apply_rotary(key, code).mT


def test_logits_depend_on_differences_of_positions_alone_in_every_head() -> None:
    torch.manual_seed(0)
    positions, query, key = torch.rand(2, 30, 3), torch.randn(2, 4, 30, 32), torch.randn(2, 4, 30, 32)
    moved = positions + torch.tensor([0.37, -0.81, 0.24])
    torch.testing.assert_close(_logits(moved, query, key), _logits(positions, query, key), atol=2e-3, rtol=0)


def test_every_head_feels_every_axis_at_five_millimetres() -> None:
    torch.manual_seed(0)
    positions, query, key = torch.rand(1, 30, 3), torch.randn(1, 4, 30, 32), torch.randn(1, 4, 30, 32)
    for axis in range(3):
        moved = positions.clone()
        moved[:, 0, axis] += 0.005
        change = (_logits(moved, query, key) - _logits(positions, query, key))[:, :, 0, 1:].abs()
        assert (change.amax(-1) > 0.1).all()


def test_turning_keeps_lengths() -> None:
    x = torch.randn(2, 3, 7, 16)
    torch.testing.assert_close(apply_rotary(x, rope_3d(torch.rand(2, 7, 3), 16)).norm(dim=-1), x.norm(dim=-1))
