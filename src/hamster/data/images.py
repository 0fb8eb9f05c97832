"""Reading one image file that somebody hands us, within bounds on time and memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

FORMATS = ("PNG", "JPEG", "WEBP")  # decoders for the other formats are where the decompression bombs live
FORMATS_TEXT = "PNG, JPEG or WebP"
MAX_BYTES = 64 << 20
MAX_PIXELS = 50_000_000  # a large camera's; decoded, it stays below 400 MB
MAX_SIDE_PX = 2048  # no planner looks closer


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
    try:
        with Image.open(file, formats=FORMATS) as image:
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
