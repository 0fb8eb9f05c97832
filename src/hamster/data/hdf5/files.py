"""Untrusted HDF5 files: no link out of the file is followed, nothing larger than expected is read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.extras import extra

MAX_BYTES = 512 << 20  # of one array, or of one chunk of it
MAX_LINKS = 16  # from one place in a file to another, on the way to one object
_BROKEN = (KeyError, RuntimeError, TypeError, ValueError, OSError, MemoryError, AttributeError, UnicodeError)


@contextmanager
def opened(file: Path) -> Iterator[Any]:
    """Open an h5py.File within the block; any error of its format becomes a ValueError in one line."""
    with extra("data"):
        import h5py
    try:
        with h5py.File(file, "r") as h5:
            yield h5
    except ValueError as error:
        raise ValueError(" ".join(str(error).split())) from None
    except _BROKEN as error:
        raise ValueError(f"{file.name} is not HDF5, cut off or damaged: {' '.join(str(error).split())}") from None


def group(parent: Any, name: str) -> Any:
    """Return a group in the same file; ValueError if there is none."""
    import h5py

    member = _inside(parent, name)
    if not isinstance(member, h5py.Group):
        raise ValueError(f"no group {name!r} in {parent.name}")
    return member


def dataset(parent: Any, name: str) -> Any:
    """Return an array in the same file, not read yet; None if there is none."""
    import h5py

    member = _inside(parent, name)
    if not isinstance(member, h5py.Dataset):
        return None
    if member.external or member.is_virtual:
        raise ValueError(f"{member.name} lies in another file; only data in the file itself are read")
    if member.chunks and np.prod(member.chunks, dtype=float) * member.dtype.itemsize > MAX_BYTES:
        raise ValueError(f"{member.name} has chunks of more than {MAX_BYTES >> 20} MiB")
    return member


def numbers(parent: Any, name: str, columns: int | None = None) -> NDArray[np.float64] | None:
    """Return an array (T, columns), NaN where a number is not finite; None if it is missing.

    Args:
        parent: an HDF5 group.
        name: of the array in it.
        columns: required number of columns; any if None.

    Raises:
        ValueError: if it has another shape, is too large, or holds anything else.
    """
    array = dataset(parent, name)
    if array is None:
        return None
    if array.ndim != 2 or (columns and array.shape[1] != columns) or array.dtype.kind not in "fiu":
        raise ValueError(f"{array.name} has shape {array.shape} of {array.dtype}, need (T, {columns or 'n'}) numbers")
    if array.size * 8 > MAX_BYTES:
        raise ValueError(f"{array.name} is larger than {MAX_BYTES >> 20} MiB")
    values = np.asarray(array[()], np.float64)
    if not np.isfinite(values).any():
        raise ValueError(f"{array.name} holds no finite numbers")
    return np.where(np.isfinite(values), values, np.nan)


def text(holder: Any, name: str) -> str:
    """Return an attribute as text, "" if it is missing."""
    value = holder.attrs.get(name, "")
    if isinstance(value, bytes | np.bytes_):
        return bytes(value).decode("utf-8", "replace")
    return value if isinstance(value, str) else ""


def record(holder: Any, name: str) -> dict[str, Any]:
    """Return an attribute that holds a JSON object, {} if it does not."""
    try:
        value = json.loads(text(holder, name) or "{}")
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _inside(parent: Any, name: str) -> Any:
    """Return what has that name in this very file, None if there is nothing.

    Links are followed here, one part of a path after the other: HDF5 would follow those to other files as well, and a
    link within the file may lead through one of them.
    """
    import h5py

    node, parts, soft_links = parent, name.split("/")[::-1], 0
    while parts:
        part = parts.pop()
        if not part or part == ".":
            continue
        if not isinstance(node, h5py.Group):
            return None
        link = _link(node, part)
        if isinstance(link, h5py.SoftLink):
            soft_links += 1
            if soft_links > MAX_LINKS:
                raise ValueError(f"{name!r} in {parent.name} leads through more than {MAX_LINKS} links, or in a circle")
            node = node.file["/"] if link.path.startswith("/") else node
            parts += link.path.split("/")[::-1]
        elif isinstance(link, h5py.HardLink):
            node = node[part]
        elif link is None:
            return None
        else:
            by = "" if (part, node) == (name, parent) else f" through {part!r} in {node.name}"
            raise ValueError(
                f"{name!r} in {parent.name} links to another file{by}; only data in the file itself are read"
            )
    return node


def _link(holder: Any, name: str) -> Any:
    """Return the link of that name, None if there is none, and no link of h5py's if its kind is unknown."""
    try:
        return holder.get(name, getlink=True)
    except TypeError:  # defined by some program, which alone knows where it leads
        return NotImplemented
