"""Episodes of Open X-Embodiment (https://arxiv.org/abs/2310.08864): RLDS datasets in TFRecord files."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hamster.data.inputs import FilePart, Inputs
from hamster.data.records import Episode, Unreadable
from hamster.data.rlds import tfrecord
from hamster.data.rlds.episode import Layout, read_episode
from hamster.data.rlds.features import NAME, read_features, read_json


@dataclass(frozen=True)
class RLDS:
    """All episodes of a dataset, of all its splits: a `hamster.data.Source`.

    `folder` holds features.json and the TFRecord files, or has one such folder below it (DATASET/1.0.0). Only the
    headers of the records are read before any is read.

    Raises:
        ValueError: if there is no such dataset or no record, or more than one dataset.
    """

    folder: Path
    per_shard: int = 1
    _layout: Layout = field(init=False, repr=False, compare=False)
    _files: tuple[Path, ...] = field(init=False, repr=False, compare=False)
    _records: NDArray[np.int64] = field(init=False, repr=False, compare=False)  # (N, 2): file, offset

    def __post_init__(self) -> None:
        folder = _dataset(Path(self.folder))
        files = tuple(sorted(file for file in folder.glob("*.tfrecord*") if file.is_file()))
        records = [(number, offset) for number, file in enumerate(files) for offset in tfrecord.offsets(file)]
        if not records:
            raise ValueError(f"no records in {folder}; RLDS keeps its episodes in *.tfrecord-00000-of-00001 files")
        object.__setattr__(self, "folder", Path(self.folder))
        object.__setattr__(self, "_layout", Layout.of(_name(folder, files[0]), read_features(folder)))
        object.__setattr__(self, "_files", files)
        object.__setattr__(self, "_records", np.array(records, np.int64))

    @property
    def uri(self) -> str:
        """rlds:DIR."""
        return f"rlds:{self.folder}"

    def __len__(self) -> int:
        return len(self._records)

    def __getitem__(self, index: int) -> Episode | Unreadable:
        number, offset = self._records[index].tolist()
        file = self._files[number]
        try:
            return read_episode(
                tfrecord.read(file, offset), self._layout, f"rlds:{self._layout.dataset}#{index}", file, offset
            )
        except (ValueError, OSError) as error:
            return Unreadable(f"{file.name}@{offset}", str(error))

    def inputs(self, index: int) -> Inputs:
        """Return the record, and what describes the dataset."""
        number, offset = self._records[index].tolist()
        file, folder = self._files[number], self._files[number].parent
        record = FilePart(file, offset, tfrecord.end(file, offset))
        described = [folder / NAME, folder / "dataset_info.json"]
        return Inputs(f"{file.name}@{offset}", [record, *described], f"{index} {file.name}@{offset}")


def _dataset(folder: Path) -> Path:
    """Return the one folder, this one or below, that holds a dataset."""
    if not folder.is_dir():
        raise ValueError(f"no folder {str(folder)!r}; say rlds:DIR with a folder that holds {NAME}")
    if (folder / NAME).is_file():
        return folder
    folders = sorted(file.parent for file in folder.rglob(NAME))
    if len(folders) != 1:
        some = ", ".join(str(place) for place in folders[:4])
        raise ValueError(f"{folder} holds {len(folders)} datasets, need one {NAME}; choose one of {some or 'none'}")
    return folders[0]


def _name(folder: Path, file: Path) -> str:
    """Return the dataset's name: from dataset_info.json, or from a file DATASET-SPLIT.tfrecord-…, by name."""
    if (folder / "dataset_info.json").is_file():
        name = read_json(folder / "dataset_info.json").get("name")
        if isinstance(name, str) and name:
            return name
    return re.split(r"-[^-]+\.tfrecord", file.name)[0]
