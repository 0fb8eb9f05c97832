"""Processes that are forked from one that has imported what they need, which takes seconds each time."""

import gc
import importlib
import multiprocessing
import os
import socket
import sys
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path

EVERYTHING = (
    "hamster.cli", "hamster.evaluate", "hamster.planner.transformers_backend", "hamster.planner.finetune.trainer",
    "hamster.planner.nano_training.train", "hamster.policy.training.train",
)  # fmt: skip


def run(function, members, timeout_s=120, imported=EVERYTHING, without=(), prints=None):
    """Call a function in processes of their own, at the same time, in this one's folder and environment.

    The process that they are forked from has imported, and done nothing else: a fork of one whose OpenMP threads have
    worked waits for them for ever. It is not multiprocessing's fork server, of which there is one only, the labellers'.

    Args:
        function: of a module that imports nothing that `without` names.
        members: its arguments in each process, picklable.
        timeout_s: after which a process is killed.
        imported: modules that they need not import.
        without: modules that are not there for them.
        prints: a folder that gets what they print, in out and err.

    Returns:
        Their exit codes.
    """
    place = Path.cwd(), dict(os.environ), prints
    return _parent(tuple(imported), tuple(without)).submit(_fork, place, function, members, timeout_s).result()


def output(function, argument, folder, **options):
    """Exit code of a function in a process of its own, what it printed to stdout, and what to stderr."""
    (code,) = run(function, [(argument,)], prints=folder, **options)
    return code, (folder / "out").read_text(), (folder / "err").read_text()


@cache
def _parent(imported, without):
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(1, context, _prepare, (imported, without))


def _prepare(imported, without):
    sys.meta_path[:] = [_Without(finder, frozenset(without)) for finder in sys.meta_path]
    gc.disable()  # nothing that is imported is garbage
    for name in imported:
        importlib.import_module(name)
    gc.freeze()
    gc.enable()
    multiprocessing.set_start_method("fork", force=True)  # of loaders' workers too, as where a user trains


class _Without:
    """Finds what another finder finds, but for these packages, as if they were not installed.

    None in sys.modules would make packages that look there believe that they have been imported.
    """

    def __init__(self, finder, packages):
        self.finder, self.packages = finder, packages

    def find_spec(self, name, path=None, target=None):
        hidden = name.partition(".")[0] in self.packages
        return None if hidden else self.finder.find_spec(name, path, target)

    def __getattr__(self, name):
        return getattr(self.finder, name)  # find_distributions, by which packages learn each other's versions


def _fork(place, function, members, timeout_s):
    processes = [multiprocessing.Process(target=_member, args=(place, function, member)) for member in members]
    for process in processes:
        process.start()
    for process in processes:
        process.join(timeout_s)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    return codes


def _member(place, function, arguments):
    folder, variables, prints = place
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    if prints:
        for stream, name in ((1, "out"), (2, "err")):
            os.dup2(os.open(prints / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), stream)
    function(*arguments)


def environment(rank, processes, port):
    """What `torchrun` would say."""
    if processes == 1:
        return {}
    ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    sizes = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    return ranks | sizes | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
