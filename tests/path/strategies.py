"""Random paths for property tests: short and long, retracing, with duplicates, with gripper events."""

import numpy as np
from hypothesis import strategies as st

from hamster.path import Gripper, Path2D

unit = st.floats(0, 1, width=32)
# A coarse grid makes duplicates, retraced stretches and points on a line likely.
grid = st.integers(0, 4).map(lambda k: k / 4)


@st.composite
def points(draw, min_size=1, max_size=40):
    coordinate = draw(st.sampled_from([unit, grid]))
    there = draw(st.lists(st.tuples(coordinate, coordinate), min_size=min_size, max_size=max_size))
    back = there[::-1] if draw(st.booleans()) and 2 * len(there) <= max_size else []
    return np.array(there + back, np.float64)


@st.composite
def paths(draw, min_size=1, max_size=40, known_stays_known=True):
    uv = draw(points(min_size, max_size))
    states = draw(st.lists(st.sampled_from(list(Gripper)), min_size=len(uv), max_size=len(uv)))
    if known_stays_known:
        for i in range(1, len(states)):
            if states[i] == Gripper.UNKNOWN:
                states[i] = states[i - 1]
    return Path2D(uv, np.array(states, np.int8))
