"""Reading one image file that somebody hands us, within bounds on time and memory."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP")  # decoders for the other formats are where the decompression bombs live
FORMATS_TEXT = "PNG, JPEG or WebP"
MAX_BYTES = 64 << 20
MAX_PIXELS = 50_000_000  # a large camera's; decoded, it stays below 400 MB
MAX_SIDE_PX = 2048  # no planner looks closer
# Pillow reads segments one by one in Python, and libjpeg passes over the whole image for every scan.
MAX_SEGMENTS = 1 << 15  # cameras write a few dozen; PNGs of 64 MiB in chunks of 4 KiB have half as many
_STANDALONE = {bytes([marker]) for marker in (0x00, 0x01, *range(0xD0, 0xD9), 0xFF)}  # markers without a length
MAX_SCANS = 64  # progressive JPEGs have about ten, and a thumbnail a few more


def read_image(file: str | Path) -> NDArray[np.uint8]:
    """A PNG, JPEG or WebP file as (H, W, 3) uint8 RGB, upright, scaled down to at most 2048 pixels a side.

    The size is checked in the header, before a pixel is decoded.

    Raises:
        ValueError: if it is no PNG, JPEG or WebP, is cut off or damaged, or has too many bytes or pixels.
        OSError: if there is no such file or it may not be read.
    """
    file = Path(file)
    size = file.stat().st_size
    if not file.is_file():
        raise ValueError(f"{file} is not a file; a {FORMATS_TEXT} image is needed")
    if size > MAX_BYTES:
        raise ValueError(f"{file} has {size >> 20} MiB; at most {MAX_BYTES >> 20} MiB are read")
    data = file.read_bytes()
    if not has_sane_structure(data):
        raise ValueError(f"{file} has more segments or scans than any camera writes: save it again as PNG")
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            _check_size(file, image)
            return decode(image)
    except _TooLargeError:
        raise
    except UnidentifiedImageError:
        raise ValueError(f"{file} is not a {FORMATS_TEXT} image") from None
    except Image.DecompressionBombError:
        raise _too_large(file, "too many pixels") from None
    except (OSError, SyntaxError, ValueError, EOFError):  # what Pillow raises on damaged files
        raise ValueError(f"{file} is cut off or damaged") from None


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


class _TooLargeError(ValueError):
    """Apart from ValueError, which Pillow raises on damaged files."""


def _too_large(file: Path, what: str) -> _TooLargeError:
    return _TooLargeError(f"{file} has {what}; at most {MAX_PIXELS // 1_000_000} million are read: scale it down")


def _check_size(file: Path, image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise _too_large(file, f"{image.width} x {image.height} pixels")


def decode(image: Image.Image) -> NDArray[np.uint8]:
    """An opened image as (H, W, 3) uint8 RGB, upright, at most 2048 pixels a side; Pillow's errors if it is damaged."""
    image.draft("RGB", (MAX_SIDE_PX, MAX_SIDE_PX))  # JPEG only: decodes at a fraction of the size
    image.thumbnail((MAX_SIDE_PX, MAX_SIDE_PX), reducing_gap=2.0)
    upright = ImageOps.exif_transpose(image)
    if upright.mode.startswith("I;16"):  # 16-bit grey, which Pillow would clip instead of scale
        return np.repeat((np.asarray(upright) >> 8).astype(np.uint8)[..., None], 3, -1)
    if upright.has_transparency_data:
        white = Image.new("RGBA", upright.size, "white")
        upright = Image.alpha_composite(white, upright.convert("RGBA"))
    return np.array(upright.convert("RGB"))
