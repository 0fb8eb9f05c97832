from __future__ import annotations

import numpy as np
import pytest
import torch

from hamster.geometry import matrix_from_quaternion
from hamster.policy.monolithic.bins import BINS, DIMENSIONS, Bins
from hamster.policy.monolithic.inputs import GOAL, POSE, UNKNOWN, as_tokens
from hamster.policy.rotation import angle_between


@pytest.fixture
def poses():
    """Positions (200, 3) and rotations (200, 3, 3) within half a radian of an odd one."""
    rng = np.random.default_rng(0)
    odd = matrix_from_quaternion([0.3, -0.8, 0.2, 0.4])
    small = matrix_from_quaternion(np.concatenate([np.ones((200, 1)), rng.uniform(-0.14, 0.14, (200, 3))], 1))
    return torch.from_numpy(rng.uniform(-0.3, 0.7, (200, 3))).float(), torch.from_numpy(odd @ small).float()


@pytest.fixture
def bins(poses):
    bins = Bins()
    bins.fit(*poses)
    return bins


def test_there_and_back_is_within_half_a_bin(bins, poses):
    position, rotation = poses
    is_open = torch.arange(200) % 2
    values = bins.values(position, rotation, is_open)
    middle = bins.decode(bins.encode(values))
    width = (bins.high - bins.low) / BINS
    assert ((middle - values).abs() <= width / 2 + 1e-6).all()
    there, turned, opened = bins.pose(middle)
    assert (there - position).norm(dim=-1).max() < width[:3].max()
    assert angle_between(turned, rotation).max() < 2 * width[3:6].max()
    assert ((opened > 0.5) == (is_open > 0.5)).all()


def test_what_was_seen_in_training_fits_and_the_rest_goes_to_the_ends(bins, poses):
    values = bins.values(*poses, torch.zeros(200))
    assert (values >= bins.low).all() and (values <= bins.high).all()
    assert (bins.encode(bins.low - 1) == 0).all() and (bins.encode(bins.high + 1) == BINS - 1).all()


def test_what_never_moves_has_a_scale_still():
    bins = Bins()
    bins.fit(torch.zeros(10, 3), torch.eye(3).expand(10, 3, 3))
    assert (bins.high > bins.low).all()
    assert torch.isfinite(bins.decode(bins.encode(torch.full((DIMENSIONS,), 0.3)))).all()


def test_the_reference_is_a_rotation(bins):
    assert torch.allclose(bins.reference @ bins.reference.T, torch.eye(3), atol=1e-5)
    assert torch.linalg.det(bins.reference) > 0


def test_no_two_numbers_share_a_token():
    tokens = [as_tokens(torch.full((DIMENSIONS,), b), kind) for b in (0, BINS - 1) for kind in (POSE, GOAL)]
    tokens = torch.cat(tokens)
    assert len(tokens.unique()) == len(tokens) and tokens.max() == UNKNOWN - 1
