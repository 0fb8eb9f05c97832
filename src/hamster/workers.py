"""Work spread over processes; what comes out does not depend on how many, nor on one of them being killed."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import chain, islice
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

# Numerical libraries and Mesa's rasteriser would each start a thread per core in each process.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")
RESTARTS = 2

_work: Callable[[Any], Any] | None = None


def each(work: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    """Yields `work(item)` for every item as they finish, in any order.

    With one worker everything happens in this process. A worker that is killed, by the kernel for want of memory say,
    costs what it was doing, which is done again; an exception of `work` is raised here.

    Args:
        work: picklable; it travels to each process once, and may keep there what is costly to open.
        items: picklable, as are the results.
        workers: processes, at most one per item.
    """
    workers = min(workers, len(items))
    if workers <= 1:
        yield from map(work, items)
        return
    todo: Iterator[tuple[int, T]] = enumerate(items)
    taken: dict[int, T] = {}
    for restarts_left in reversed(range(RESTARTS + 1)):
        try:
            yield from _on_pool(work, todo, taken, workers)
            return
        except BrokenProcessPool:
            if not restarts_left:
                raise
            todo = chain(list(taken.items()), todo)


def _on_pool(work: Callable[[T], R], todo: Iterator[tuple[int, T]], taken: dict[int, T], workers: int) -> Iterator[R]:
    """Leaves in `taken` what it has taken of `todo` and not yielded."""
    # Spawned, not forked: OpenGL contexts and torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    running: dict[Future[R], int] = {}
    with ProcessPoolExecutor(workers, context, _begin, (work,)) as pool:
        try:
            while True:
                # A few ahead, so that nobody waits; not all, so that ten thousand results need no room.
                for key, item in islice(todo, 2 * workers - len(running)):
                    taken[key] = item
                    running[pool.submit(_do, item)] = key
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    result = future.result()
                    del taken[running.pop(future)]
                    yield result
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _begin(work: Callable[[Any], Any]) -> None:
    global _work
    _work = work
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; it lets what runs come to its end
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")


def _do(item: Any) -> Any:
    assert _work is not None
    return _work(item)
