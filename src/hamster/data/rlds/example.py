"""tf.Example messages without TensorFlow: a protobuf map from names to lists of bytes, floats or integers.

The parts of tensorflow/core/example/{example,feature}.proto, by field number:

    Example {1: Features}   Features {1: entries}   entry {1: name, 2: Feature}
    Feature {1: BytesList | 2: FloatList | 3: Int64List}   each list {1: values, packed or one by one}
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Values: TypeAlias = "list[memoryview] | NDArray[np.float32] | NDArray[np.int64]"
VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MAX_DIGITS = 10  # of a 64-bit number, 7 bits each


def parse(data: bytes) -> dict[str, Values]:
    """Return all features of a tf.Example by name; bytes are views into `data`, nothing is copied.

    Raises:
        ValueError: if it is not such a message.
    """
    out: dict[str, Values] = {}
    try:
        for features in _children(memoryview(data), 1):
            for entry in _children(features, 1):
                name = bytes(next(_children(entry, 1), b"")).decode()
                for feature in _children(entry, 2):
                    out[name] = _feature(feature)
    except UnicodeDecodeError:
        raise ValueError("not a tf.Example: a feature's name is no text") from None
    return out


def _feature(message: memoryview) -> Values:
    for kind, _, values in _fields(message):
        if not isinstance(values, memoryview):
            break
        if kind == 1:
            return list(_children(values, 1))
        if kind == 2:
            return _floats(values)
        if kind == 3:
            return _integers(values)
    return []


def _floats(values: memoryview) -> NDArray[np.float32]:
    parts = []
    for number, wire, value in _fields(values):
        if number == 1 and isinstance(value, memoryview) and wire in (BYTES, FIXED32):
            if len(value) % 4:
                raise ValueError("not a tf.Example: a list of floats is cut off")
            parts.append(np.frombuffer(value, "<f4"))
    return np.concatenate(parts) if parts else np.empty(0, np.float32)


def _integers(values: memoryview) -> NDArray[np.int64]:
    parts = [np.empty(0, np.int64)]
    for number, _, value in _fields(values):
        if number == 1:
            single = np.array([value] if isinstance(value, int) else [], np.uint64).astype(np.int64)
            parts.append(_varints(value) if isinstance(value, memoryview) else single)
    return np.concatenate(parts)


def _varints(packed: memoryview) -> NDArray[np.int64]:
    """Return all numbers at once: the k-th byte of each adds its 7 bits."""
    data = np.frombuffer(packed, np.uint8)
    ends = np.flatnonzero(data < 128)
    starts = np.concatenate([[0], ends[:-1] + 1]).astype(int)[: len(ends)]
    digits = ends - starts + 1
    if len(data) and (data[-1] >= 128 or digits.max() > MAX_DIGITS):
        raise ValueError("not a tf.Example: a number does not end")
    out = np.zeros(len(ends), np.uint64)
    for k in range(int(digits.max(initial=0))):
        more = digits > k
        out[more] |= (data[starts[more] + k] & 127).astype(np.uint64) << np.uint64(7 * k)
    return out.astype(np.int64)


def _children(message: memoryview, number: int) -> Iterator[memoryview]:
    """Yield the submessages, or texts, in the fields of this number."""
    for field, wire, value in _fields(message):
        if field == number and wire == BYTES and isinstance(value, memoryview):
            yield value


def _fields(message: memoryview) -> Iterator[tuple[int, int, memoryview | int]]:
    """Yield number, wire type and value of each field."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, wire = key >> 3, key & 7
        if wire == VARINT:
            value, at = _varint(message, at)
            yield number, wire, value
            continue
        if wire == BYTES:
            size, at = _varint(message, at)
        elif wire in (FIXED32, FIXED64):
            size = 4 if wire == FIXED32 else 8
        else:
            raise ValueError(f"not a tf.Example: wire type {wire}")
        if size > len(message) - at:
            raise ValueError("not a tf.Example: a field is longer than its message")
        yield number, wire, message[at : at + size]
        at += size


def _varint(message: memoryview, at: int) -> tuple[int, int]:
    """Return the number there, and where the next byte is."""
    value = 0
    for i, byte in enumerate(message[at : at + MAX_DIGITS]):
        value |= (byte & 127) << 7 * i
        if byte < 128:
            return value & 0xFFFFFFFFFFFFFFFF, at + i + 1
    raise ValueError("not a tf.Example: a number does not end")
