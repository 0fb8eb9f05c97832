"""A contact sheet: one page of small pictures to check labels by eye."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

TILE_PX = 224
CAPTION_PX = 30
COLUMNS = 6


def contact_sheet(pictures: Sequence[tuple[NDArray[np.uint8], str]], tile_px: int = TILE_PX) -> NDArray[np.uint8]:
    """Return images (H, W, 3) uint8 of any size with a caption each -> one image (H, W, 3), six to a row.

    Raises:
        ValueError: if there is no picture.
    """
    if not pictures:
        raise ValueError("a contact sheet needs at least one picture")
    columns = min(COLUMNS, len(pictures))
    rows = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * tile_px, rows * (tile_px + CAPTION_PX)), "white")
    pen = ImageDraw.Draw(page)
    for i, (rgb, caption) in enumerate(pictures):
        x, y = i % columns * tile_px, i // columns * (tile_px + CAPTION_PX)
        picture = _fit(Image.fromarray(rgb), tile_px - 4)
        page.paste(picture, (x + (tile_px - picture.width) // 2, y + 2))
        pen.multiline_text((x + 4, y + tile_px), _wrap(pen, caption, tile_px - 8), "black", spacing=1)
    return np.asarray(page)


def _fit(picture: Image.Image, side_px: int) -> Image.Image:
    scale = side_px / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    return picture.resize(size, Image.Resampling.LANCZOS if scale < 1 else Image.Resampling.NEAREST)


def _wrap(pen: ImageDraw.ImageDraw, text: str, width_px: int) -> str:
    """Return at most two lines, the second one cut off if need be."""
    font = ImageFont.load_default()
    lines = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if not lines[-1] or pen.textlength(longer, font) <= width_px:
            lines[-1] = longer
        elif len(lines) == 2:
            lines[-1] += " …"
            break
        else:
            lines.append(word)
    return "\n".join(lines)
