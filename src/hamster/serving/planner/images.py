"""Images from clients: bytes only, never fetched; the size is read from the header before a pixel is decoded."""

from __future__ import annotations

import base64
import binascii
import io
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data.images import FORMATS, FORMATS_TEXT, MAX_SIDE_PX, NotColourError, has_sane_structure, to_rgb
from hamster.serving.limits import PlannerLimits
from hamster.serving.planner.errors import ServeError, invalid

_DATA = re.compile(r"data:(?P<kind>[a-z0-9.+/-]*)(?:;[a-z0-9=-]+)*?(?P<base64>;base64)?,", re.IGNORECASE)


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """An image whose header was checked; still encoded, so that a long queue of them stays small."""

    data: bytes
    format: str

    @property
    def data_uri(self) -> str:
        """The image as a data URI."""
        return f"data:image/{self.format.lower()};base64,{base64.b64encode(self.data).decode()}"

    def rgb(self) -> NDArray[np.uint8]:
        """Decode to (H, W, 3) uint8, upright; ServeError if it is cut off or damaged."""
        try:
            with Image.open(io.BytesIO(self.data), formats=FORMATS) as image:
                return to_rgb(image, MAX_SIDE_PX)
        except NotColourError as error:
            raise invalid(f"the image has {error}", "image", "unsupported_image") from None
        except Exception:  # Pillow raises all kinds on damaged files
            raise invalid("the image is cut off or damaged", "image", "damaged_image") from None


def encoded_image(data: bytes, limits: PlannerLimits, param: str = "image") -> EncodedImage:
    """Check the header of an image file.

    Args:
        data: the file's bytes.
        limits: on its size.
        param: the request's field, for errors.

    Raises:
        ServeError: if it is too long, no PNG, JPEG or WebP, or has too many pixels.
    """
    if len(data) > limits.image_bytes:
        raise _too_large(f"the image has {len(data) >> 10} KiB; at most {limits.image_bytes >> 10} are read", param)
    if not has_sane_structure(data):
        raise invalid("the image has more segments or scans than any camera writes", param, "unsupported_image")
    too_many = f"the image has too many pixels; at most {limits.pixels / 1e6:g} million are read: scale it down"
    try:
        with Image.open(io.BytesIO(data), formats=FORMATS) as image:
            (width, height), format = image.size, image.format or ""
    except Image.DecompressionBombError:
        raise _too_large(too_many, param) from None
    except Exception:  # Pillow raises all kinds on damaged files
        raise invalid(f"the image is no readable {FORMATS_TEXT}", param, "unsupported_image") from None
    if width * height > limits.pixels:
        raise _too_large(f"{width} x {height}: {too_many}", param)
    return EncodedImage(data, format)


def encoded_image_from_text(text: str, limits: PlannerLimits, param: str = "image") -> EncodedImage:
    """Check the header of an image in a data URI, or in bare base64.

    Args:
        text: the data URI or base64.
        limits: on its size.
        param: the request's field, for errors.

    Raises:
        ServeError: as `encoded_image`; and for any address, as nothing is fetched.
    """
    text = text.lstrip()
    head = text[:200].lower()
    if re.match(r"[a-z][a-z0-9+.-]*://|file:", head):
        message = "images are not fetched by address; send the image itself, as data:image/png;base64,…"
        raise invalid(message, param, "image_url_unsupported")
    header = _DATA.match(text, 0, 200)
    if header and not header["base64"]:
        raise invalid("a data URI must be in base64: data:image/png;base64,…", param, "unsupported_image")
    encoded = "".join(text[header.end() if header else 0 :].split())  # MIME breaks base64 into lines
    if len(encoded) * 3 // 4 > limits.image_bytes + 3:
        raise _too_large(f"the image has more than {limits.image_bytes >> 10} KiB", param)
    try:
        return encoded_image(base64.b64decode(encoded, validate=True), limits, param)
    except (binascii.Error, ValueError):
        raise invalid("the image is neither a data URI nor base64", param, "unsupported_image") from None


def _too_large(message: str, param: str) -> ServeError:
    return ServeError(413, "image_too_large", message, param)
