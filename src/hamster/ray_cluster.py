"""The Ray cluster that work is spread over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hamster.extras import extra


@contextmanager
def ray_cluster(workers: int) -> Iterator[Any]:
    """Yield the module `ray`, connected to the cluster that it knows, or to one on this machine until the block ends.

    Args:
        workers: number of processes of a cluster on this machine.

    Raises:
        NotInstalledError: if Ray is not installed.
    """
    with extra("ray"):
        import ray
    started = not ray.is_initialized()
    if started:
        ray.init(num_cpus=workers, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    try:
        yield ray
    finally:
        if started:
            ray.shutdown()
