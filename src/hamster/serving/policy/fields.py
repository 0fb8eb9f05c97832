"""Single fields of a message: the right type, shape and size, and finite, or a `RequestError` that names the field."""

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
    """A map with no keys but these."""
    if not isinstance(value, dict):
        raise RequestError("malformed", f"{where} must be a map, not {_kind(value)}")
    if unknown := [key for key in value if key not in known]:
        raise RequestError(
            "malformed", f"{where} has an unknown key {str(unknown[0])[:40]!r}; known: {', '.join(known)}"
        )
    return value


def choice(value: Any, where: str) -> bool:
    """True or False."""
    if not isinstance(value, bool | np.bool_):
        raise RequestError("malformed", f"{where} must be True or False, not {_kind(value)}")
    return bool(value)


def text(value: Any, where: str, most: int) -> str:
    """A string of at most so many characters."""
    if not isinstance(value, str):
        raise RequestError("malformed", f"{where} must be a string, not {_kind(value)}")
    if len(value) > most:
        raise RequestError("oversized", f"{where} has {len(value)} characters, more than {most}")
    return value


def number(value: Any, where: str, low: float, high: float) -> float:
    """A finite number (or an array of one) between two bounds."""
    found = float(matrix(np.reshape(value, -1) if isinstance(value, np.ndarray) else [value], where, (1,))[0])
    if not low <= found <= high:
        raise RequestError("malformed", f"{where} must be {low:g} to {high:g}, got {found:g}")
    return found


def matrix(value: Any, where: str, shape: Shape) -> NDArray[np.float64]:
    """Finite numbers of this shape, from an array or from lists."""
    try:
        found = np.asarray(value)
    except ValueError:  # lists of unequal lengths
        found = np.asarray(None)
    if found.dtype.kind not in "iuf":
        raise RequestError("malformed", f"{where} must be numbers {_said(shape)}, not {_kind(value)}")
    _check_shape(found, where, shape)
    _check_finite(found, where)
    return found.astype(np.float64)


def rigid(value: Any, where: str) -> NDArray[np.float64]:
    """A (4, 4) transform without scale or reflection."""
    found = matrix(value, where, (4, 4))
    rotation = found[:3, :3]
    whole = np.allclose(rotation @ rotation.T, np.eye(3), atol=RIGID) and np.linalg.det(rotation) > 0
    if not whole or not np.allclose(found[3], [0, 0, 0, 1], atol=RIGID):
        raise RequestError("malformed", f"{where} must be rigid: a rotation, a translation, and 0 0 0 1 below")
    return found


def image(value: Any, where: str, dtype: str, shape: Shape, most_px: int) -> NDArray[Any]:
    """An image (H, W, …) of exactly this type: a copy, which can be written to as those of a data set can."""
    if not isinstance(value, np.ndarray) or value.dtype != dtype:
        raise RequestError("malformed", f"{where} must be a {dtype} array {_said(shape)}, not {_kind(value)}")
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


def _check_shape(found: NDArray[Any], where: str, shape: Shape) -> None:
    fits = found.ndim == len(shape) and all(s is None or s == n for s, n in zip(shape, found.shape, strict=True))
    if not fits:
        raise RequestError("malformed", f"{where} must have shape {_said(shape)}, got {found.shape}")


def _check_finite(found: NDArray[Any], where: str) -> None:
    if not np.isfinite(found).all():
        raise RequestError("not_finite", f"{where} holds NaN or infinity")


def _said(shape: Shape) -> str:
    names = iter("HW" if len(shape) > 2 else "N")
    return f"({', '.join(next(names) if n is None else str(n) for n in shape)}{',' if len(shape) == 1 else ''})"


def _kind(value: Any) -> str:
    return f"an array of {value.dtype} {value.shape}" if isinstance(value, np.ndarray) else type(value).__name__
