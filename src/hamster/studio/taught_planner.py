"""The process in which a planner is fine-tuned on kept examples: `python -m hamster.studio.taught_planner FOLDER`.

It labels the examples, makes off-domain images beside them where there is a simulator, and trains as `hamster train
planner --config finetune` does. Started again it goes on, and it ends with whoever started it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

from hamster.files import write_atomic
from hamster.stopped import RunStoppedError

RECORD = "finetuning.json"
KEPT, KNOWN = "kept", "known"
"""Names of the two label sets: the kept examples, and what the planner is to go on knowing."""
N_KNOWN = 256
"""Off-domain images in the mixture, so that what the planner knows is not forgotten over a few drawings."""
BATCH, INSTRUCTIONS_PER_IMAGE = 8, 4
HELD_OUT = 0.2
"""Share of each label set that the curve of the page is measured on."""
NICE = 10


@dataclass(frozen=True)
class Recipe:
    """What a fine-tuning is made of; in the folder as `RECORD`.

    Attributes:
        base: the planner that it starts from: a name, or a checkpoint folder.
        examples: folder of the kept examples.
        steps: optimiser steps.
        end: "" while it has not come to an end, "done" or "cancelled".
    """

    base: str
    examples: str
    steps: int
    end: str = ""

    @classmethod
    def read(cls, folder: Path) -> Recipe:
        """Read the recipe of a folder; ValueError if it has none."""
        try:
            return cls(**json.loads((folder / RECORD).read_text("utf-8")))
        except (OSError, ValueError, TypeError) as error:
            raise ValueError(f"{folder} is no fine-tuning of the studio: {error}") from None

    def write(self, folder: Path) -> None:
        """Store the recipe in a folder, which is created."""
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / RECORD, json.dumps(asdict(self), indent=1) + "\n")


def fine_tune(folder: Path) -> None:
    """Fine-tune by the recipe of a folder, or go on with it; the planner is then in `model`, as of any training.

    Raises:
        ValueError: if the examples cannot be labelled, or the planner that it starts from has changed.
        RunStoppedError: if a disk is full.
    """
    from hamster.label import label
    from hamster.planner.load import find_planner
    from hamster.planner.nano_training.config import PRESETS
    from hamster.planner.nano_training.pictures import WeightedDataset
    from hamster.planner.nano_training.train import train_planner

    recipe = Recipe.read(folder)
    parts = [WeightedDataset(folder / KEPT)]
    # Once: examples that are kept later belong to the next fine-tuning.
    if not (folder / KEPT / "manifest.json").is_file():
        label(f"sketch:{recipe.examples}", folder / KEPT)
    if find_spec("mujoco") is not None:
        n_examples = json.loads((folder / KEPT / "manifest.json").read_text("utf-8"))["counts"]["labelled"]
        known = folder.parent / KNOWN  # the same for all fine-tunings
        label(f"offdomain:{N_KNOWN}", known)
        parts = [replace(parts[0], weight=max(1.0, N_KNOWN / n_examples)), WeightedDataset(known)]
    config = replace(
        PRESETS["finetune"],
        steps=recipe.steps,
        batch=BATCH,
        each=INSTRUCTIONS_PER_IMAGE,
        held_out=HELD_OUT,
        log_every=max(1, recipe.steps // 100),
        evaluate_every=recipe.steps // 4 + 1,  # and at the end
        evaluate_on=32,
        save_every_s=15.0,
    )
    train_planner(config, parts, folder, find_planner(recipe.base))


def main(arguments: Sequence[str]) -> int:
    """Fine-tune at a low priority; return 0, or 1 after an error of one line."""
    os.nice(NICE)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        fine_tune(Path(arguments[0]))
    except (ValueError, OSError, RunStoppedError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _end_with_parent() -> None:
    """End this process and its own children when standard input closes: the studio has ended, however it did."""
    while os.read(0, 1):  # not through `sys.stdin`, whose lock an interpreter that ends would wait for, and abort
        pass
    os.killpg(0, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
