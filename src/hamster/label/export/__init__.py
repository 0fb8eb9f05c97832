"""Label sets in the formats that others train on: LeRobotDataset v3.0, TRL's vision datasets, LLaVA's JSON.

docs/formats.md describes what is in them. The same label set gives the same bytes, and a folder appears whole or not
at all.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

from hamster.dialects import DIALECTS
from hamster.extras import extra
from hamster.label.dataset import read_manifest
from hamster.label.export.examples import FRAMES_PER_EPISODE
from hamster.label.export.staging import Staged

__all__ = ["FORMATS", "FRAMES_PER_EPISODE", "export", "writer"]

Writer = Callable[[Path, Path, int, str], dict[str, int]]
FORMATS = ("lerobot", "trl", "llava")


def writer(format: str) -> Writer:
    """Return what writes a format: LeRobot and TRL are Parquet and need pyarrow, LLaVA is JSON and needs nothing.

    Raises:
        NotInstalledError: for a format whose packages are not installed.
        ValueError: for an unknown format.
    """
    if format not in FORMATS:
        raise ValueError(f"unknown format {format!r}; there are {', '.join(FORMATS)}")
    with extra("data"):
        write: Writer = import_module(f"hamster.label.export.{format}").write
    return write


def export(
    folder: str | Path,
    out: str | Path,
    format: str,
    *,
    frames_per_episode: int = FRAMES_PER_EPISODE,
    dialect: str = "hamster",
) -> dict[str, Any]:
    """Write a finished label set in another format, into a new folder.

    A call that was interrupted left nothing; the same call again, once it is done, does nothing. If the labels have
    changed since, what it wrote is replaced, as long as it was not modified.

    Args:
        folder: of the label set.
        out: must not exist, be empty, or hold the same export.
        format: one of `FORMATS`.
        frames_per_episode: that become examples for a planner, evenly spaced; LeRobot has them all.
        dialect: of `hamster.dialects`, in which the answers for a planner are written.

    Returns:
        {"format", "images", "rows", "paths", "left_out", "files", "digest"} and, for LeRobot, "episodes": what was
        written. `left_out` counts what has no picture, or a path that the dialect cannot say.

    Raises:
        NotInstalledError: for a format whose packages are not installed.
        ValueError: for an unknown format, a folder that is no label set or is damaged, an `out` that holds
            anything else or that another process writes to, or if nothing at all could be written.
    """
    folder, out = Path(folder), Path(out)
    write = writer(format)
    dialect = DIALECTS.canonical(dialect)
    if dialect not in DIALECTS:
        raise ValueError(f"unknown dialect {dialect!r}; there are {', '.join(DIALECTS)}")
    if frames_per_episode < 1:
        raise ValueError(f"frames_per_episode must be >= 1, got {frames_per_episode}")
    settings = {"format": format, "frames_per_episode": frames_per_episode, "dialect": dialect}
    with Staged(out, settings, read_manifest(folder)["digest"]) as staged:
        if staged.done is not None:
            return staged.done
        counts = write(folder, staged.part, frames_per_episode, dialect)
        if not counts["rows"]:
            without = f": {counts['left_out']} item(s) without a picture or a path" if counts["left_out"] else ""
            raise ValueError(f"{folder} has nothing that could be written as {format}{without}")
        return staged.finish({"format": format, **counts})
