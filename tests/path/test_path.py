import json

import numpy as np
import pytest
from hypothesis import given, settings

from hamster.path import Gripper, Path2D
from tests.path.strategies import paths

UV = np.array([[0.2, 0.7], [0.5, 0.3]])
GOOD = {"uv": UV, "gripper": np.array([1, 0]), "depth_m": np.array([0.4, 0.6]), "score": 0.5}


@settings(max_examples=30)
@given(paths())
def test_a_path_comes_back_from_json_and_is_equal(path):
    assert Path2D.from_json(json.loads(json.dumps(path.to_json()))) == path
    assert path != path.to_json()


@pytest.mark.parametrize("score", [None, 0, 0.3, 1])
def test_depth_and_score_come_back_too(score):
    path = Path2D(**GOOD | {"score": score})
    assert Path2D.from_json(path.to_json()) == path
    assert path not in (Path2D(**GOOD | {"score": 0.7}), Path2D(**GOOD | {"score": score, "depth_m": None}))


def test_heights_come_back_and_are_only_written_where_known():
    path = Path2D(**GOOD | {"height_m": np.array([0.2, -0.01])})
    assert Path2D.from_json(json.loads(json.dumps(path.to_json()))) == path != Path2D(**GOOD)
    assert "height_m" not in Path2D(**GOOD).to_json()


def test_a_path_keeps_its_own_copy_that_nobody_writes_to():
    uv = UV.copy()
    path = Path2D(uv, [1, 0])
    uv[0] = 0
    assert np.array_equal(path.uv, UV)
    with pytest.raises(ValueError, match="read-only"):
        path.uv[0] = 0


def test_an_event_is_where_the_state_changes():
    path = Path2D(np.full((5, 2), 0.5), [-1, 1, 1, 0, 1])
    assert path.events == [(1, Gripper.OPEN), (3, Gripper.CLOSED), (4, Gripper.OPEN)]


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"uv": np.zeros((0, 2)), "gripper": []}, "shape"),
        ({"height_m": [0.1]}, "2 finite metres"),
        ({"height_m": [0.1, np.nan]}, "2 finite metres"),
        ({"uv": np.zeros((2, 3))}, "shape"),
        *[({"uv": [[0.5, 0.5], [0.5, bad]]}, r"in \[0, 1\]") for bad in (-1e-9, 1 + 1e-9, np.nan, np.inf)],
        *[({"gripper": bad}, "gripper must be") for bad in ([1], [1, 2], [-2, 0])],
        *[({"depth_m": [0.4, bad]}, "depth_m must be") for bad in (0, -1, np.nan, np.inf)],
        ({"depth_m": [0.4]}, "depth_m must be"),
        *[({"score": bad}, "score must be") for bad in (-1e-9, 1 + 1e-9, np.nan)],
    ],
)
def test_what_is_no_path_is_refused(change, complaint):
    with pytest.raises(ValueError, match=complaint):
        Path2D(**GOOD | change)
