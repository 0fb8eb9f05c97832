"""Parallel maps over processes; results depend neither on their number nor on one of them being killed."""

from __future__ import annotations

import contextlib
import faulthandler
import fcntl
import multiprocessing
import os
import pickle
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from hamster.plugins import import_plugins, plugins
from hamster.task_groups import TaskGroups

T = TypeVar("T")
R = TypeVar("R")

# Numerical libraries and Mesa's rasteriser would each start a thread per core in each process.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")
TRIES = 2  # of work that ended its process: another process may have used up the memory
POLL_S = 0.2  # between two checks of memory and clock


def _unwatched(step: int | None) -> None:
    """Report no step, in a process without limits."""


_report_step: Callable[[int | None], None] = _unwatched


class WorkerDiedError(OSError):
    """A process ended again and again, and nothing says which part of its work is at fault."""


@dataclass(frozen=True)
class Limits:
    """Limits of one step of a task; None is no limit.

    Attributes:
        seconds: wall-clock duration.
        memory_bytes: of the process, without mapped files; checked on Linux only.
    """

    seconds: float | None = None
    memory_bytes: int | None = None


def parallel_map_unordered(work: Callable[[T], R], groups: Sequence[Sequence[T]], workers: int) -> Iterator[R]:
    """Yield `work(item)` for every item of every group as they finish, in any order.

    The items of a group are processed one after the other in the same process, which may keep what they have in common;
    only when there are no more groups do idle processes take items of the others. With one worker everything happens in
    this process. If a worker is killed, by the kernel for lack of memory say, its current item is processed again; an
    exception of `work` is raised here.

    Args:
        work: picklable; sent to each process once, where it may cache what is expensive to load.
        groups: of items, which are picklable, as are the results.
        workers: number of processes, at most one per item.

    Raises:
        WorkerDiedError: if the same item ended its process `TRIES` times.
    """
    workers = min(workers, sum(map(len, groups)))
    if workers <= 1:
        yield from map(work, chain.from_iterable(groups))
        return
    # Spawned, not forked: OpenGL contexts and torch's threads do not survive a fork.
    yield from _spread(_Whole(work), groups, workers, Limits(), "spawn")


def isolated(
    work: Callable[[T, Mapping[int, str]], R], items: Iterable[T], workers: int, limits: Limits
) -> Iterator[R]:
    """Yield `work(item, given_up)` for every item as they finish, in any order; always in other processes.

    `work` announces each step with `at_step`. A step that takes too long, needs too much memory or ends its process
    (twice, unless the process was stopped for a limit) is given up: the item is processed again, and `given_up` maps
    the number of each such step to the reason why `work` must skip it. An exception of `work` is raised here.

    The processes are forked from a server that has imported only the module of `work`, so that one more costs
    milliseconds. They end with this process.

    Args:
        work: picklable; sent to each process once.
        items: picklable, as are the results.
        workers: number of processes, at least one.
        limits: of each step.

    Raises:
        WorkerDiedError: if an item ends its process between two steps, `TRIES` times.
    """
    yield from _spread(work, ([item] for item in items), workers, limits, "forkserver")


def at_step(number: int | None) -> None:
    """Report to the parent process which step begins now; None for work outside of any step."""
    _report_step(number)


@dataclass(frozen=True)
class _Whole(Generic[T, R]):
    """Work without steps."""

    work: Callable[[T], R]

    def __call__(self, item: T, given_up: Mapping[int, str]) -> R:
        return self.work(item)


@dataclass
class _Task:
    """An item, its skipped steps, and how often each step ended a process."""

    item: Any
    given_up: dict[int, str] = field(default_factory=dict)
    deaths: Counter[int | None] = field(default_factory=Counter)

    def fail(self, step: int | None, reason: str, final: bool) -> None:
        """Record that a step ended its process; `final` if it must not be tried again."""
        self.deaths[step] += 1
        if step is None and (final or self.deaths[step] >= TRIES):
            raise WorkerDiedError(f"a worker process was lost outside of any item: {reason}")
        if step is not None and (final or self.deaths[step] >= TRIES):
            self.given_up[step] = reason


class _Worker:
    """A process with its current task and step."""

    def __init__(self, work: bytes, method: str, preload: str) -> None:
        context: Any = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload([preload])
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, method == "spawn"), daemon=False)
        with _one_thread(), _main_as_needed(work):
            self.process.start()
        theirs.close()
        self.task: _Task | None = None
        self.step: int | None = None
        self.since_s = time.monotonic()
        self._send(pickle.dumps(plugins()))
        self._send(work)

    def begin(self, task: _Task) -> None:
        self.task = task
        self._reach(None)
        self._send(pickle.dumps((task.item, task.given_up)))

    def _send(self, content: bytes) -> None:
        with contextlib.suppress(OSError):  # it is dead already, which whoever waits for it will notice
            self.connection.send_bytes(content)

    def _reach(self, step: int | None) -> None:
        self.step, self.since_s = step, time.monotonic()

    def results(self) -> Iterator[Any]:
        """Yield at most one received result; EOFError if the process has ended. Raises what `work` raised."""
        while self.connection.poll():
            try:
                kind, content = pickle.loads(self.connection.recv_bytes())  # noqa: S301  # of our own process
            except OSError:
                raise EOFError from None
            if kind == "step":
                self._reach(content)
            elif kind == "raised":
                raise content
            else:
                self.task = None
                yield content
                return

    def excess(self, limits: Limits) -> str:
        """Return which limit the step exceeds; "" if none."""
        if self.step is None:  # it starts, or writes: slow perhaps, but not because of an item
            return ""
        if limits.seconds is not None and time.monotonic() - self.since_s > limits.seconds:
            return f"no result within {limits.seconds:g} s"
        if limits.memory_bytes is not None and _memory_bytes(self.process.pid) > limits.memory_bytes:
            return f"more than {limits.memory_bytes / 2**30:.1f} GiB of memory"
        return ""

    def ending(self) -> str:
        """Return how the process ended."""
        self.process.join(5)
        code = self.process.exitcode
        if code is not None and code < 0:
            hint = ", perhaps for lack of memory" if code == -signal.SIGKILL else ""
            return f"its process was killed by signal {-code} ({signal.Signals(-code).name}){hint}"
        return f"its process ended with exit code {code}"

    def is_dead(self) -> bool:
        """Return whether it has ended and left nothing to read; its children may still hold the pipe open."""
        return not self.process.is_alive() and not self.connection.poll()

    def end(self) -> None:
        self.process.kill()
        with contextlib.suppress(OSError, TypeError):  # and its children
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join(5)
        self.connection.close()


def _spread(work: Any, groups: Iterable[Iterable[Any]], workers: int, limits: Limits, method: str) -> Iterator[Any]:
    content, preload = pickle.dumps(work), type(work).__module__
    tasks, crew = TaskGroups(map(_Task, group) for group in groups), dict[int, _Worker]()

    def employ(seat: int) -> None:
        task = tasks.take(seat)
        if task is not None:
            if seat not in crew:
                crew[seat] = _Worker(content, method, preload)
            crew[seat].begin(task)

    try:
        while True:
            for seat in range(max(1, workers)):
                if seat not in crew:
                    employ(seat)
            if not (busy := {seat: worker for seat, worker in crew.items() if worker.task is not None}):
                return
            watched: list[Any] = [worker.connection for worker in busy.values()]
            wait([*watched, *(worker.process.sentinel for worker in busy.values())], POLL_S)
            for seat, worker in busy.items():
                task, lost, final = worker.task, "", False
                assert task is not None
                try:
                    for result in worker.results():
                        employ(seat)  # before the result is used, so that the worker does not wait
                        yield result
                        break
                    else:
                        lost = worker.excess(limits)
                        final = bool(lost)
                        if worker.is_dead():
                            raise EOFError
                except EOFError:
                    lost, final = worker.ending(), False
                if lost:
                    worker.end()
                    del crew[seat]
                    task.fail(worker.step, lost, final)
                    tasks.give_back(seat, task)
    finally:
        for worker in crew.values():
            worker.end()


def _serve(connection: Connection, tracebacks: bool) -> None:
    """Run a worker process: receive `work`, then items, until the other end is closed."""
    global _report_step
    _end_with_parent()
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's
    if tracebacks:
        faulthandler.enable()

    def send(kind: str, content: Any) -> None:
        connection.send_bytes(pickle.dumps((kind, content)))

    _report_step = partial(send, "step")
    try:
        import_plugins(pickle.loads(connection.recv_bytes()))  # noqa: S301  # from our own process
        work = pickle.loads(connection.recv_bytes())  # noqa: S301
        while True:
            item, given_up = pickle.loads(connection.recv_bytes())  # noqa: S301
            send("done", work(item, given_up))
    except (EOFError, BrokenPipeError):
        return
    except Exception as error:  # which the parent raises
        send("raised", _portable(error))


def _portable(error: Exception) -> Exception:
    """Return the error with its traceback as a note, or a RuntimeError with its text if it cannot be pickled."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:  # a user's __reduce__ may raise anything
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _end_with_parent() -> None:
    """End with the parent: when its end of this pipe closes, the kernel sends SIGIO, which ends the process."""
    if (parent := multiprocessing.parent_process()) is not None:
        signal.signal(signal.SIGIO, signal.SIG_DFL)  # ends it even where code in C lets no thread run
        fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
        fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)
        if wait([parent.sentinel], 0):  # it closed before
            os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Limit processes that start in this block to one thread, unless the user has set another number."""
    names = [name for name in ONE_THREAD if name not in os.environ]
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


@contextmanager
def _main_as_needed(work: bytes) -> Iterator[None]:
    """Let processes that start in this block import the user's script only if `work` needs it."""
    main = sys.modules["__main__"]
    if b"__main__" not in work:
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _memory_bytes(pid: int | None) -> int:
    """Return the private memory of a process; 0 if unknown."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
