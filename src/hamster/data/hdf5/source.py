"""Demonstrations of robomimic (https://robomimic.github.io), MimicGen and LIBERO (arXiv 2306.03310)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

from hamster.data.hdf5.episode import read_episode
from hamster.data.hdf5.files import group, opened
from hamster.data.inputs import Inputs
from hamster.data.records import Episode, Unreadable

SUFFIXES = (".hdf5", ".h5")


@dataclass(frozen=True)
class HDF5:
    """All demonstrations `data/demo_*` of a file, or of all .hdf5 files of a folder: a `hamster.data.Source`.

    A file that cannot be read at all counts as one item.

    Raises:
        ValueError: if there is no such file, or no demonstration.
    """

    file: Path
    per_shard: int = 1
    _demos: tuple[tuple[Path, str], ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", Path(self.file))
        demos = tuple((file, demo) for file in _files(self.file) for demo in _demos(file))
        if not demos:
            raise ValueError(f"no demonstrations (data/demo_0 …) in {self.file}; need robomimic's or LIBERO's HDF5")
        object.__setattr__(self, "_demos", demos)

    @property
    def uri(self) -> str:
        """hdf5:FILE."""
        return f"hdf5:{self.file}"

    def __len__(self) -> int:
        return len(self._demos)

    def __getitem__(self, index: int) -> Episode | Unreadable:
        file, demo = self._demos[index]
        try:
            return read_episode(file, demo, f"hdf5:{file.name}#{demo}")
        except (ValueError, OSError) as error:
            return Unreadable(f"{file.name}/{demo}".rstrip("/"), str(error))

    def inputs(self, index: int) -> Inputs:
        """Return the whole file that holds the demonstration."""
        file, demo = self._demos[index]
        name = f"{file.name}/{demo}".rstrip("/")
        return Inputs(name, [file], name)


def _files(file: Path) -> list[Path]:
    if file.is_dir():
        return sorted(path for path in file.rglob("*") if path.suffix in SUFFIXES and path.is_file())
    if not file.is_file():
        raise ValueError(f"no file {str(file)!r}; say hdf5:FILE with robomimic's or LIBERO's demonstrations")
    return [file]


def _demos(file: Path) -> list[str]:
    """Return the names of the demonstrations, demo_9 before demo_10; "" stands for a file that cannot be read."""
    try:
        with opened(file) as h5:
            names = [name for name in group(h5, "data") if re.fullmatch(r"demo_\d+", name)]
    except (ValueError, OSError):
        return [""]
    return sorted(names, key=lambda name: int(name[5:]))
