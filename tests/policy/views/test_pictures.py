"""Layers that are rendered over the points."""

from dataclasses import replace

import torch

from hamster.policy.policy_input import PointBatch, Proprioception
from hamster.policy.views.config import ViewsConfig
from hamster.policy.views.inputs import ViewsInputs
from hamster.policy.views.pictures import layer_channels, layers

CONFIG = ViewsConfig(view_px=32, conditioners=("cloud", "channels"))
HALF_M = 0.1


def _inputs(waypoint: tuple[float, float, float]) -> ViewsInputs:
    """A tool at the origin, one waypoint, and one point of a surface at the same place."""
    point, valid = torch.tensor([[waypoint]]), torch.ones(1, 1, dtype=torch.bool)
    n_features = layer_channels(CONFIG)["cloud"] - 3
    return ViewsInputs(
        points=point,
        rgb=torch.full((1, 1, 3), 255, dtype=torch.uint8),
        valid=valid,
        channels={"channels": torch.ones(1, 1, layer_channels(CONFIG)["channels"])},
        robot=Proprioception(torch.eye(3)[None], torch.ones(1, 2), torch.zeros(1, 1, 3), torch.zeros(1, 1, 2)),
        path_points={"cloud": PointBatch(point, torch.ones(1, 1, n_features), valid)},
        words=torch.zeros(1, 0, 64),
    )


def _middle(drawn: torch.Tensor) -> tuple[float, float]:
    """Row and column around which a view (S, S, C) has something."""
    rows, columns = (drawn.abs().sum(-1) > 0).nonzero().float().unbind(-1)
    return float(rows.mean()), float(columns.mean())


def test_tool_and_path_outside_a_zoomed_cube_are_on_its_border_in_their_own_row() -> None:
    """From the front, right is +y and down is -z; the cube is centred a quarter of a metre to the tool's right."""
    front = CONFIG.virtual_views.index("front")
    drawn = layers(CONFIG, _inputs((0.0, 0.25, -0.5)), torch.tensor([[0.0, 0.25, 0.05]]), HALF_M)
    row, column = _middle(drawn["robot"][0, front])
    assert abs(row - 23.5) <= 1 and column <= 1, "5 cm below the middle, far to the left"
    row, column = _middle(drawn["cloud"][0, front])
    assert row >= 30 and abs(column - 15.5) <= 1, "far below, in the middle"
    assert not drawn["channels"].any(), "surfaces are left out"


def test_inside_the_cube_everything_is_where_it_is() -> None:
    drawn = layers(CONFIG, _inputs((0.0, 0.05, 0.05)), torch.zeros(1, 3), HALF_M)
    front = CONFIG.virtual_views.index("front")
    assert all(abs(a - b) <= 1 for a, b in zip(_middle(drawn["cloud"][0, front]), (7.5, 23.5), strict=True))
    assert torch.equal(drawn["cloud"][0, front].any(-1), drawn["channels"][0, front].any(-1))


def test_far_positions_are_clamped() -> None:
    near, far = (layers(CONFIG, _inputs((0.0, y, 0.0)), torch.zeros(1, 3), HALF_M)["cloud"] for y in (0.5, 5.0))
    assert torch.equal(near, far)
    assert not torch.equal(near, layers(replace(CONFIG), _inputs((0.0, 0.15, 0.0)), torch.zeros(1, 3), HALF_M)["cloud"])
