"""Random rigid transforms and cameras for property tests."""

import numpy as np
from hypothesis import strategies as st

from hamster.geometry import Camera, look_at, matrix_from_quaternion, pose


def vectors(low=-2.0, high=2.0, size=3):
    return st.lists(st.floats(low, high), min_size=size, max_size=size).map(np.array)


def rotations():
    quaternions = vectors(-1, 1, 4).filter(lambda q: np.linalg.norm(q) > 0.1)
    return quaternions.map(matrix_from_quaternion)


def poses():
    return st.builds(pose, vectors(), rotations())


@st.composite
def cameras(draw):
    eye = draw(vectors(-2, 2))
    away = draw(vectors(-1, 1).filter(lambda v: np.hypot(v[0], v[1]) > 0.1))
    width, height = draw(st.integers(16, 640)), draw(st.integers(16, 640))
    focal = draw(st.floats(0.5, 3)) * width
    intrinsics = np.array([[focal, 0, width / 2], [0, focal, height / 2], [0, 0, 1]])
    return Camera(intrinsics, look_at(eye, eye + away), width, height)
