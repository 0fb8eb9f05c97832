"""Three steps of training in one of two processes."""

import os

from safetensors.torch import save_file

from hamster.policy.training.packed_dataset import load_packed_dataset
from hamster.policy.training.presets import PRESETS
from hamster.policy.training.train import Run


def train(place, data, out):
    """Leave the weights of the process that `place`, torchrun's variables, describes in `out`."""
    os.environ.update(place)
    config = PRESETS["debug"]
    run = Run(config, load_packed_dataset(data, config.actor, out / "pack", config.frames_between_keyposes), out)
    for _ in range(3):
        run.advance()
    save_file(run.actor.state_dict(), out / f"rank{run.accelerator.process_index}.safetensors")
