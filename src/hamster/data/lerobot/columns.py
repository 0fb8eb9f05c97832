"""Columns of an untrusted Parquet file as arrays, within bounds."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

MAX_BYTES = 8 << 30  # of a table in memory
MAX_NAMES_BYTES = 64 << 20  # of the file's own description
_BROKEN = (pa.ArrowException, OSError, ValueError, TypeError, OverflowError, UnicodeDecodeError)


def column_names(file: Path) -> list[str]:
    """Return names of the top-level columns."""
    with _opened(file) as parquet:
        return list(parquet.schema_arrow.names)


def read_table(file: Path, columns: Sequence[str], episode: int | None = None) -> Any:
    """Return columns of a Parquet file, those that it has, of all rows or of one episode.

    Args:
        file: of Parquet.
        columns: names.
        episode: its index, to read its rows alone.

    Raises:
        ValueError: in one line with the file's name, if it is missing, damaged, cut off or too large.
    """
    with _opened(file) as parquet:
        have = [name for name in columns if name in parquet.schema_arrow.names]
        by = "episode_index"
        if episode is None or by not in parquet.schema_arrow.names:
            return parquet.read(columns=have, use_threads=False)
        groups = [g for g in range(parquet.num_row_groups) if _may_hold(parquet, g, by, episode)]
        names_read = list(dict.fromkeys([*have, by]))
        table = parquet.read_row_groups(groups, columns=names_read, use_threads=False)
        return table.filter(pc.equal(table[by], episode)).select(have)


def numbers(table: Any, name: str) -> NDArray[np.float64]:
    """Return (T, D) float64: a column of numbers, or of lists of numbers of one length (and lists of these, flattened).

    Raises:
        ValueError: if it holds anything else, or something is missing.
    """
    column = table[name].combine_chunks()
    rows = len(column)
    if column.null_count:
        raise ValueError(f"column {name!r} lacks the value of frame {column.is_null().index(True).as_py()}")
    while isinstance(column, pa.ExtensionArray):
        column = column.storage
    while pa.types.is_list(column.type) or pa.types.is_large_list(column.type) or _fixed(column):
        column = column.flatten()
        while isinstance(column, pa.ExtensionArray):
            column = column.storage
    kind = column.type
    if not (pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)) or column.null_count:
        raise ValueError(f"column {name!r} holds {kind}, not only numbers")
    if rows and len(column) % rows:
        raise ValueError(f"column {name!r} holds lists of different lengths")
    values = column.cast(pa.float64() if not pa.types.is_boolean(kind) else pa.uint8()).to_numpy(zero_copy_only=False)
    return np.array(values, np.float64).reshape(rows, -1)


@contextmanager
def _opened(file: Path) -> Iterator[Any]:
    """Open a Parquet file; any error of its format becomes a ValueError in one line."""
    try:
        limits = {"thrift_string_size_limit": MAX_NAMES_BYTES, "thrift_container_size_limit": MAX_NAMES_BYTES}
        with pq.ParquetFile(file, **limits) as parquet:
            claimed = sum(parquet.metadata.row_group(g).total_byte_size for g in range(parquet.num_row_groups))
            if claimed > MAX_BYTES:
                raise ValueError(f"it holds {claimed >> 30} GiB; at most {MAX_BYTES >> 30} GiB are read")
            yield parquet
    except FileNotFoundError:
        raise ValueError(f"{file.name} is missing") from None
    except _BROKEN as error:
        raise ValueError(f"{file.name} is damaged or cut off: {' '.join(str(error).split())[:160]}") from None


def _may_hold(parquet: Any, group: int, name: str, value: int) -> bool:
    """Return whether a row group may hold the value, by its statistics; True without them."""
    described = parquet.metadata.row_group(group).column(parquet.schema.names.index(name)).statistics
    return not (described and described.has_min_max) or described.min <= value <= described.max


def _fixed(column: Any) -> bool:
    return bool(pa.types.is_fixed_size_list(column.type))
