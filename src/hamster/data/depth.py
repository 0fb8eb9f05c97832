"""Metric depth as files store it: pictures of one channel, their units, and what cannot be metric depth.

Nothing is guessed beyond one convention, which LeRobot and ROS (REP 118) share: integers are millimetres, floats are
metres. Where a source states its unit, that holds instead. Everything that is no measurement (zero, negative, NaN,
infinite) becomes 0.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from hamster.data.images import MAX_BYTES, MAX_PIXELS, has_same_shape, has_sane_structure

Depth = NDArray[np.float32]
MILLIMETRE_M = 1e-3
NEAREST_M, FARTHEST_M = 0.02, 60.0  # of the median: no depth camera measures a scene beyond these
_COMPRESSIONS = (None, "raw", "tiff_adobe_deflate", "tiff_lzw")
_NOT_IN_NAMES = frozenset(  # what the names of a camera's colour and depth images do not share
    ("depth", "rgb", "rgbd", "color", "colour", "image", "images", "img", "observation", "aligned", "registered", "to",
     "map", "raw", "rect", "compressed", "compresseddepth")
)  # fmt: skip


def decode_depth(data: bytes, name: str) -> NDArray[np.uint16] | Depth:
    """Decode a PNG (16 bits) or TIFF (16-bit integers or 32-bit floats) of one channel as stored, (H, W).

    Args:
        data: the file's bytes.
        name: of the picture, for errors.

    Raises:
        ValueError: if it is another kind of file, is damaged or too large, or has 8 bits or several channels: such a
            picture shows depth in shades or colours, which is not metric.
    """
    if len(data) > MAX_BYTES or not has_sane_structure(data):
        raise ValueError(f"{name} is larger than {MAX_BYTES >> 20} MiB, or has more segments than any camera writes")
    try:
        with Image.open(io.BytesIO(data), formats=("PNG", "TIFF", "JPEG", "WEBP")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise _UnfitError(f"{name} has {image.width} x {image.height} pixels, too many")
            if not (image.mode.startswith("I") or image.mode == "F"):
                raise _UnfitError(
                    f"{name} is a picture of mode {image.mode}, 8 bits a channel: shades or colours, not metric depth; "
                    "16-bit PNG, or TIFF of 16-bit integers or 32-bit floats, is needed"
                )
            if image.format == "TIFF" and image.info.get("compression") not in _COMPRESSIONS:
                raise _UnfitError(f"{name}: a TIFF compressed by {image.info.get('compression')} is not read")
            values = np.asarray(image)
    except _UnfitError:
        raise
    except Image.DecompressionBombError:
        raise ValueError(f"{name} has too many pixels") from None
    except UnidentifiedImageError:
        raise ValueError(f"{name} is neither PNG nor TIFF") from None
    except Exception:  # Pillow's TIFF reader raises whatever a damaged header leads to, struct.error and KeyError, too
        raise ValueError(f"{name} is cut off or damaged") from None
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if values.min(initial=0) < 0 or values.max(initial=0) > np.iinfo(np.uint16).max:
        raise ValueError(f"{name} has values that do not fit into 16 bits")
    return values.astype(np.uint16)


def encode_depth(depth_m: Depth) -> bytes:
    """Encode depth (H, W), metres, as a TIFF of 32-bit floats (deflate): every bit is kept.

    Millimetres in 16 bits would be smaller, but round: to half a millimetre, and beyond 65 m not at all.
    """
    buffer = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(depth_m, np.float32)).save(buffer, "TIFF", compression="tiff_adobe_deflate")
    return buffer.getvalue()


def metres_per_unit(dtype: np.dtype[np.generic]) -> float:
    """Return the size of the unit of values whose source states none: a millimetre for integers, else a metre."""
    return MILLIMETRE_M if dtype.kind in "iu" else 1.0


def to_metres(stored: NDArray[np.generic], name: str, metres: float | None = None) -> Depth:
    """Return depth (H, W) float32, metres, 0 where nothing was measured.

    Args:
        stored: (H, W), (H, W, 1) or (1, H, W) numbers.
        name: of the depth image, for errors.
        metres: that one stored unit stands for; None if the source does not say, see `metres_per_unit`.

    Raises:
        ValueError: for another shape, or 8-bit integers, which are not metric.
    """
    values = np.asarray(stored)
    if values.ndim == 3 and 1 in (values.shape[0], values.shape[2]):
        values = values[0] if values.shape[0] == 1 else values[..., 0]
    if values.ndim != 2 or not values.size or values.dtype.kind not in "iuf":
        raise ValueError(f"{name} has shape {values.shape} of {values.dtype}; depth is (height, width) numbers")
    if values.dtype.itemsize == 1:
        raise ValueError(f"{name} holds 8-bit integers: shades, not metric depth")
    scale = metres_per_unit(values.dtype) if metres is None else metres
    with np.errstate(over="ignore", invalid="ignore"):
        depth_m = (values * scale).astype(np.float32) if scale != 1.0 else values.astype(np.float32)
        return np.where(np.isfinite(depth_m) & (depth_m > 0), depth_m, np.float32(0))


def check_plausible(depth_m: Depth, name: str) -> None:
    """Raise ValueError, naming the evidence, if depth is in a wrong unit, or none at all was measured.

    Args:
        depth_m: (H, W) metres, 0 where unknown.
        name: of the depth image.
    """
    measured_m = depth_m[depth_m > 0]
    if not measured_m.size:
        raise ValueError(f"{name} has no measurement at all in its first image")
    median_m = float(np.median(measured_m))
    if not NEAREST_M <= median_m <= FARTHEST_M:
        guess = "metres read as millimetres" if median_m < NEAREST_M else "millimetres read as metres"
        raise ValueError(
            f"{name} has a median of {median_m:.3g} m, outside {NEAREST_M:g} to {FARTHEST_M:g} m: {guess}?"
        )


def fit_depth(depth_m: Depth, width: int, height: int, name: str) -> Depth:
    """Return depth at the size of its colour image, by the nearest pixel: a mean of two surfaces lies on neither.

    The colour camera's intrinsics hold for the result, as depth is registered to colour.

    Args:
        depth_m: (H, W) metres.
        width, height: of the colour image, pixels.
        name: of the depth image, for errors.

    Raises:
        ValueError: if the colour image has another shape, not only another scale.
    """
    rows, columns = depth_m.shape
    if (columns, rows) == (width, height):
        return depth_m
    if not has_same_shape((columns, rows), (width, height)):
        raise ValueError(
            f"{name} has {columns} x {rows} pixels, its colour image {width} x {height}: another shape, so it is not "
            "registered to that image"
        )
    return resize_nearest(depth_m, width, height)


def resize_nearest(depth_m: Depth, width: int, height: int) -> Depth:
    """Return depth (H, W) at another size, each pixel that of the nearest one."""
    rows, columns = depth_m.shape
    v = ((np.arange(height) + 0.5) * rows / height).astype(np.intp)
    u = ((np.arange(width) + 0.5) * columns / width).astype(np.intp)
    return np.ascontiguousarray(depth_m[v[:, None], u])


def camera_of_depth(name: str, cameras: Iterable[str]) -> str | None:
    """Return the colour camera that a depth image belongs to by its name, None if that is not clear.

    `front_depth`, `depth_front` and `front.aligned_depth` belong to `front` or `front_rgb`; plain `depth` belongs to
    the only camera.

    Example:
        >>> camera_of_depth("observation.images.front_depth", ["wrist", "front"])
        'front'
    """
    names = list(cameras)
    alike = [camera for camera in names if name_words(camera) == name_words(name)]
    if not alike and not name_words(name) and len(names) == 1:
        return names[0]
    return alike[0] if len(alike) == 1 else None


def is_depth_name(name: str) -> bool:
    """Return whether a name says that it is depth: `front_depth`, `depth_0`, not `depthwise`."""
    return "depth" in re.split(r"[\W_]+", name.lower())


def name_words(name: str) -> list[str]:
    """Return the words of a name by which images of one camera belong together, in lower case."""
    return [word for word in re.split(r"[\W_]+", name.lower()) if word and word not in _NOT_IN_NAMES]


class _UnfitError(ValueError):
    """Apart from what Pillow raises on damaged files."""
