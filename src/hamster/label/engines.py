"""Engines that make shards: this machine's cores, or a Ray cluster. The files are the same."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeAlias, TypeVar

from hamster.parallel import Limits, isolated
from hamster.plugins import import_plugins, plugins
from hamster.ray_cluster import ray_cluster

T = TypeVar("T")
R = TypeVar("R")
Work: TypeAlias = Callable[[T, Mapping[int, str]], R]


def on_ray(work: Work[T, R], items: Sequence[T], workers: int, limits: Limits) -> Iterator[R]:
    """Yield `work(item, …)` as `isolated` does, on the cluster that Ray knows, or on a local one of its own.

    The cluster's machines share the folder that `work` writes to. A task whose machine dies is done again by Ray.

    Args:
        work: on one item.
        items: to work on.
        workers: number of processes.
        limits: on time and memory of an item.

    Raises:
        NotInstalledError: if Ray is not installed.
    """
    with ray_cluster(workers) as ray:
        # Pickled here, so that workers import the user's modules before they unpickle what is defined there.
        shared, task, todo = ray.put(pickle.dumps(work)), ray.remote(_apply), iter(items)
        running: list[Any] = []
        while True:
            running += [
                task.remote(shared, item, limits, plugins()) for item in islice(todo, 2 * workers - len(running))
            ]
            if not running:
                return
            done, running = ray.wait(running)
            yield from ray.get(done)


def _apply(work: bytes, item: T, limits: Limits, modules: Sequence[str]) -> Any:
    import_plugins(modules)
    return next(iter(isolated(pickle.loads(work), [item], 1, limits)))  # noqa: S301  # of our own process


def inline(work: Work[T, R], items: Sequence[T], workers: int, limits: Limits) -> Iterator[R]:
    """Yield `work(item, {})` for every item in this process, for a debugger; nothing protects it from an item.

    Args:
        work: on one item.
        items: to work on.
        workers, limits: not used.
    """
    for item in items:
        yield work(item, {})


Engine: TypeAlias = Callable[[Work[Any, Any], Sequence[Any], int, Limits], Iterator[Any]]
ENGINES: dict[str, Engine] = {"local": isolated, "ray": on_ray, "inline": inline}
