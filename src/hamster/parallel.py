"""Work spread over processes; what comes out does not depend on how many, nor on one of them being killed."""

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
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from multiprocessing.connection import Connection, wait
from pathlib import Path
from types import ModuleType
from typing import Any, Generic, TypeVar

from hamster.plugins import import_plugins, plugins

T = TypeVar("T")
R = TypeVar("R")

# Numerical libraries and Mesa's rasteriser would each start a thread per core in each process.
ONE_THREAD = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "LP_NUM_THREADS")
TRIES = 2  # of what its process did not survive: another one may have used up the memory
POLL_S = 0.2  # between two looks at memory and clock


def _unwatched(step: int | None) -> None:
    """Steps in a process that nobody watches."""


_report_step: Callable[[int | None], None] = _unwatched


class WorkerDiedError(OSError):
    """A process ended again and again, and nothing says which part of its work is at fault."""


@dataclass(frozen=True)
class Limits:
    """What one step of a task may cost its process; None is no limit.

    Attributes:
        seconds: from its beginning, by the clock.
        memory_bytes: of the process, without what it maps of files; watched on Linux only.
    """

    seconds: float | None = None
    memory_bytes: int | None = None


def parallel_map_unordered(work: Callable[[T], R], items: Sequence[T], workers: int) -> Iterator[R]:
    """Yield `work(item)` for every item as they finish, in any order.

    With one worker everything happens in this process. A worker that is killed, by the kernel for want of memory say,
    costs what it was doing, which is done again; an exception of `work` is raised here.

    Args:
        work: picklable; it travels to each process once, and may keep there what is costly to open.
        items: picklable, as are the results.
        workers: processes, at most one per item.

    Raises:
        WorkerDiedError: if the same item ended its process `TRIES` times.
    """
    workers = min(workers, len(items))
    if workers <= 1:
        yield from map(work, items)
        return
    # Spawned, not forked: OpenGL contexts and torch's threads do not survive a fork.
    yield from _spread(_Whole(work), items, workers, Limits(), "spawn")


def isolated(
    work: Callable[[T, Mapping[int, str]], R], items: Iterable[T], workers: int, limits: Limits
) -> Iterator[R]:
    """Yield `work(item, given_up)` for every item as they finish, in any order; always in other processes.

    `work` says with `at_step` what it is about to do. A step that takes too long, that needs too much memory or that
    ends its process (twice, unless the end was ours) is given up: the item is done again, and `given_up` has, by the
    number of each such step, the reason why `work` must leave it out. An exception of `work` is raised here.

    The processes are forked from a server that has imported the module of `work` and nothing else, so that one more
    costs milliseconds. They end with this process, however that ends.

    Args:
        work: picklable; it travels to each process once.
        items: picklable, as are the results.
        workers: processes, at least one.
        limits: of each step.

    Raises:
        WorkerDiedError: if an item ends its process between two steps, `TRIES` times.
    """
    yield from _spread(work, items, workers, limits, "forkserver")


def at_step(number: int | None) -> None:
    """Tell whoever watches this process which step begins now; None for what belongs to no step."""
    _report_step(number)


@dataclass(frozen=True)
class _Whole(Generic[T, R]):
    """Work without steps."""

    work: Callable[[T], R]

    def __call__(self, item: T, given_up: Mapping[int, str]) -> R:
        return self.work(item)


@dataclass
class _Task:
    """An item, what is left out of it, and how often which step of it ended a process."""

    item: Any
    given_up: dict[int, str] = field(default_factory=dict)
    deaths: Counter[int | None] = field(default_factory=Counter)

    def fail(self, step: int | None, reason: str, final: bool) -> None:
        """Note that a process did not survive a step; `final` if there is no use in trying again."""
        self.deaths[step] += 1
        if step is None and (final or self.deaths[step] >= TRIES):
            raise WorkerDiedError(f"a worker process was lost outside of any item: {reason}")
        if step is not None and (final or self.deaths[step] >= TRIES):
            self.given_up[step] = reason


class _Worker:
    """A process and what it is at."""

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
        """What has come in: at most one result; EOFError if the process has ended. Raises what `work` raised."""
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
        """Which limit the step is beyond; "" if none."""
        if self.step is None:  # it starts, or writes: slow perhaps, but no item's fault
            return ""
        if limits.seconds is not None and time.monotonic() - self.since_s > limits.seconds:
            return f"no result within {limits.seconds:g} s"
        if limits.memory_bytes is not None and _memory_bytes(self.process.pid) > limits.memory_bytes:
            return f"more than {limits.memory_bytes / 2**30:.1f} GiB of memory"
        return ""

    def ending(self) -> str:
        """How the process came to its end."""
        self.process.join(5)
        code = self.process.exitcode
        if code is not None and code < 0:
            hint = ", perhaps for want of memory" if code == -signal.SIGKILL else ""
            return f"its process was killed by signal {-code} ({signal.Signals(-code).name}){hint}"
        return f"its process ended with exit code {code}"

    def is_dead(self) -> bool:
        """Whether it has ended and left nothing to be read: what it has started may still hold its pipe open."""
        return not self.process.is_alive() and not self.connection.poll()

    def end(self) -> None:
        self.process.kill()
        with contextlib.suppress(OSError, TypeError):  # what it has started goes with it
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.join(5)
        self.connection.close()


def _spread(work: Any, items: Iterable[Any], workers: int, limits: Limits, method: str) -> Iterator[Any]:
    content, preload = pickle.dumps(work), type(work).__module__
    fresh, again, crew = map(_Task, items), deque[_Task](), list[_Worker]()

    def employ(worker: _Worker | None = None) -> None:
        task = again.popleft() if again else next(fresh, None)
        if task is not None:
            if worker is None:
                crew.append(worker := _Worker(content, method, preload))
            worker.begin(task)

    try:
        while True:
            while len(crew) < max(1, workers):
                before = len(crew)
                employ()
                if len(crew) == before:
                    break
            if not (busy := [worker for worker in crew if worker.task is not None]):
                return
            watched: list[Any] = [worker.connection for worker in busy]
            wait([*watched, *(worker.process.sentinel for worker in busy)], POLL_S)
            for worker in busy:
                task, lost, final = worker.task, "", False
                assert task is not None
                try:
                    for result in worker.results():
                        employ(worker)  # before the result is looked at, so that nobody waits
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
                    crew.remove(worker)
                    task.fail(worker.step, lost, final)
                    again.append(task)
    finally:
        for worker in crew:
            worker.end()


def _serve(connection: Connection, tracebacks: bool) -> None:
    """The life of a worker: `work`, then an item after the other, until the other end is closed."""
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
    """The error with its traceback as a note, or its text if it does not survive being pickled."""
    error.add_note("".join(traceback.format_exception(error)))
    try:
        pickle.loads(pickle.dumps(error))  # noqa: S301
    except Exception:  # whatever somebody's __reduce__ raises
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error


def _end_with_parent() -> None:
    """Leave no orphans: when the parent's end of this pipe closes, the kernel sends SIGIO, which ends the process."""
    if (parent := multiprocessing.parent_process()) is not None:
        signal.signal(signal.SIGIO, signal.SIG_DFL)  # ends it even where code in C lets no thread run
        fcntl.fcntl(parent.sentinel, fcntl.F_SETOWN, os.getpid())
        flags = fcntl.fcntl(parent.sentinel, fcntl.F_GETFL)
        fcntl.fcntl(parent.sentinel, fcntl.F_SETFL, flags | os.O_ASYNC)
        if wait([parent.sentinel], 0):  # it closed before
            os._exit(1)


@contextmanager
def _one_thread() -> Iterator[None]:
    """One thread for each process that starts in here, unless the user says otherwise."""
    names = [name for name in ONE_THREAD if name not in os.environ]
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name in names:
            del os.environ[name]


@contextmanager
def _main_as_needed(work: bytes) -> Iterator[None]:
    """Processes that start in here run the user's script only if something of it travels to them."""
    main = sys.modules["__main__"]
    if b"__main__" not in work:
        sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = main


def _memory_bytes(pid: int | None) -> int:
    """Memory that a process alone has filled; 0 where nobody can tell."""
    try:
        _, resident, shared, *_ = Path(f"/proc/{pid}/statm").read_text().split()
    except (OSError, ValueError):
        return 0
    return (int(resident) - int(shared)) * os.sysconf("SC_PAGE_SIZE")
