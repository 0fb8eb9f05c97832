"""A rollout as an mp4 (H.264): the path drawn on every frame, a caption below."""

from __future__ import annotations

from functools import lru_cache
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hamster.rollout import Rollout
from hamster.rollout.video import encode, scaled

Rgb = NDArray[np.uint8]
CAPTION_PX = 48
FONT_PX, SMALL_FONT_PX = 13, 12
INK, FAINT, BACK = (236, 236, 232), (158, 158, 154), (24, 24, 26)
_LONGEST = 120  # characters; more never fit
GREEN, RED = (92, 190, 120), (226, 104, 92)


def caption(rollout: Rollout, condition: str, width_px: int, ended: bool) -> Rgb:
    """Draw a caption with the instruction, the condition and, on the last frame, the outcome.

    Args:
        rollout: that is captioned.
        condition: its name.
        width_px: width of the caption.
        ended: whether to add the outcome.

    Returns:
        (CAPTION_PX, width_px, 3) uint8.
    """
    strip = Image.new("RGB", (width_px, CAPTION_PX), BACK)
    pen = ImageDraw.Draw(strip)
    pen.text((10, 6), _fitting(pen, rollout.instruction, width_px - 20), INK, _font(FONT_PX))
    pen.text((10, 27), f"{condition} path" if condition != "none" else "no path", FAINT, _font(SMALL_FONT_PX))
    if ended:
        text = rollout.outcome.replace("_", " ")
        left = width_px - 10 - pen.textlength(text, _font(SMALL_FONT_PX))
        pen.text((left, 27), text, GREEN if rollout.success else RED, _font(SMALL_FONT_PX))
    return np.asarray(strip)


def write_rollout_video(file: Path, rollout: Rollout, condition: str, frames: list[Rgb]) -> None:
    """Write the mp4; the last frame, with the outcome, is held for a second.

    Args:
        file: to write.
        rollout: for caption and frame rate.
        condition: its name.
        frames: (H, W, 3) each, with the path drawn.
    """
    running, ended = (caption(rollout, condition, frames[0].shape[1], end) for end in (False, True))
    hold = max(1, round(rollout.video.fps))
    pictures = [np.concatenate([frame, running]) for frame in frames[:-1]]
    pictures += [np.concatenate([frames[-1], ended])] * hold
    encode(file, pictures, rollout.video.fps)


def webp(rgb: Rgb, quality: int = 72) -> bytes:
    """Encode an image (H, W, 3) as WebP."""
    buffer = BytesIO()
    Image.fromarray(rgb).save(buffer, "WEBP", quality=quality, method=4)
    return buffer.getvalue()


def filmstrip(frames: list[Rgb], n: int = 6, columns: int = 3, tile_px: int = 144) -> Rgb:
    """Tile n frames, evenly spaced from first to last, row by row.

    Args:
        frames: (H, W, 3) each.
        n: number of tiles, a multiple of `columns`.
        columns: tiles per row.
        tile_px: width of a tile.

    Returns:
        (n / columns * the height of a tile, columns * tile_px, 3) uint8.
    """
    indices = np.linspace(0, len(frames) - 1, n).round().astype(int)
    tiles = [scaled(frames[i], tile_px) for i in indices]
    return np.concatenate([np.concatenate(tiles[i : i + columns], 1) for i in range(0, n, columns)])


@lru_cache(maxsize=4)
def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _fitting(pen: ImageDraw.ImageDraw, text: str, width_px: float) -> str:
    text = " ".join(text.split())
    if len(text) <= _LONGEST and pen.textlength(text, _font(FONT_PX)) <= width_px:
        return text
    fits = [n for n in range(min(len(text), _LONGEST)) if pen.textlength(text[:n] + "…", _font(FONT_PX)) <= width_px]
    return text[: fits[-1]].rstrip() + "…"
