"""Trials on several processes; what comes out does not depend on how many."""

from __future__ import annotations

import faulthandler
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from hamster.evaluate.bench import Bench
from hamster.evaluate.config import EvalConfig
from hamster.evaluate.journal import Record
from hamster.evaluate.trials import Trial
from hamster.provenance import usable_cores

OpenBench = Callable[[EvalConfig], Bench]
# Numerical libraries and Mesa's rasteriser would each start a thread per core in each process.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")
RESTARTS = 2
MAX_WORKERS = 16  # each holds its own models: about 0.7 GB

_bench: Bench | Exception | None = None


def n_workers(config: EvalConfig, n_trials: int) -> int:
    """How many processes to start for so many trials."""
    wanted = config.workers or min(usable_cores(), MAX_WORKERS)
    return max(1, min(wanted, n_trials))


def run_trials(todo: Sequence[Trial], config: EvalConfig, open_bench: OpenBench) -> Iterator[Record]:
    """Runs the trials and yields their records as they finish, in any order."""
    workers = n_workers(config, len(todo))
    if not todo:
        return
    if workers == 1:
        bench = open_bench(config)
        yield from map(bench.run, todo)
        return
    left = {trial.key: trial for trial in todo}
    for restarts_left in reversed(range(RESTARTS + 1)):
        try:
            for record in _on_pool(list(left.values()), workers, config, open_bench):
                del left[record["key"]]
                yield record
            return
        except BrokenProcessPool:  # a worker was killed, by the kernel for memory say; what it had finished is kept
            if not restarts_left:
                raise


def _on_pool(todo: Sequence[Trial], workers: int, config: EvalConfig, open_bench: OpenBench) -> Iterator[Record]:
    # Spawned, not forked: OpenGL contexts and torch's threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, context, _start, (config, open_bench)) as pool:
        futures = [pool.submit(_run, trial) for trial in todo]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _start(config: EvalConfig, open_bench: OpenBench) -> None:
    global _bench
    faulthandler.enable()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's; it lets the running trials end
    for name in ONE_THREAD:
        os.environ.setdefault(name, "1")
    try:
        _bench = open_bench(config)
    except (ValueError, OSError) as error:  # a wrong name, say; raised where somebody can read it, by the first trial
        _bench = error


def _run(trial: Trial) -> Record:
    if isinstance(_bench, Exception):
        raise _bench
    assert _bench is not None
    return _bench.run(trial)
