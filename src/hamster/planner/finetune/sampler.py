"""The order of training samples, drawn before training starts, independent of the number of processes."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]


def sample_order(sizes: Sequence[int], weights: Sequence[float], total: int, seed: int) -> Indices:
    """Draw the first `total` samples of a mixture.

    With a weight of 1 an epoch has every sample of a set once, in random order (uniform sampling, as the paper's
    mixture); with 0.5 one half, and the next epoch the other half.

    Args:
        sizes: samples of each set.
        weights: of each set.
        total: samples to draw.
        seed: of the order.

    Returns:
        (total,) indices into all sets, concatenated.

    Raises:
        ValueError: if there is nothing to draw from.
    """
    if sum(int(n * w) for n, w in zip(sizes, weights, strict=True)) == 0:
        raise ValueError("there is nothing to learn from: no set has a sample for every epoch")
    starts = np.cumsum([0, *sizes])
    epochs, drawn = list[Indices](), 0
    for epoch in count():
        if drawn >= total:
            break
        parts = [
            start + _stretch(n, int(epoch * n * weight), int((epoch + 1) * n * weight), (seed, which))
            for which, (start, n, weight) in enumerate(zip(starts, sizes, weights, strict=False))
        ]
        mixed = np.random.default_rng((seed, len(sizes), epoch)).permutation(np.concatenate(parts))
        epochs.append(mixed)
        drawn += len(mixed)
    return np.concatenate([np.zeros(0, np.int64), *epochs])[:total]


def epoch_length(sizes: Sequence[int], weights: Sequence[float]) -> int:
    """Return the number of samples in the first epoch."""
    return sum(int(n * weight) for n, weight in zip(sizes, weights, strict=True))


def _stretch(n: int, start: int, stop: int, seed: tuple[int, int]) -> Indices:
    """Return entries `start` to `stop` of an endless sequence: 0 … n - 1 shuffled, then shuffled again, and so on."""
    if stop <= start:
        return np.zeros(0, np.int64)
    laps = range(start // n, -(-stop // n))
    shuffled = np.concatenate([np.random.default_rng((*seed, lap)).permutation(n) for lap in laps])
    return shuffled[start - laps[0] * n : stop - laps[0] * n].astype(np.int64)
