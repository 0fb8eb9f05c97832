"""`hamster train planner`: the nano planner by its own recipe, any other vision-language model by TRL."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from hamster.extras import extra
from hamster.planner.learning.pictures import Part


def train_planner(config: str, parts: list[Part], model: str | None, out: Path, dry: bool, changes: Any) -> None:
    """Trains to the end of the configuration, or, if `dry`, says what that will take.

    Args:
        config: its name.
        parts: label sets.
        model: to start from; for the nano planner None starts anew.
        out: where everything goes.
        dry: only look.
        changes: of the configuration, and "dialect"; None leaves one as it is.

    Raises:
        ValueError: for what the configuration cannot use, by name.
    """
    from hamster.planner.presets import preset
    from hamster.planner.sft.presets import SftConfig

    chosen, changes = preset(config), {key: value for key, value in changes.items() if value is not None}
    if isinstance(chosen, SftConfig):
        dialect = changes.pop("dialect", None)
        _fine_tune(config, replace(chosen, **changes), parts, model, out, dry, dialect)
        return
    if dry or changes:
        named = ", ".join(["--dry-run"] * bool(dry) + [f"--{key.replace('_', '-')}" for key in changes])
        raise ValueError(f"{named} belong to fine-tuning (--config lora, say, and --model): {config} has none")
    from hamster.planner.planner import find_planner

    with extra("train"):
        from hamster.planner.train import train_planner as train_nano
    train_nano(chosen, parts, out, find_planner(model) if model else None)


def _fine_tune(
    name: str, config: Any, parts: list[Part], model: str | None, out: Path, dry: bool, dialect: str | None
) -> None:
    if model is None:
        raise ValueError(f"--config {name} fine-tunes a model: give --model, a folder or a hub id (OWNER/NAME)")
    where = str(_folder(model) or model)
    with extra("finetune"):
        if dry:
            from hamster.planner.sft.dry_run import show

            show(where, config, parts, out, dialect)
        else:
            from hamster.planner.sft.run import fine_tune

            fine_tune(where, config, parts, out, dialect)


def _folder(model: str) -> Path | None:
    """None for a hub id; ValueError if it is none, and there is no such folder."""
    from hamster.planner.planner import BUNDLED, find_planner

    if model.count("/") == 1 and not model.startswith((".", "/")) and not Path(model).exists():
        return None
    folder = find_planner(model)
    if folder.parent == BUNDLED:
        raise ValueError(f"{model} is fine-tuned by its own recipe: --config finetune")
    return folder
