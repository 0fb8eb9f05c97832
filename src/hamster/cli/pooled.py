"""Generators spread over processes: items depend on the seed and their own number alone."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import TypeVar

from hamster.data import AnnotatedImage, Episode

T = TypeVar("T")
CHUNK = 16


def images(n: int, seed: int, workers: int, start: int) -> Iterator[AnnotatedImage]:
    """Off-domain images `start` … n - 1, in order."""
    return _in_order(partial(_images, n, seed), start, n, workers)


def demonstrations(n: int, seed: int, workers: int, start: int) -> Iterator[Episode]:
    """Tabletop demonstrations `start` … n - 1, in order."""
    from itertools import islice

    from hamster.sim.tabletop import episodes

    del workers  # An episode renders its frames from a live simulation: it cannot travel between processes.
    return islice(episodes(n, seed), start, None)


def _images(n: int, seed: int, span: tuple[int, int]) -> list[AnnotatedImage]:
    from hamster.sim.offdomain import annotated_images

    first, end = span
    drawn = annotated_images(end, seed, first)
    return [replace(i, provenance=replace(i.provenance, source=f"offdomain:{n}")) for i in drawn]


def _in_order(make: Callable[[tuple[int, int]], list[T]], start: int, n: int, workers: int) -> Iterator[T]:
    spans = [(first, min(first + CHUNK, n)) for first in range(start, n, CHUNK)]
    if workers == 1 or len(spans) < 2:
        for span in spans:
            yield from make(span)
        return
    # Spawned, not forked: OpenGL contexts do not survive a fork.
    with multiprocessing.get_context("spawn").Pool(min(workers, len(spans))) as pool:
        for chunk in pool.imap(make, spans):
            yield from chunk
