"""Pinhole cameras and rigid transforms; numpy only."""

from hamster.geometry.camera import Camera
from hamster.geometry.motion import angle_between, interpolate, interpolate_poses
from hamster.geometry.transforms import (
    apply,
    inverse,
    look_at,
    matrix_from_euler_xyz,
    matrix_from_quaternion,
    matrix_from_rotation_vector,
    pose,
    quaternion_from_matrix,
    rotation_vector_from_matrix,
    rotation_z,
)

__all__ = [
    "Camera",
    "angle_between",
    "apply",
    "interpolate",
    "interpolate_poses",
    "inverse",
    "look_at",
    "matrix_from_euler_xyz",
    "matrix_from_quaternion",
    "matrix_from_rotation_vector",
    "pose",
    "quaternion_from_matrix",
    "rotation_vector_from_matrix",
    "rotation_z",
]
