"""Where planners' checkpoints are, and their sizes: of planners, policies know the folders only."""

from __future__ import annotations

from importlib.resources import files
from inspect import signature
from pathlib import Path
from typing import Any

from hamster.nano import HamsterNanoConfig


def planner_folder(planner: str) -> Path:
    """Return the folder of a nano planner's checkpoint.

    Args:
        planner: a bundled planner's name, or a folder.

    Raises:
        ValueError: if there is no such planner, or it is of another architecture.
    """
    bundled = Path(str(files("hamster"))) / "planner" / "checkpoints"
    for folder in (bundled / planner, Path(planner)):
        if (folder / "config.json").is_file():
            if '"hamster_nano"' not in (folder / "config.json").read_text():
                raise ValueError(f"{folder} is no nano planner, as this policy needs one")
            return folder
    names = ", ".join(sorted(path.parent.name for path in bundled.glob("*/config.json")))
    raise ValueError(f"no planner {planner!r} to start from; give one of {names}, or a folder with a checkpoint")


def planner_sizes(folder: Path) -> dict[str, Any]:
    """Return the arguments of `HamsterNanoConfig` of the checkpoint in a folder."""
    config = HamsterNanoConfig.from_pretrained(folder, local_files_only=True)
    return {name: getattr(config, name) for name in signature(HamsterNanoConfig).parameters if name != "kwargs"}
