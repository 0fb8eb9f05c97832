"""Names of files in other people's data stay inside the folder that the data are in."""

from __future__ import annotations

from pathlib import Path


def inside(folder: Path, name: str) -> Path:
    """The file of that name, relative to the folder; ValueError if it leads, also by a link, out of the folder."""
    if "\0" in name:
        raise ValueError(f"{name[:80]!r} is not the name of a file")
    if not (folder / name).resolve().is_relative_to(folder.resolve()):
        raise ValueError(f"{name[:80]!r} is outside of {folder}")
    return folder / name
