"""Looking on while a backend generates: what has been said so far, and who no longer needs an answer."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

Watcher = Callable[[Callable[[int], str], Sequence[int]], Sequence[bool]]
"""Called after each token with `said`, which decodes what answer i says so far, and for each answer the number of its
question among those that the backend was given; returns for each answer whether it need not go on."""

_watcher: ContextVar[Watcher | None] = ContextVar("watcher", default=None)


@contextmanager
def watched_by(watcher: Watcher) -> Iterator[None]:
    """Whatever a backend generates in this block, in this thread, is watched by `watcher`."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


@contextmanager
def numbered(numbers: Sequence[int]) -> Iterator[None]:
    """In this block a backend is given only some of the questions that are watched: those of these numbers."""
    outer = _watcher.get()
    if outer is None:
        yield
        return
    with watched_by(lambda said, owners: outer(said, [numbers[owner] for owner in owners])):
        yield


def watcher() -> Watcher | None:
    """Who looks on here, or None. A backend that generates token by token asks this; others need not."""
    return _watcher.get()
