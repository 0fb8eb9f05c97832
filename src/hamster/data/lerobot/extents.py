"""Smallest and largest values of a column over a whole dataset: by its own statistics, else by its data."""

from __future__ import annotations

import json
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data.lazy import evenly_spaced
from hamster.data.lerobot.columns import numbers, read_table
from hamster.data.lerobot.metadata import DatasetMetadata, dataset_metadata, file_inside
from hamster.data.robots import LARGEST_WIDTH_M
from hamster.data.text import decode_text, lines_of

Array = NDArray[np.float64]
MAX_FILES = 64  # that are looked into, spread over the dataset
MAX_STATS_BYTES = 256 << 20
FAR = 10.0  # times as far from zero as most episodes get
EPISODE = "episode_index"


def column_extent(described: DatasetMetadata, column: str) -> tuple[Array, Array] | None:
    """Return the smallest and the largest values (D,) of a column; None if neither statistics nor data tell."""
    info = described.folder / "meta" / "info.json"
    return _extent(str(described.folder), info.stat().st_mtime_ns, column)


@lru_cache(maxsize=64)
def _extent(folder: str, written_ns: int, column: str) -> tuple[Array, Array] | None:
    described = dataset_metadata(folder, written_ns)
    extents = [extent for extent in _stated(described.folder, column) if extent is not None]
    extents = extents or list(_measured(described, column))
    return _together(extents) if extents else None


def _together(extents: list[tuple[Array, Array]]) -> tuple[Array, Array]:
    """Return the extent over all episodes or files, without those few that are in another unit than most, or broken."""
    lows, highs = np.array([low for low, _ in extents]), np.array([high for _, high in extents])
    reach = np.maximum(np.abs(lows), np.abs(highs))
    usual = np.median(reach, 0)
    counts = (reach <= FAR * usual) | (usual <= LARGEST_WIDTH_M)
    return np.where(counts, lows, np.inf).min(0), np.where(counts, highs, -np.inf).max(0)


def _stated(folder: Path, column: str) -> list[tuple[Array, Array] | None]:
    """Return the extents in meta/stats.json (v3.0, v2.0) or, per episode, meta/episodes_stats.jsonl (v2.1)."""
    for name in ("stats.json", "episodes_stats.jsonl"):
        file = folder / "meta" / name
        if file.is_file() and file.stat().st_size <= MAX_STATS_BYTES:
            try:
                text = decode_text(file.read_bytes(), name)
                texts = lines_of(text) if name.endswith("l") else [text]
                records = [json.loads(text) for text in texts if text.strip()]
            except (ValueError, RecursionError):
                continue
            return [_stats_of(record, column) for record in records]
    return []


def _stats_of(record: Any, column: str) -> tuple[Array, Array] | None:
    stats = record.get("stats", record) if isinstance(record, dict) else {}
    of_column = stats.get(column) if isinstance(stats, dict) else None
    if not isinstance(of_column, dict):
        return None
    try:
        low, high = (np.asarray(of_column[name], np.float64).ravel() for name in ("min", "max"))
    except (KeyError, TypeError, ValueError):
        return None
    return (low, high) if low.shape == high.shape and np.isfinite([low, high]).all() else None


def _measured(described: DatasetMetadata, column: str) -> list[tuple[Array, Array]]:
    places = evenly_spaced(len(described), MAX_FILES)
    files = dict.fromkeys(described.entry(place).data for place in places)
    extents = []
    for file in files:
        try:
            table = read_table(file_inside(described.folder, file), [column, EPISODE])
        except (ValueError, OSError):
            continue  # says what is wrong when that episode is read
        extents += _of_episodes(table, column)
    shapes = Counter(low.shape for low, _ in extents)
    return [extent for extent in extents if extent[0].shape == shapes.most_common(1)[0][0]]


def _of_episodes(table: Any, column: str) -> list[tuple[Array, Array]]:
    """Return per episode in a table the extent of its finite rows; none of those whose values are no numbers."""
    if column not in table.column_names or not len(table):
        return []
    whose = table[EPISODE].to_numpy() if EPISODE in table.column_names else np.zeros(len(table))
    starts = [0, *(np.flatnonzero(whose[1:] != whose[:-1]) + 1).tolist(), len(table)]
    extents = []
    for start, stop in pairwise(starts):
        try:
            values = numbers(table.slice(start, stop - start), column)
        except ValueError:
            continue
        values = values[np.isfinite(values).all(1)]
        if values.size:
            extents.append((values.min(0), values.max(0)))
    return extents
