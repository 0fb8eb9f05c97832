"""Trainings in processes of their own: several that train together, and ones that are killed."""

import multiprocessing
import os
import signal
import socket

from hamster.planner.sft import run as sft_run

FSDP2 = {
    "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT", "FSDP_RESHARD_AFTER_FORWARD": "true",
}  # fmt: skip
"""What `accelerate launch --use_fsdp --fsdp_version 2 …` puts into the environment."""


def together(processes, train, env=None):
    """Calls `train()` in forked processes that know of each other; their exit codes."""
    fork, port = multiprocessing.get_context("fork"), _free_port()
    members = [
        fork.Process(target=_member, args=(rank, processes, port, env or {}, train)) for rank in range(processes)
    ]
    for member in members:
        member.start()
    for member in members:
        member.join(300)
    codes = [member.exitcode for member in members]
    for member in members:
        member.kill()
    return codes


def killed_at(step, train):
    """`train`, but `kill -9` comes before step number `step` is done."""

    def dying():
        from hamster.planner.sft.trainer import Log

        begun = Log.on_step_begin

        def on_step_begin(self, args, state, control, **more):
            if state.global_step == step - 1:
                os.kill(os.getpid(), signal.SIGKILL)
            return begun(self, args, state, control, **more)

        Log.on_step_begin = on_step_begin
        train()

    return dying


def fine_tune(*arguments, **options):
    """A training as in a fresh process: Accelerate remembers the last one's."""
    from accelerate.state import AcceleratorState, GradientState, PartialState

    AcceleratorState._reset_state(True)
    GradientState._reset_state()
    PartialState._reset_state()
    return sft_run.fine_tune(*arguments, **options)


def _member(rank, processes, port, env, train):
    os.environ.update(env)
    if processes > 1:
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes))
        os.environ.update(LOCAL_WORLD_SIZE=str(processes), MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))
    train()


def _free_port():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return server.getsockname()[1]
