"""TFRecord files without TensorFlow: records framed by lengths and checksums.

A record is its length (uint64), that length's checksum (uint32), the data, and the data's checksum (uint32), all little
endian. Checksums are masked CRC-32C (https://www.tensorflow.org/tutorials/load_data/tfrecord).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import google_crc32c

HEADER, FOOTER = struct.Struct("<QI"), struct.Struct("<I")
MAX_RECORD = 1 << 30  # bytes; the longest episodes of DROID have a tenth of that


def offsets(file: Path) -> Iterator[int]:
    """Yield where each record of a file starts; reads the headers only.

    After a damaged header or a cut-off record nobody knows where the next one is: that offset is the last, and to read
    there says what is wrong.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        offset = 0
        while offset < size:
            yield offset
            stream.seek(offset)
            header = stream.read(HEADER.size)
            if _damage(header, offset, size):
                return
            offset += HEADER.size + HEADER.unpack(header)[0] + FOOTER.size


def end(file: Path, offset: int) -> int:
    """Return where the record that starts at this offset ends: at the end of the file, if its header is damaged."""
    size = file.stat().st_size
    with file.open("rb") as stream:
        stream.seek(offset)
        header = stream.read(HEADER.size)
    if _damage(header, offset, size):
        return size
    return int(offset + HEADER.size + HEADER.unpack(header)[0] + FOOTER.size)


def read(file: Path, offset: int) -> bytes:
    """Return the record that starts there.

    Raises:
        ValueError: in one line, if it is damaged, cut off or too long.
        OSError: if the file cannot be read.
    """
    with file.open("rb") as stream:
        stream.seek(offset)
        header = stream.read(HEADER.size)
        damage = _damage(header, offset, file.stat().st_size)
        if damage:
            raise ValueError(f"{file.name}: {damage}; nothing after it can be read")
        data = stream.read(HEADER.unpack(header)[0])
        (expected,) = FOOTER.unpack(stream.read(FOOTER.size))
    if masked_crc(data) != expected:
        raise ValueError(f"{file.name}: the record at byte {offset} does not match its checksum")
    return data


def masked_crc(data: bytes) -> int:
    """Return the CRC-32C, rotated by 15 bits and shifted, as TensorFlow stores it."""
    crc = int(google_crc32c.value(data))
    return (((crc >> 15 | crc << 17) & 0xFFFFFFFF) + 0xA282EAD8) & 0xFFFFFFFF


def _damage(header: bytes, offset: int, size: int) -> str:
    """Return what is wrong with the record at this offset, as far as its header can tell; "" if nothing."""
    if len(header) < HEADER.size:
        return f"cut off in the header of the record at byte {offset}"
    length, crc = HEADER.unpack(header)
    if masked_crc(header[:8]) != crc:
        return f"the length of the record at byte {offset} does not match its checksum"
    if length > MAX_RECORD:
        return f"the record at byte {offset} has {length} bytes, more than {MAX_RECORD >> 20} MiB"
    if offset + HEADER.size + length + FOOTER.size > size:
        return f"cut off in the record at byte {offset}, which has {length} bytes"
    return ""
