"""Read an image that somebody else made: any of it may be broken, huge, or no image at all."""

from __future__ import annotations

import warnings
from pathlib import Path as File

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

MOST_PIXELS = 16_000_000  # that are ever decoded at once
KEPT_SIDE = 2048  # the longest side of what is returned
FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM")


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
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)  # `_decodable` is stricter
            with Image.open(file, formats=FORMATS) as image:
                return _read(image, file)
    except Image.DecompressionBombError:
        raise ValueError(f"{file} is too large: {MOST_PIXELS // 10**6} megapixels are decoded at most; scale it down") from None
    except UnidentifiedImageError:
        raise ValueError(f"{file} is no image that can be read ({', '.join(FORMATS)})") from None
    except (OSError, SyntaxError, EOFError, MemoryError, OverflowError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{file} is a broken image: {reason}") from None


def _read(image: Image.Image, file: File) -> NDArray[np.uint8]:
    image.draft("RGB", (KEPT_SIDE, KEPT_SIDE))  # a JPEG can be decoded at 1/2, 1/4 or 1/8; others ignore this
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise ValueError(
            f"{file} has {width} x {height} pixels; {MOST_PIXELS // 10**6} megapixels are decoded at most; scale it down"
        )
    if min(width, height) < 1:
        raise ValueError(f"{file} has no pixels")
    image.seek(0)
    image.load()
    flat = _rgb(image)
    flat.thumbnail((KEPT_SIDE, KEPT_SIDE))
    return np.asarray(ImageOps.exif_transpose(flat) if flat.getexif() else flat, dtype=np.uint8)


def _rgb(image: Image.Image) -> Image.Image:
    exif = image.getexif()
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        image = Image.alpha_composite(white, rgba)
    image = image.convert("RGB")
    image.getexif().update({0x0112: exif.get(0x0112, 1)})  # the orientation survives the conversions
    return image


def _eight_bits(image: Image.Image) -> Image.Image:
    """16-bit and floating-point greys to 8 bits; a 16-bit file keeps its scale, others are stretched."""
    values = np.asarray(image, dtype=np.float32)
    values = np.nan_to_num(values, nan=0.0, posinf=0.0, neginf=0.0)
    low, high = (0.0, 65535.0) if image.mode.startswith("I;16") else (float(values.min()), float(values.max()))
    scaled = (values - low) * (255.0 / max(high - low, 1e-9))
    return Image.fromarray(scaled.clip(0, 255).astype(np.uint8))
