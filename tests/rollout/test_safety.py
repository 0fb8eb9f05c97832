from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.rollout import Gate, MotionRefusedError
from hamster.sim.motion import down_pose

ANY = st.floats(allow_nan=True, allow_infinity=True, width=64)


@given(st.tuples(ANY, ANY, ANY), st.floats(-4, 4))
def test_nothing_that_passes_is_outside_the_box(position, yaw):
    gate = Gate()
    pose = down_pose(np.zeros(3), yaw)
    pose[:3, 3] = position
    try:
        gate.check(pose[None], np.array([True]))
    except MotionRefusedError:
        return
    assert all(low <= x <= high for low, x, high in zip(gate.low, position, gate.high, strict=True))


@pytest.mark.parametrize(
    ("poses", "openings"),
    [
        (np.zeros((0, 4, 4)), np.zeros(0)),
        (np.eye(4), np.ones(1)),
        (down_pose((0.5, 0, 0.1), 0)[None], np.ones(2)),
        (down_pose((0.5, 0, 0.1), 0)[None], np.array([np.nan])),
        (2 * down_pose((0.25, 0, 0.1), 0)[None], np.ones(1)),
        (down_pose((0.5, 0, 0.1), 0)[None] * [[1], [1], [-1], [1]], np.ones(1)),  # a reflection
    ],
)
def test_what_is_no_motion_is_refused(poses, openings):
    with pytest.raises(MotionRefusedError):
        Gate().check(poses, openings)


def test_the_message_names_the_keypose():
    good, bad = down_pose((0.5, 0, 0.1), 0), down_pose((5.0, 0, 0.1), 0)
    with pytest.raises(MotionRefusedError, match=r"keypose 1: .*outside the workspace"):
        Gate().check(np.stack([good, bad]), np.ones(2))
