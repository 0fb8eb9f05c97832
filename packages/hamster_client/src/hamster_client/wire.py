"""Messages as bytes: msgpack with numpy arrays in openpi's encoding, and bounds on all that comes from outside.

An array is `{b"__ndarray__": True, b"data": bytes, b"dtype": "<f4", b"shape": (…)}`, a numpy scalar
`{b"__npgeneric__": True, b"data": number, b"dtype": "<f4"}`. Only the plain number types below exist: no objects, no
structures, hence nothing that could be code.
"""

from __future__ import annotations

import math
from typing import Any

import msgpack
import numpy as np
from numpy.typing import NDArray

from hamster_client.errors import RequestError

DTYPES = ("|b1", "|i1", "|u1", "<i2", "<u2", "<i4", "<u4", "<i8", "<u8", "<f2", "<f4", "<f8")
MAX_ARRAYS = 64
MAX_AXES = 8
MAX_ITEMS = 8192  # in all lists and maps of a message together


def pack(message: Any) -> bytes:
    """Bytes of a message of dicts, lists, strings, numbers, numpy arrays and scalars.

    Raises:
        ValueError: if an array is not of one of `DTYPES`.
        TypeError: if a value is none of these.
    """
    return bytes(msgpack.packb(message, default=_encode))


def unpack(data: bytes) -> Any:
    """Return the message in these bytes. Arrays are read-only views of `data`.

    Raises:
        RequestError: "malformed" if it is no such message, "oversized" if it holds too many things.
    """
    try:
        return msgpack.unpackb(data, ext_hook=_refuse_extension, **_Budget().hooks())
    except RequestError:
        raise
    except (ValueError, TypeError, OverflowError, RecursionError, MemoryError) as error:
        raise RequestError("malformed", f"not a msgpack message ({type(error).__name__})") from None


def _encode(value: Any) -> Any:
    if not isinstance(value, (np.ndarray, np.generic)):
        raise TypeError(f"a message cannot hold a {type(value).__name__}")
    dtype = value.dtype.newbyteorder("<")
    if dtype.str not in DTYPES:
        raise ValueError(f"a message cannot hold an array of {value.dtype}; there are: {', '.join(DTYPES)}")
    if isinstance(value, np.generic):
        return {b"__npgeneric__": True, b"data": value.item(), b"dtype": dtype.str}
    return {b"__ndarray__": True, b"data": value.astype(dtype).tobytes(), b"dtype": dtype.str, b"shape": value.shape}


class _Budget:
    """Counts what a message has unfolded into so far, so that a small one cannot fill the memory."""

    def __init__(self) -> None:
        self._items = self._arrays = 0

    def hooks(self) -> dict[str, Any]:
        limits = {"max_array_len": MAX_ITEMS, "max_map_len": MAX_ITEMS}
        return {"object_hook": self._map, "list_hook": self._list, **limits}

    def _list(self, values: list[Any]) -> list[Any]:
        self._spend(values)
        return values

    def _map(self, values: dict[Any, Any]) -> Any:
        self._spend(values)
        if b"__ndarray__" not in values and b"__npgeneric__" not in values:
            return values
        self._arrays += 1
        if self._arrays > MAX_ARRAYS:
            raise RequestError("oversized", f"a message holds at most {MAX_ARRAYS} arrays")
        return _array(values) if b"__ndarray__" in values else _scalar(values)

    def _spend(self, values: list[Any] | dict[Any, Any]) -> None:
        self._items += 1 + len(values)
        if self._items > MAX_ITEMS:
            raise RequestError("oversized", f"a message's lists and maps hold at most {MAX_ITEMS} things")


def _array(record: dict[Any, Any]) -> NDArray[Any]:
    dtype, shape, data = _dtype(record), record.get(b"shape"), record.get(b"data")
    if not isinstance(shape, (list, tuple)) or not all(type(n) is int and n >= 0 for n in shape):
        raise RequestError("malformed", "an array's shape is a list of whole numbers >= 0")
    if len(shape) > MAX_AXES or not isinstance(data, bytes) or math.prod(shape) * dtype.itemsize != len(data):
        raise RequestError("malformed", f"an array's data must fill its shape, of at most {MAX_AXES} axes, exactly")
    return np.frombuffer(data, dtype).reshape(shape)


def _scalar(record: dict[Any, Any]) -> Any:
    value = record.get(b"data")
    if not isinstance(value, (bool, int, float)):
        raise RequestError("malformed", "a numpy scalar is a number")
    with np.errstate(over="ignore"):  # too large becomes infinity, which whoever needs a number refuses
        return _dtype(record).type(value)


def _dtype(record: dict[Any, Any]) -> np.dtype[Any]:
    name = record.get(b"dtype")
    if not isinstance(name, str) or name not in DTYPES:
        raise RequestError("malformed", f"an array's dtype is one of {', '.join(DTYPES)}")
    return np.dtype(name)


def _refuse_extension(code: int, data: bytes) -> Any:
    raise RequestError("malformed", "msgpack extensions are not used here")
