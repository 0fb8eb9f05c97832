import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from hamster.policy.views.cube import VIEWS, cell_to_local, to_px, to_view_axes
from hamster.policy.views.decode import Planes, best_cells, refine
from hamster.policy.views.heatmap import agreement, cross_entropy

THREE = ("top", "front", "right")
ALL = tuple(VIEWS)


def _brute(planes: Planes, k: int) -> tuple[Tensor, Tensor]:
    """All cells, sorted."""
    size = planes.xy.shape[-1]
    scores = (planes.xy[:, :, :, None] + planes.xz[:, :, None, :]) + planes.yz[:, None, :, :]
    ordered, order = scores.flatten(1).sort(dim=-1, descending=True, stable=True)
    order = order[:, :k]
    return torch.stack([order // size**2, order // size % size, order % size], -1), ordered[:, :k]


def _maps(kind: str, size: int, views: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(2, views, size, size, generator=generator)
    if kind == "flat":
        return torch.zeros_like(noise)
    if kind == "ties":
        return noise.round()
    if kind == "peaked":
        return (20 * noise).flatten(2).log_softmax(-1).view_as(noise)
    if kind == "decoys":  # each view is surest of places that the others rule out
        decoy = torch.zeros_like(noise)
        for v in range(views):
            decoy[:, v, v % size :: 3] = 50.0
        return decoy + 1e-3 * noise
    if kind == "wide":
        return noise * 10.0 ** (60 * torch.rand(noise.shape, generator=generator) - 30)
    if kind == "impossible":
        return torch.where(noise > 1, noise, -torch.inf)
    return noise


@settings(max_examples=60, deadline=None)
@given(
    kind=st.sampled_from(["random", "flat", "ties", "peaked", "decoys", "wide", "impossible"]),
    size=st.sampled_from([2, 3, 8, 20, 33]),
    k=st.sampled_from([1, 2, 5]),
    views=st.sampled_from([THREE, ALL, ("top", "front"), ("left", "back", "top")]),
    seed=st.integers(0, 1000),
)
def test_equals_a_search_of_all_cells(kind: str, size: int, k: int, views: tuple[str, ...], seed: int) -> None:
    planes = Planes.of(_maps(kind, size, len(views), seed), views)
    cells, scores = best_cells(planes, k)
    expected_cells, expected_scores = _brute(planes, k)
    assert torch.equal(scores, expected_scores)
    assert torch.equal(cells, expected_cells)


def test_most_rows_are_never_visited(monkeypatch: pytest.MonkeyPatch) -> None:
    from hamster.policy.views import decode

    visited, real = [], decode._row_scores
    monkeypatch.setattr(decode, "_row_scores", lambda p, rows: visited.append(rows.shape[1]) or real(p, rows))
    size = 96
    best_cells(Planes.of(_bells(torch.tensor([[0.3, -0.2, 0.5]]), THREE, size), THREE))
    assert sum(visited) < size**2 / 10


def _bells(local: Tensor, views: tuple[str, ...], size: int, sigma_px: float = 1.5) -> Tensor:
    """Log-probabilities (B, V, S, S) of what heat maps are trained to be."""
    at = to_px(to_view_axes(local, views)[..., :2], size)
    off = torch.arange(size) + 0.5 - at[..., None]
    logits = -0.5 * (off[:, :, 1, :, None] ** 2 + off[:, :, 0, None, :] ** 2) / sigma_px**2
    return logits.flatten(2).log_softmax(-1).view_as(logits)


@pytest.mark.parametrize("views", [THREE, ALL, ("left", "back", "top")])
def test_a_point_is_found_where_it_was_drawn_to_a_hundredth_of_a_cell(views: tuple[str, ...]) -> None:
    local = torch.rand(20, 3, generator=torch.Generator().manual_seed(0)) * 1.6 - 0.8
    planes = Planes.of(_bells(local, views, 64), views)
    point = cell_to_local(refine(planes, best_cells(planes)[0][:, 0]), 64)
    assert (point - local).abs().max() < 0.01 * 2 / 64


def test_at_the_edge_of_the_cube_the_waypoint_stays_inside() -> None:
    local = torch.tensor([[0.999, -0.999, 0.0]])
    planes = Planes.of(_bells(local, THREE, 32), THREE)
    point = cell_to_local(refine(planes, best_cells(planes)[0][:, 0]), 32)
    assert (point.abs() < 1).all() and (point - local).abs().max() < 2 * 2 / 32


def test_the_best_heat_map_is_the_gaussian_and_all_views_agree_with_it() -> None:
    local = torch.tensor([[0.31, -0.22, 0.47]])
    maps = _bells(local, THREE, 32)
    least = cross_entropy(maps, local, THREE, 1.5)
    for other in (maps + 0.1 * torch.randn_like(maps), maps.roll(1, 2), torch.zeros_like(maps)):
        assert cross_entropy(other, local, THREE, 1.5) > least
    assert agreement(maps, local, THREE, 4.5) > 0.98
    assert agreement(maps, local + 0.6, THREE, 4.5) < 0.02
    assert agreement(torch.zeros_like(maps), local, THREE, 4.5) < 0.1
