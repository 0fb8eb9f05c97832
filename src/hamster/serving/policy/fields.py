"""Single fields of a message: the right type, shape and size, and finite, or a `RequestError` that names the field.

In all functions `value` comes from the message, and `where` is the field's name for the error.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from hamster_client.errors import RequestError
from numpy.typing import NDArray

Shape = tuple[int | None, ...]
MIN_SIDE_PX = 16
MAX_SIDE_PX = 4096
MAX_ASPECT = 8  # of the longer side to the shorter one
RIGID = 1e-3


def mapping(value: Any, known: Iterable[str], where: str) -> dict[str, Any]:
    """Return a map with no keys but the known ones."""
    if not isinstance(value, dict):
        raise RequestError("malformed", f"{where} must be a map, not {_kind(value)}")
    if unknown := [key for key in value if key not in known]:
        raise RequestError(
            "malformed", f"{where} has an unknown key {str(unknown[0])[:40]!r}; known: {', '.join(known)}"
        )
    return value


def choice(value: Any, where: str) -> bool:
    """Return True or False."""
    if not isinstance(value, bool | np.bool_):
        raise RequestError("malformed", f"{where} must be True or False, not {_kind(value)}")
    return bool(value)


def text(value: Any, where: str, most: int) -> str:
    """Return a string of at most `most` characters."""
    if not isinstance(value, str):
        raise RequestError("malformed", f"{where} must be a string, not {_kind(value)}")
    if len(value) > most:
        raise RequestError("oversized", f"{where} has {len(value)} characters, more than {most}")
    return value


def number(value: Any, where: str, low: float, high: float) -> float:
    """Return a finite number (or that in an array of one) between two bounds."""
    bounded = float(matrix(np.reshape(value, -1) if isinstance(value, np.ndarray) else [value], where, (1,))[0])
    if not low <= bounded <= high:
        raise RequestError("malformed", f"{where} must be {low:g} to {high:g}, got {bounded:g}")
    return bounded


def matrix(value: Any, where: str, shape: Shape) -> NDArray[np.float64]:
    """Return finite numbers of this shape, from an array or from lists."""
    try:
        array = np.asarray(value)
    except ValueError:  # lists of unequal lengths
        array = np.asarray(None)
    if array.dtype.kind not in "iuf":
        raise RequestError("malformed", f"{where} must be numbers {_shape_text(shape)}, not {_kind(value)}")
    _check_shape(array, where, shape)
    _check_finite(array, where)
    return array.astype(np.float64)


def rigid(value: Any, where: str) -> NDArray[np.float64]:
    """Return a (4, 4) transform without scale or reflection."""
    transform = matrix(value, where, (4, 4))
    rotation = transform[:3, :3]
    whole = np.allclose(rotation @ rotation.T, np.eye(3), atol=RIGID) and np.linalg.det(rotation) > 0
    if not whole or not np.allclose(transform[3], [0, 0, 0, 1], atol=RIGID):
        raise RequestError("malformed", f"{where} must be rigid: a rotation, a translation, and 0 0 0 1 below")
    return transform


def image(value: Any, where: str, dtype: str, shape: Shape, most_px: int) -> NDArray[Any]:
    """Return a copy of an image (H, W, …) of exactly this type.

    Args:
        value: from the message.
        where: the field, for errors.
        dtype: of numpy, by name.
        shape: None for any size.
        most_px: pixels, at most.
    """
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        raise RequestError("malformed", f"{where} must be a {dtype} array {_shape_text(shape)}, not {_kind(value)}")
    _check_shape(value, where, shape)
    height, width = value.shape[:2]
    if height * width > most_px:
        raise RequestError("oversized", f"{where} has {width} x {height} pixels, more than {most_px}")
    if min(height, width) < MIN_SIDE_PX:
        raise RequestError(
            "malformed", f"{where} must have at least {MIN_SIDE_PX} pixels a side, not {width} x {height}"
        )
    if max(height, width) > MAX_SIDE_PX:
        raise RequestError("oversized", f"{where} is {width} x {height}, more than {MAX_SIDE_PX} pixels on a side")
    if max(height, width) > MAX_ASPECT * min(height, width):
        raise RequestError(
            "malformed", f"{where} is {width} x {height}: one side may be at most {MAX_ASPECT} times the other"
        )
    _check_finite(value, where)
    return value.copy()


def _check_shape(array: NDArray[Any], where: str, shape: Shape) -> None:
    fits = array.ndim == len(shape) and all(s is None or s == n for s, n in zip(shape, array.shape, strict=True))
    if not fits:
        raise RequestError("malformed", f"{where} must have shape {_shape_text(shape)}, got {array.shape}")


def _check_finite(array: NDArray[Any], where: str) -> None:
    if not np.isfinite(array).all():
        raise RequestError("not_finite", f"{where} holds NaN or infinity")


def _shape_text(shape: Shape) -> str:
    names = iter("HW" if len(shape) > 2 else "N")
    return f"({', '.join(next(names) if n is None else str(n) for n in shape)}{',' if len(shape) == 1 else ''})"


def _kind(value: Any) -> str:
    return f"an array of {value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
