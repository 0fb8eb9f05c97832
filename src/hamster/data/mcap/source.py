"""The source: MCAP files, one episode each."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from hamster.data.annotations import note_files
from hamster.data.inputs import Inputs
from hamster.data.mcap.episode import read_episode
from hamster.data.records import Episode, Unreadable
from hamster.extras import require


@dataclass(frozen=True)
class MCAP:
    """A file, or all .mcap files of a folder: a `hamster.data.Source`.

    Raises:
        ValueError: if there is none.
        NotInstalledError: without the extra `mcap`.
    """

    path: Path
    per_shard: int = 1
    _files: tuple[Path, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        require(("mcap",), "mcap:PATH")
        path = Path(self.path)
        files = tuple(sorted(path.rglob("*.mcap"))) if path.is_dir() else (path,)
        if not files:
            raise ValueError(f"no .mcap file in {path}")
        object.__setattr__(self, "path", path)
        object.__setattr__(self, "_files", files)

    @property
    def uri(self) -> str:
        """mcap:PATH."""
        return f"mcap:{self.path}"

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Episode | Unreadable:
        file = self._files[index]
        try:
            return read_episode(file)
        except (ValueError, OSError) as error:
            return Unreadable(file.name, str(error))

    def inputs(self, index: int) -> Inputs:
        """Return the file, and where notes about it may be."""
        file = self._files[index]
        return Inputs(file.name, [file, *note_files(file)], file.name)
