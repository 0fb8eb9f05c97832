"""The single checks of the safety filter: numbers, rotations, velocities, and the refusal of what violates a bound."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.geometry import rotation_vector_from_matrix

Array = NDArray[np.float64]
ROTATION_TOLERANCE = 1e-3  # of R @ R.T from the identity: what float32 networks and bfloat16 leave
BOTTOM_ROW = (0.0, 0.0, 0.0, 1.0)


class UnsafeActionError(ValueError):
    """An action that must not be executed; the message names the pose and the bound that it violates."""


def numbers(values: ArrayLike, name: str) -> Array:
    """Return a float64 copy of numbers or booleans; UnsafeActionError if they are anything else."""
    if np.ma.is_masked(values):
        raise UnsafeActionError(f"{name} are masked in places: what is not known cannot be checked")
    try:
        array = np.array(values)
    except ValueError:
        raise UnsafeActionError(f"{name} are no array: their rows have different lengths") from None
    except (TypeError, RuntimeError) as error:  # tensors elsewhere, with gradients, or in a format NumPy lacks
        raise UnsafeActionError(f"{name} cannot become an array of NumPy's: {error}") from None
    if array.dtype.kind not in "biuf":
        raise UnsafeActionError(f"{name} must be numbers, got an array of {array.dtype}")
    with np.errstate(over="ignore"):  # of wider floats; infinity is refused
        return array.astype(np.float64)


def check_rigid(poses: Array) -> None:
    """Refuse poses (K, 4, 4) that are no rigid transforms."""
    refuse(~are_proper(poses[:, :3, :3]), "the rotation is not a rotation")
    refuse((poses[:, 3] != BOTTOM_ROW).any(1), "the last row of a pose must be 0, 0, 0, 1")


def are_proper(rotations: Array) -> NDArray[np.bool_]:
    """Return (K,) whether matrices (K, 3, 3) are rotations within `ROTATION_TOLERANCE`."""
    with np.errstate(over="ignore", invalid="ignore"):  # 1e300 squared; what comes of it is refused
        error = np.abs(rotations @ rotations.transpose(0, 2, 1) - np.eye(3)).max((1, 2))
        proper: NDArray[np.bool_] = (error <= ROTATION_TOLERANCE) & (np.linalg.det(rotations) > 0)
    return proper


def check_step_s(step_s: object) -> None:
    """Refuse a time from one pose to the next, in seconds, that is no finite number > 0."""
    is_number = isinstance(step_s, float | int | np.floating | np.integer) and not isinstance(step_s, bool)
    if not (is_number and 0 < step_s <= sys.float_info.max):  # type: ignore[operator]  # a number
        raise UnsafeActionError(f"step_s must be finite and > 0, got {step_s!r}")


def is_rigid(pose: Array) -> bool:
    """Return whether an array is one finite rigid pose (4, 4)."""
    is_pose = pose.shape == (4, 4) and np.isfinite(pose).all() and (pose[3] == BOTTOM_ROW).all()
    return bool(is_pose and are_proper(pose[None, :3, :3]).all())


def nearest_rotations(rotations: Array) -> Array:
    """Return the rotations nearest to matrices that are nearly such: two steps of Newton's, each squares the error.

    Angles between the matrices themselves would be half a percent short near 180 degrees.
    """
    for _ in range(2):
        rotations = rotations @ (3 * np.eye(3) - rotations.transpose(0, 2, 1) @ rotations) / 2
    return rotations


def rotation_angles(poses: Array) -> Array:
    """Return the angles (K - 1,) in radians, in [0, pi], between consecutive poses (K, 4, 4)."""
    # |A - B| = 2 sqrt(2) sin(angle / 2) for two rotations, in the Frobenius norm.
    distance = np.linalg.norm(np.diff(nearest_rotations(poses[:, :3, :3]), axis=0), axis=(1, 2))
    return np.asarray(2 * np.arcsin(np.minimum(distance / np.sqrt(8), 1)))


def rotation_vectors(poses: Array) -> Array:
    """Return the rotation vectors (K - 1, 3), in the world, that take each pose (K, 4, 4) to the next."""
    rotations = nearest_rotations(poses[:, :3, :3])
    return rotation_vector_from_matrix(rotations[1:] @ rotations[:-1].transpose(0, 2, 1))


def refuse(violations: NDArray[np.bool_], reason: str, values: Any = (), first: int = 0) -> None:
    """Raise UnsafeActionError for the first violation, if there is any.

    Args:
        violations: (K,) per pose.
        reason: with {} for a value.
        values: of all poses, or of the violations only.
        first: number of the first pose in the message.
    """
    if violations.any():
        index = int(violations.argmax())
        if len(values):
            value = values[index] if len(values) == len(violations) else values[0]
            reason = reason.format(value if isinstance(value, str) else f"{value:.3g}")
        raise UnsafeActionError(f"pose {index + first}: {reason}")


def triple(values: Array) -> str:
    """Return three numbers for a message."""
    return "(" + ", ".join(f"{value:.3g}" for value in values) + ")"
