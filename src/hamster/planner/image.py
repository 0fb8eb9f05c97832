"""Read an image that somebody else made: any of it may be broken, huge, or no image at all."""

from __future__ import annotations

import struct
import warnings
from pathlib import Path as File

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

MOST_PIXELS = 16_000_000  # that are ever decoded at once
MOST_PROGRESSIVE_PIXELS = 48_000_000  # of a progressive JPEG, whose coefficients are all held in memory
KEPT_SIDE = 2048  # the longest side of what is returned
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")

# What Pillow's decoders are known to raise on broken files.
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError,
           EOFError, MemoryError, struct.error, RuntimeError)  # fmt: skip


def load_image(file: File | str) -> NDArray[np.uint8]:
    """Read a file as (H, W, 3) uint8 RGB, upright, at most 2048 pixels on its longer side.

    The header is checked before anything is decoded. A larger JPEG is decoded at reduced size; other formats of more
    than 16 megapixels are refused. Transparency is laid on white; of an animation the first frame counts.

    Raises:
        ValueError: one line that says what is wrong with the file.
    """
    file = File(file)
    if not file.is_file():
        raise ValueError(f"{file} is {'a folder' if file.is_dir() else 'not there'}; give an image file")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's about odd metadata and sizes: `_check_size` is stricter
        try:
            image = Image.open(file, formats=FORMATS)
        except Image.DecompressionBombError:
            raise ValueError(f"{file} has too many pixels; scale it down") from None
        except UnidentifiedImageError:
            raise ValueError(f"{file} is no image that can be read ({', '.join(FORMATS)})") from None
        except _BROKEN as error:
            raise ValueError(f"{file} cannot be read: {_line(error)}") from None
        with image:
            _check_size(image, file)
            try:
                return _decode(image)
            except _BROKEN as error:
                raise ValueError(f"{file} is a broken image: {_line(error)}") from None


def _check_size(image: Image.Image, file: File) -> None:
    """Raise ValueError for more pixels than will be decoded; large JPEGs are told to decode at reduced size."""
    width, height = image.size
    if image.info.get("progressive") and width * height > MOST_PROGRESSIVE_PIXELS:
        raise ValueError(f"{file} is a progressive JPEG of {width} x {height} pixels; scale it down")
    if width * height > MOST_PIXELS:
        image.draft("RGB", (KEPT_SIDE // 2, KEPT_SIDE // 2))  # at 1/2, 1/4 or 1/8, not below this; JPEG only
    if image.width * image.height > MOST_PIXELS:
        most = f"{MOST_PIXELS // 10**6} megapixels are decoded at most"
        raise ValueError(f"{file} has {width} x {height} pixels; {most}; scale it down")


def _decode(image: Image.Image) -> NDArray[np.uint8]:
    image.load()
    upright = _upright(image)
    upright.thumbnail((KEPT_SIDE, KEPT_SIDE))
    return np.asarray(_rgb(upright), dtype=np.uint8)


def _upright(image: Image.Image) -> Image.Image:
    try:
        return ImageOps.exif_transpose(image)
    except _BROKEN:  # an image with broken metadata is still an image
        return image.copy()


def _rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Deep greys to 8 bits: a 16-bit file keeps its scale, integers and floats are stretched from dark to light."""
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = (0.0, 65535.0) if image.mode.startswith("I;16") else (float(values.min()), float(values.max()))
    scaled = (values - low) * (255.0 / max(high - low, 1e-9))
    return Image.fromarray(scaled.clip(0, 255).astype(np.uint8))


def _line(error: BaseException) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
