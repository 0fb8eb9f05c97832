"""Messages of untrusted MCAP files, decoded by the `mcap` and `mcap-ros2-support` packages, within bounds."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from hamster.data.depth import decode_depth
from hamster.data.images import MAX_PIXELS, Rgb, decode_image
from hamster.extras import extra

Value = TypeVar("Value")
MAX_CHUNK_BYTES = 1 << 30  # decompressed
IMAGE, COMPRESSED = "sensor_msgs/msg/Image", "sensor_msgs/msg/CompressedImage"
INFO, JOINTS = "sensor_msgs/msg/CameraInfo", "sensor_msgs/msg/JointState"
TF, TEXT = "tf2_msgs/msg/TFMessage", "std_msgs/msg/String"
DEPTH_TYPES = {"16UC1": "u2", "mono16": "u2", "32FC1": "f4"}
_COLOURS = {"rgb8": [0, 1, 2], "bgr8": [2, 1, 0], "rgba8": [0, 1, 2], "bgra8": [2, 1, 0], "mono8": [0, 0, 0]}
_CHANNELS = {"rgb8": 3, "bgr8": 3, "rgba8": 4, "bgra8": 4, "mono8": 1}
_DEPTH_HEADER = 12  # bytes of compressed_depth_image_transport before its PNG: format, and two parameters


@contextmanager
def opened(file: Path) -> Iterator[Any]:
    """Open a file of ROS 2 messages; within the block, any error of its format is a ValueError in one line."""
    with extra("mcap"):
        from mcap.reader import SeekingReader
        from mcap_ros2.decoder import DecoderFactory
    try:
        with file.open("rb") as stream:
            reader = SeekingReader(stream, decoder_factories=[DecoderFactory()], record_size_limit=MAX_CHUNK_BYTES)
            summary = reader.get_summary()
            if summary is None:
                raise ValueError(f"{file.name} has no summary, so it was cut off: repair it by `mcap recover`")
            if any(chunk.uncompressed_size > MAX_CHUNK_BYTES for chunk in summary.chunk_indexes):
                raise ValueError(f"{file.name} has chunks of more than {MAX_CHUNK_BYTES >> 20} MiB")
            yield reader
    except (ValueError, OSError):
        raise
    except Exception as error:  # parsers of hostile bytes raise anything, and messages lack fields as the file defines
        why = " ".join(str(error).split())[:120]
        raise ValueError(f"{file.name} is not MCAP, is cut off or damaged: {type(error).__name__} {why}") from None


def read_message(file: Path, topic: str, time_ns: int, convert: Callable[[Any], Value]) -> Value:
    """Return what a function makes of the decoded message of a topic that was logged at a time.

    Args:
        file: of messages.
        topic: of the message.
        time_ns: when it was logged.
        convert: called with the decoded message, whose definition is the file's own: any field may be missing.

    Raises:
        ValueError: in one line, if there is none, or it cannot be decoded or converted.
    """
    with opened(file) as reader:
        for decoded in reader.iter_decoded_messages([topic], starting_at=time_ns, ending_at=time_ns):
            return convert(decoded.decoded_message)
    raise ValueError(f"{file.name} has no message of {topic} at {time_ns} ns")


def header_stamp_ns(schema: str, data: bytes) -> int:
    """Return the stamp in the header of an encoded message, nanoseconds; 0 if it has none.

    Args:
        schema: message type; of TF that of the first transform is returned.
        data: in CDR. Its definition is the file's own, so that what is read here may be anything.
    """
    start = 8 if schema == TF else 4  # after the encapsulation, and of TF the number of transforms
    if len(data) < start + 8:
        return 0
    sec, nanosec = struct.unpack_from("<iI" if data[1] & 1 else ">iI", data, start)
    return max(int(sec) * 1_000_000_000 + int(nanosec), 0)


def is_depth_message(schema: str, message: Any) -> bool:
    """Return whether an image message holds depth, by its encoding."""
    if schema == IMAGE:
        return message.encoding in DEPTH_TYPES
    return "compresseddepth" in str(message.format).lower() or str(message.format).split(";")[0] in DEPTH_TYPES


def colour_of(schema: str, message: Any, name: str) -> Rgb:
    """Return the picture (H, W, 3) uint8 RGB of an image message; ValueError for an encoding that is not read."""
    if schema == COMPRESSED:
        return decode_image(bytes(message.data), name)
    if message.encoding not in _COLOURS:
        raise ValueError(f"{name}: the encoding {message.encoding!r:.20} is not read; there are: {', '.join(_COLOURS)}")
    channels = _CHANNELS[message.encoding]
    rows = _rows(message, np.dtype("u1"), channels, name).reshape(message.height, message.width, channels)
    return np.ascontiguousarray(rows[..., _COLOURS[message.encoding]])


def depth_of(schema: str, message: Any, name: str) -> NDArray[Any]:
    """Return depth (H, W) as stored in an image message: 16-bit integers are millimetres, floats metres.

    Raises:
        ValueError: if it is no depth, or damaged.
    """
    if schema == IMAGE:
        if message.encoding not in DEPTH_TYPES:
            raise ValueError(f"{name}: the encoding {message.encoding!r:.20} is no depth; 16UC1 and 32FC1 are")
        order = ">" if message.is_bigendian else "<"
        return _rows(message, np.dtype(order + DEPTH_TYPES[message.encoding]), 1, name)
    data = bytes(message.data)
    if "compresseddepth" not in str(message.format).lower():
        return decode_depth(data, name)
    stored = decode_depth(data[_DEPTH_HEADER:], name)
    if not str(message.format).startswith("32FC1"):
        return stored
    a, b = np.frombuffer(data[4:_DEPTH_HEADER], "<f4")  # inverse depth in 16 bits: a / depth + b
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(stored > 0, a / (stored.astype(np.float32) - b), np.float32(0))


def _rows(message: Any, dtype: np.dtype[Any], channels: int, name: str) -> NDArray[Any]:
    """Return (height, width * channels) numbers of an uncompressed image, whose rows may be padded."""
    height, width, step = int(message.height), int(message.width), int(message.step)
    row_bytes, data = width * channels * dtype.itemsize, bytes(message.data)
    if not 0 < width * height <= MAX_PIXELS or step < row_bytes or len(data) < step * height:
        raise ValueError(f"{name}: {len(data)} bytes are no image of {width} x {height} pixels")
    padded = np.frombuffer(data, np.uint8, step * height).reshape(height, step)
    return np.ascontiguousarray(padded[:, :row_bytes]).view(dtype)


def nearest(times_ns: NDArray[np.int64], at_ns: NDArray[np.int64], within_ns: int) -> NDArray[np.intp]:
    """Return for each time the index of the nearest of `times_ns` (ascending), -1 if none is near enough."""
    if not len(times_ns):
        return np.full(len(at_ns), -1, np.intp)
    after = np.searchsorted(times_ns, at_ns).clip(0, len(times_ns) - 1)
    before = np.maximum(after - 1, 0)
    index = np.where(np.abs(times_ns[after] - at_ns) < np.abs(times_ns[before] - at_ns), after, before)
    return np.where(np.abs(times_ns[index] - at_ns) <= within_ns, index, -1)


def schemas_of(reader: Any, known: Sequence[str]) -> dict[str, str]:
    """Return the message type of each topic of a type that is known."""
    summary = reader.get_summary()
    named = {c.topic: summary.schemas[c.schema_id].name for c in summary.channels.values() if c.schema_id}
    return {topic: schema for topic, schema in named.items() if schema in known}
