"""Trainings in processes of their own: several that train together, and ones that are killed."""

import multiprocessing
import os
import signal
import socket
from concurrent.futures import ProcessPoolExecutor

from hamster.planner.finetune.run import fine_tune

FSDP2 = {
    "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT", "FSDP_RESHARD_AFTER_FORWARD": "true",
}  # fmt: skip
"""What `accelerate launch --use_fsdp --fsdp_version 2 …` puts into the environment."""

# Members are forked from a process that has imported what they need and done nothing else: a fork of one whose OpenMP
# threads have worked waits for them for ever. multiprocessing's fork server is taken by the labellers in these tests.
_PARENT = ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


def together(processes, *training, env=None, killed_at=None):
    """Calls `fine_tune(*training)` in processes that know of each other.

    Args:
        processes: how many.
        training: picklable arguments of `fine_tune`.
        env: variables for their environment.
        killed_at: number of a step that `kill -9` prevents.

    Returns:
        Their exit codes.
    """
    port = _free_port()
    members = [(_place(rank, processes, port) | (env or {}), training, killed_at) for rank in range(processes)]
    return _PARENT.submit(_fork, members).result()


def _fork(members):
    """Exit codes of forked processes, in the one that all are forked from."""
    import hamster.planner.finetune.trainer  # noqa: F401  # once for all of them

    multiprocessing.set_start_method("fork", force=True)  # of the loaders' workers too, as where a user trains
    forked = [multiprocessing.Process(target=_member, args=member) for member in members]
    for member in forked:
        member.start()
    for member in forked:
        member.join(120)
    codes = [member.exitcode for member in forked]
    for member in forked:
        member.kill()
    return codes


def _member(env, training, killed_at):
    os.environ.update(env)
    if killed_at:
        _kill_before(killed_at)
    fine_tune(*training)


def _kill_before(step):
    from hamster.planner.finetune.trainer import Log

    begun = Log.on_step_begin

    def on_step_begin(self, args, state, control, **more):
        if state.global_step == step - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return begun(self, args, state, control, **more)

    Log.on_step_begin = on_step_begin


def _place(rank, processes, port):
    """What `torchrun` would say."""
    if processes == 1:
        return {}
    ranks = {"RANK": str(rank), "LOCAL_RANK": str(rank)}
    sizes = {"WORLD_SIZE": str(processes), "LOCAL_WORLD_SIZE": str(processes)}
    return ranks | sizes | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def _free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
