"""Fuse sparse, noisy positions and reliable displacements into one motion by robust least squares."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
ROUNDS = 6  # of reweighting


def fuse(places: Array, place_weight: Array, steps: Array, step_weight: Array, scale: float) -> tuple[Array, Array]:
    """Return the x (T, 2) that minimises sum w |x_t - place_t|^2 + sum v |x_(t+1) - x_t - step_t|^2, robustly.

    Both directions of time count alike, hence no lag. Places farther than about `scale` from the motion are taken for
    mistakes (Cauchy weights), steps likewise.

    Args:
        places: (T, 2), with weights (T,), 0 where unknown; not all 0.
        steps: (T - 1, 2), with weights (T - 1,), above 0.

    Returns:
        x, and (T,) how well each place agrees with it, 0 to 1 (0 where unknown).
    """
    w, v = place_weight.astype(np.float64), step_weight.astype(np.float64)
    x = places
    for _ in range(ROUNDS):
        x = _solve(places, w, steps, v)
        agree = 1 / (1 + (np.linalg.norm(x - places, axis=-1) / scale) ** 2)
        w = place_weight * agree
        off = np.linalg.norm(np.diff(x, axis=0) - steps, axis=-1)
        v = np.maximum(step_weight / (1 + (off / scale) ** 2), 1e-6)
    return x, np.where(place_weight > 0, agree, 0.0)


def _solve(places: Array, w: Array, steps: Array, v: Array) -> Array:
    """Solve the normal equations, which are tridiagonal: eliminate forwards, substitute backwards."""
    total = len(places)
    diagonal = w + np.append(v, 0) + np.append(0, v) + 1e-12
    pull = v[:, None] * steps
    right = w[:, None] * places
    right[1:] += pull
    right[:-1] -= pull
    for t in range(1, total):
        factor = v[t - 1] / diagonal[t - 1]
        diagonal[t] -= factor * v[t - 1]
        right[t] += factor * right[t - 1]
    x = np.empty_like(right)
    x[-1] = right[-1] / diagonal[-1]
    for t in range(total - 2, -1, -1):
        x[t] = (right[t] + v[t] * x[t + 1]) / diagonal[t]
    return x
