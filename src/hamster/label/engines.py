"""Where shards are made: on this machine's cores, or on a Ray cluster. The files are the same."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from typing import Any, TypeVar

from hamster.extras import extra
from hamster.workers import each

T = TypeVar("T")
R = TypeVar("R")


def on_ray(work: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    """Yields `work(item)` for every item as they finish, on the cluster that Ray knows, or on a local one of its own.

    The cluster's machines share the folder that `work` writes to. A task whose machine dies is done again by Ray.

    Raises:
        NotInstalledError: if Ray is not installed.
    """
    with extra("ray"):
        import ray
    started = not ray.is_initialized()
    if started:
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        shared, task, todo = ray.put(work), ray.remote(_apply), iter(items)
        running: list[Any] = []
        while True:
            running += [task.remote(shared, item) for item in islice(todo, 2 * workers - len(running))]
            if not running:
                return
            done, running = ray.wait(running)
            yield from ray.get(done)
    finally:
        if started:
            ray.shutdown()


def _apply(work: Callable[[T], R], item: T) -> R:
    return work(item)


Engine = Callable[[Callable[[Any], Any], Sequence[Any], int], Iterator[Any]]
ENGINES: dict[str, Engine] = {"local": each, "ray": on_ray}
