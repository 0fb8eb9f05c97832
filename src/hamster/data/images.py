"""Decode untrusted images within bounds on time and memory, for files and data sets alike."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP")  # decoders for the other formats are where the decompression bombs live
FORMATS_TEXT = "PNG, JPEG or WebP"
Rgb = NDArray[np.uint8]
MAX_BYTES = 64 << 20
MAX_PIXELS = 50_000_000  # a large camera's; decoded, it stays below 400 MB
SAME_SHAPE = 0.05  # of the ratio of the sides: sides are rounded, and 4:3 is farther from 5:4
MAX_SIDE_PX = 2048  # no planner looks closer
# Pillow reads segments one by one in Python, and libjpeg passes over the whole image for every scan.
MAX_SEGMENTS = 1 << 15  # cameras write a few dozen; PNGs of 64 MiB in chunks of 4 KiB have half as many
_STANDALONE = {bytes([marker]) for marker in (0x00, 0x01, *range(0xD0, 0xD9), 0xFF)}  # markers without a length
MAX_SCANS = 64  # progressive JPEGs have about ten, and a thumbnail a few more


def read_image(file: str | Path) -> Rgb:
    """Read a PNG, JPEG or WebP file as (H, W, 3) uint8 RGB, upright, scaled down to at most 2048 pixels a side.

    Raises:
        ValueError: as `decode_image`.
        OSError: if there is no such file or it may not be read.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     Image.new("RGB", (64, 48), "red").save(f"{folder}/red.png")
        ...     rgb = read_image(f"{folder}/red.png")
        >>> rgb.shape, rgb.dtype, rgb[0, 0].tolist()
        ((48, 64, 3), dtype('uint8'), [255, 0, 0])
    """
    file = Path(file)
    size = file.stat().st_size
    if not file.is_file():
        raise ValueError(f"{file} is not a file; a {FORMATS_TEXT} image is needed")
    _check_bytes(size, str(file))
    return decode_image(file.read_bytes(), str(file), MAX_SIDE_PX)


def decode_image(data: bytes, name: str, max_side_px: int | None = None) -> Rgb:
    """Decode a PNG, JPEG or WebP as (H, W, 3) uint8 RGB, upright by its EXIF orientation, transparency over white.

    The size is checked in the header, before a pixel is decoded.

    Args:
        data: the file's bytes.
        name: of the image, for errors.
        max_side_px: the image is scaled down to so many pixels a side; None leaves its size.

    Raises:
        ValueError: if it is no PNG, JPEG or WebP, is cut off or damaged, has too many bytes, pixels or segments, or one
            channel of 16 bits, as depth has.
    """
    _check_bytes(len(data), name)
    if not has_sane_structure(data):
        raise ValueError(f"{name} has more segments or scans than any camera writes: save it again as PNG")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _too_large(name, f"{image.width} x {image.height} pixels")
            return to_rgb(image, max_side_px)
    except _TooLargeError:
        raise
    except NotColourError as error:
        raise NotColourError(f"{name} has {error}") from None
    except UnidentifiedImageError:
        raise ValueError(f"{name} is not a {FORMATS_TEXT} image") from None
    except Image.DecompressionBombError:
        raise _too_large(name, "too many pixels") from None
    except (OSError, SyntaxError, ValueError, EOFError):  # what Pillow raises on damaged files
        raise ValueError(f"{name} is cut off or damaged") from None


def to_rgb(image: Image.Image, max_side_px: int | None = None) -> Rgb:
    """Convert an opened image to (H, W, 3) uint8 RGB, upright, transparency over white.

    Raises:
        NotColourError: if it has one channel of 16 bits or more, as depth has; Pillow would turn it white.
        Exception: whatever Pillow raises on damaged files.
    """
    if image.mode[0] in "IF":
        raise NotColourError("one channel of more than 8 bits, as depth has; a colour image is needed")
    if max_side_px is not None:
        image.draft("RGB", (max_side_px, max_side_px))  # JPEG only: decodes at a fraction of the size
        image.thumbnail((max_side_px, max_side_px), reducing_gap=2.0)
    upright = ImageOps.exif_transpose(image)
    if upright.has_transparency_data:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    return np.array(upright.convert("RGB"))


def has_same_shape(size: tuple[float, float], other: tuple[float, float]) -> bool:
    """Return whether two sizes (width, height) are one up to scale."""
    return abs(size[0] / size[1] / (other[0] / other[1]) - 1) <= SAME_SHAPE


def has_sane_structure(data: bytes) -> bool:
    """Return whether an encoded image has no more segments (JPEG), chunks (PNG) and scans than it takes time to read.

    To be asked before Pillow opens the bytes of a stranger: it would spend seconds on millions of empty segments. Bytes
    of no known format are left to Pillow.
    """
    if data.startswith(b"\xff\xd8"):
        return _jpeg_is_sane(data)
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return _png_is_sane(data)
    return True


def _jpeg_is_sane(data: bytes) -> bool:
    # In compressed data 0xff is always followed by 0 or a restart marker, so that this counts scans.
    if data.count(b"\xff\xda") > MAX_SCANS:
        return False
    position = 2
    for _ in range(MAX_SEGMENTS):
        if data[position : position + 1] != b"\xff":
            position = data.find(b"\xff", position)  # Pillow skips what is between segments byte by byte
            if position < 0:
                return True
        marker = data[position + 1 : position + 2]
        if marker in (b"", b"\xda", b"\xd9"):  # the end, or the pixels
            return True
        if marker in _STANDALONE:
            position += 1 if marker == b"\xff" else 2
        else:
            position += 2 + max(int.from_bytes(data[position + 2 : position + 4], "big"), 2)
    return False


def _png_is_sane(data: bytes) -> bool:
    position = 8
    for _ in range(MAX_SEGMENTS):
        if position >= len(data):
            return True
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    return False


class NotColourError(ValueError):
    """An image of one channel with more than 8 bits."""


class _TooLargeError(ValueError):
    """Apart from ValueError, which Pillow raises on damaged files."""


def _too_large(name: str, what: str) -> _TooLargeError:
    return _TooLargeError(f"{name} has {what}; at most {MAX_PIXELS // 1_000_000} million are read: scale it down")


def _check_bytes(size: int, name: str) -> None:
    if size > MAX_BYTES:
        raise ValueError(f"{name} has {size >> 20} MiB; at most {MAX_BYTES >> 20} MiB are read")
