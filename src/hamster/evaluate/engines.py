"""Engines that run trials: this machine's cores, or a Ray cluster. The records are the same."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias, TypeVar

from hamster.parallel import WorkerDiedError, parallel_map_unordered
from hamster.plugins import import_plugins, plugins
from hamster.ray_cluster import ray_cluster
from hamster.task_groups import TaskGroups

T = TypeVar("T")
R = TypeVar("R")


def on_ray(work: Callable[[T], R], groups: Sequence[Sequence[T]], workers: int) -> Iterator[R]:
    """Yield `work(item)` as `parallel_map_unordered` does, computed by actors on a Ray cluster; see `ray_cluster`.

    The cluster's machines share the folders that `work` writes to. What an actor was at when its machine died is done
    again, once.

    Args:
        work: picklable; sent to each actor once.
        groups: of items; see `parallel_map_unordered`.
        workers: number of actors, at most one per item.

    Raises:
        NotInstalledError: if Ray is not installed.
        WorkerDiedError: if the same item ended its process twice.
    """
    tasks, workers = TaskGroups(groups), min(workers, sum(map(len, groups)))
    with ray_cluster(workers) as ray:
        shared = ray.put(pickle.dumps(work))
        actor = ray.remote(max_restarts=-1, max_task_retries=1)(_Actor)
        actors = [actor.remote(shared, plugins()) for _ in range(workers)]
        running: dict[Any, int] = {}

        def employ(number: int) -> None:
            if (item := tasks.take(number)) is not None:
                running[actors[number].run.remote(item)] = number

        try:
            for number in range(workers):
                employ(number)
            while running:
                [done], _ = ray.wait(list(running))
                employ(running.pop(done))
                yield ray.get(done)
        except ray.exceptions.RayTaskError as error:
            raise error.cause from None
        except ray.exceptions.RayActorError as error:
            raise WorkerDiedError(f"an actor was lost: {error}") from None
        finally:
            for each in actors:
                ray.kill(each)


class _Actor:
    """A process of the cluster, which unpickles the work once it has imported the user's modules."""

    def __init__(self, work: bytes, modules: Sequence[str]) -> None:
        import_plugins(modules)
        self._work = pickle.loads(work)  # noqa: S301  # of our own process

    def run(self, item: Any) -> Any:
        return self._work(item)


Engine: TypeAlias = Callable[[Callable[[Any], Any], Sequence[Sequence[Any]], int], Iterator[Any]]
ENGINES: dict[str, Engine] = {"local": parallel_map_unordered, "ray": on_ray}
