import numpy as np
from hypothesis import given

from hamster.geometry import (
    apply,
    inverse,
    look_at,
    matrix_from_euler_xyz,
    matrix_from_quaternion,
    matrix_from_rotation_vector,
    quaternion_from_matrix,
    rotation_vector_from_matrix,
    rotation_z,
)
from tests.geometry.strategies import poses, rotations, vectors


@given(poses(), vectors())
def test_inverse_undoes_apply(a_from_b, point_b):
    assert np.allclose(apply(inverse(a_from_b), apply(a_from_b, point_b)), point_b, atol=1e-9)


@given(poses(), poses(), vectors())
def test_apply_composes(a_from_b, b_from_c, point_c):
    assert np.allclose(apply(a_from_b @ b_from_c, point_c), apply(a_from_b, apply(b_from_c, point_c)), atol=1e-9)


@given(rotations())
def test_quaternion_round_trip(rotation):
    quaternion = quaternion_from_matrix(rotation)
    assert quaternion[0] >= 0 and np.isclose(np.linalg.norm(quaternion), 1)
    assert np.allclose(matrix_from_quaternion(quaternion), rotation, atol=1e-9)


@given(rotations())
def test_matrix_is_a_rotation(rotation):
    assert np.allclose(rotation @ rotation.T, np.eye(3), atol=1e-9) and np.linalg.det(rotation) > 0


def test_quaternions_are_w_first():
    assert np.allclose(matrix_from_quaternion([np.cos(0.3), 0, 0, np.sin(0.3)]), rotation_z(0.6))


def test_quaternions_of_half_turns():
    for axis in np.eye(3):
        half_turn = 2 * np.outer(axis, axis) - np.eye(3)
        assert np.allclose(matrix_from_quaternion(quaternion_from_matrix(half_turn)), half_turn)


def test_batches_agree_with_single_ones():
    quaternions = np.random.default_rng(0).normal(size=(5, 7, 4))
    matrices = matrix_from_quaternion(quaternions)
    assert matrices.shape == (5, 7, 3, 3)
    assert np.allclose(matrices[2, 3], matrix_from_quaternion(quaternions[2, 3]))
    assert np.allclose(quaternion_from_matrix(matrices)[4, 1], quaternion_from_matrix(matrices[4, 1]))


def test_look_at_puts_the_target_ahead_and_up_above():
    world_from_camera = look_at([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    target, above = apply(inverse(world_from_camera), [[0, 0, 0], [0, 0, 0.5]])
    assert np.allclose(target[:2], 0) and target[2] > 0
    assert np.isclose(above[0], 0) and above[1] < 0  # y points down


def test_euler_angles_and_rotation_vectors_of_a_quarter_turn():
    quarter = np.array([[0, 0, np.pi / 2]])
    for matrix in (matrix_from_euler_xyz(quarter), matrix_from_rotation_vector(quarter)):
        assert np.allclose(matrix[0], rotation_z(np.pi / 2))
    roll_then_yaw = matrix_from_euler_xyz([np.pi / 2, 0, np.pi / 2])
    assert np.allclose(roll_then_yaw @ [0, 0, 1], rotation_z(np.pi / 2) @ [0, -1, 0])
    assert np.allclose(matrix_from_rotation_vector(np.zeros(3)), np.eye(3))


@given(vectors())
def test_a_rotation_vector_is_its_own_axis(vector):
    rotation = matrix_from_rotation_vector(vector)
    assert np.allclose(rotation @ vector, vector, atol=1e-9) and np.isclose(np.linalg.det(rotation), 1)
    assert np.allclose(matrix_from_rotation_vector(rotation_vector_from_matrix(rotation)), rotation, atol=1e-9)


def test_a_rotation_vector_takes_the_short_way_round():
    given_rad, expected_rad = np.array([0.0, 1e-13, 1e-6, 3.0, 4.0]), np.array([0.0, 1e-13, 1e-6, 3.0, 4 - 2 * np.pi])
    vectors = np.outer(expected_rad, [0.0, 0.6, 0.8])
    rotations = matrix_from_rotation_vector(np.outer(given_rad, [0.0, 0.6, 0.8]))
    assert np.allclose(rotation_vector_from_matrix(rotations), vectors, atol=1e-15, rtol=1e-9)
