"""Trainings in processes of their own: several that train together, and ones that are killed."""

import os
import signal

from hamster.planner.finetune.run import fine_tune
from tests import forks

FSDP2 = {
    "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2", "FSDP_AUTO_WRAP_POLICY": "TRANSFORMER_BASED_WRAP",
    "FSDP_STATE_DICT_TYPE": "SHARDED_STATE_DICT", "FSDP_RESHARD_AFTER_FORWARD": "true",
}  # fmt: skip
"""What `accelerate launch --use_fsdp --fsdp_version 2 …` puts into the environment."""


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
    port = forks.free_port()
    places = [forks.environment(rank, processes, port) for rank in range(processes)]
    return forks.run(_member, [(place | (env or {}), training, killed_at) for place in places])


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
