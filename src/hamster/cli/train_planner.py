"""`hamster train planner`: the nano planner by its own recipe, any other vision-language model by TRL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hamster.extras import extra, require
from hamster.planner.nano_training.pictures import WeightedDataset

OWN = ("steps", "seconds", "batch", "seed")  # options of the nano planner's configurations
FINETUNE_NAMES = {"batch": "batch_size", "micro_batch": "micro_batch_size", "lr": "learning_rate"}  # by option
FROM_NANO = ("finetune", "refusal", "height")  # configurations that start from the trained planner


def train_planner(
    config: str,
    parts: list[WeightedDataset],
    model: str | None,
    out: Path,
    dry: bool,
    changes: Any,
    tower: str | None = None,
) -> None:
    """Train to the end of the configuration, or, if `dry`, show what that will take.

    Args:
        config: its name.
        parts: label sets.
        model: checkpoint to start from; None is the bundled nano planner if the configuration fine-tunes it, else
            random weights.
        out: result folder.
        dry: train nothing.
        changes: of the configuration, and "dialect"; None leaves a value as it is.
        tower: nano planner whose image tower a new one starts with.

    Raises:
        ValueError: for options that the configuration does not have.
        NotInstalledError: without the extra that the configuration needs, `train` or `finetune`.
    """
    with extra("finetune" if model and config not in FROM_NANO else "train"):
        from hamster.planner.finetune.presets import FinetuneConfig
        from hamster.planner.presets import preset

    recipe, changes = preset(config), {key: value for key, value in changes.items() if value is not None}
    if isinstance(recipe, FinetuneConfig):
        if tower is not None:
            raise ValueError(f"--tower is for a new nano planner (--config nano); --config {config} has its own")
        dialect = changes.pop("dialect", None)
        settings = {FINETUNE_NAMES.get(option, option): value for option, value in changes.items()}
        _fine_tune(
            config,
            replace(recipe, **settings),
            parts,
            model,
            out,
            dry,
            dialect,
        )
        return
    others = [
        f"--{key.replace('_', '-')}" for key in {**changes, **({"dry_run": dry} if dry else {})} if key not in OWN
    ]
    if others:
        raise ValueError(
            f"{', '.join(others)} can be set where another model is fine-tuned (--config lora, say, and --model); "
            f"--config {config} is the nano planner's own recipe and takes --steps or --seconds, --batch and --seed"
        )
    if min(changes.get(name, 1) for name in ("steps", "seconds", "batch")) < 1:
        raise ValueError("steps, seconds and batch must be >= 1")
    if "seconds" in changes:
        if "steps" in changes:
            raise ValueError("a training has one budget: give --steps or --seconds")
        changes["steps"] = None
    require(("train",), "hamster train planner")
    from hamster.planner.load import find_planner
    from hamster.planner.nano_training.train import train_planner as train_nano

    start = model or ("nano" if config in FROM_NANO else None)
    folders = [find_planner(name) if name else None for name in (start, tower)]
    train_nano(replace(recipe, **changes), parts, out, *folders)


def _fine_tune(
    name: str, config: Any, parts: list[WeightedDataset], model: str | None, out: Path, dry: bool, dialect: str | None
) -> None:
    if model is None:
        raise ValueError(f"--config {name} fine-tunes a model: give --model, a folder or a hub id (OWNER/NAME)")
    where = str(_folder(model) or model)
    with extra("finetune"):
        if dry:
            from hamster.planner.finetune.dry_run import show

            show(where, config, parts, out, dialect)
        else:
            from hamster.planner.finetune.run import fine_tune

            fine_tune(where, config, parts, out, dialect)


def _folder(model: str) -> Path | None:
    """Return the folder of a model, None for a hub id; ValueError if there is no such folder."""
    from hamster.hub import HubId
    from hamster.planner.load import BUNDLED, find_planner

    if HubId.parse(model) is not None:
        return None
    folder = find_planner(model)
    if folder.parent == BUNDLED:
        raise ValueError(f"{model} is fine-tuned by its own recipe: --config finetune")
    return folder
