import itertools

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hamster.policy.views.cube import VIEWS, to_px, to_view_axes
from hamster.policy.views.renderer import render

ALL = tuple(VIEWS)


def _brute(local: NDArray, on: NDArray, features: NDArray, views: tuple[str, ...], size: int, splat: int) -> NDArray:
    """One point after the other, one pixel after the other."""
    image = np.zeros((len(local), len(views), size, size, features.shape[-1]), np.float32)
    for b, (v, name) in itertools.product(range(len(local)), enumerate(views)):
        nearest_pixel = np.full((size, size), np.inf)
        for i in np.flatnonzero(on[b]):
            if np.abs(local[b, i]).max() >= 1:
                continue
            right, down, depth = to_view_axes(torch.from_numpy(local[b, i]), (name,))[0].tolist()
            column, row = (min(int(c), size - 1) for c in to_px(torch.tensor([right, down]), size).tolist())
            depth = np.float32(depth) + np.float32(1)
            for r, c in itertools.product(
                range(row - splat, row + splat + 1), range(column - splat, column + splat + 1)
            ):
                if 0 <= r < size and 0 <= c < size and depth < nearest_pixel[r, c]:
                    nearest_pixel[r, c], image[b, v, r, c] = depth, features[b, i]
    return image


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    size=st.sampled_from([1, 2, 5, 8]),
    splat=st.integers(0, 2),
    count=st.integers(0, 40),
    coarse=st.booleans(),
)
def test_equals_drawing_one_point_after_the_other(seed: int, size: int, splat: int, count: int, coarse: bool) -> None:
    rng = np.random.default_rng(seed)
    local = rng.uniform(-1.3, 1.3, (2, count, 3)).astype(np.float32)
    if coarse:  # many points at the same place and depth, on the edges of pixels and of the cube
        local = np.round(local * 4) / 4
    on, features = rng.random((2, count)) < 0.8, rng.uniform(1, 2, (2, count, 3)).astype(np.float32)
    drawn, hit = render(*map(torch.from_numpy, (local, on, features)), ALL, size, splat)
    expected = _brute(local, on, features, ALL, size, splat)
    np.testing.assert_array_equal(drawn.numpy(), expected)
    np.testing.assert_array_equal(hit.numpy(), expected.any(-1))


def test_of_points_at_the_same_depth_the_first_is_drawn() -> None:
    local = torch.zeros(1, 3, 3)
    features = torch.tensor([[[1.0], [2.0], [3.0]]])
    drawn, _ = render(local, torch.tensor([[False, True, True]]), features, ("top",), 3)
    assert drawn[0, 0, 1, 1, 0] == 2


@pytest.mark.parametrize("name", ALL)
def test_what_lies_behind_a_virtual_camera_is_not_drawn(name: str) -> None:
    """A zoomed cube is not painted over by what is above it, and shows all that is in it."""
    into, sign = VIEWS[name].axes[2], VIEWS[name].signs[2]
    local = torch.zeros(1, 2, 3)
    local[0, 0, into], local[0, 1, into] = -1.5 * sign, 0.9 * sign
    drawn, hit = render(local, torch.ones(1, 2, dtype=torch.bool), torch.tensor([[[1.0], [2.0]]]), (name,), 4)
    assert hit.sum() == 1 and drawn.max() == 2


def test_a_point_in_the_middle_of_a_pixel_projects_to_its_middle() -> None:
    size = 8
    right_down = (torch.stack(torch.meshgrid(torch.arange(8.0), torch.arange(8.0), indexing="xy"), -1) + 0.5) / 4 - 1
    local = torch.zeros(1, 64, 3)
    local[0, :, :2] = right_down.flatten(0, 1) * torch.tensor([1, -1])  # of the view from above
    at = to_px(to_view_axes(local, ("top",))[0, :, 0, :2], size)
    drawn, hit = render(local, torch.ones(1, 64, dtype=torch.bool), at[None], ("top",), size)
    middles = torch.arange(8.0) + 0.5
    assert hit.all()
    torch.testing.assert_close(drawn[0, 0], torch.stack(torch.meshgrid(middles, middles, indexing="xy"), -1))


def test_views_are_rotations() -> None:
    axes = to_view_axes(torch.eye(3), ALL).transpose(0, 1)  # (V, axis, image axis)
    torch.testing.assert_close(torch.linalg.det(axes.double()), torch.ones(len(ALL), dtype=torch.float64))


def test_splats_close_a_surface() -> None:
    rng = np.random.default_rng(0)
    local = torch.from_numpy(rng.uniform(-1, 1, (1, 6000, 3)).astype(np.float32))
    local[..., 2] = 0
    on = torch.ones(1, 6000, dtype=torch.bool)
    bare, closed = (render(local, on, local, ("top",), 64, splat)[1] for splat in (0, 1))
    assert not bare.all() and closed.all()
