"""Photographs that nobody took, and arrows drawn over them in many styles, with the truth about where they go."""

import io
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from hamster.path.simplify import arc_length, resample

GREEN, BLUE, PINK = (88, 216, 104), (24, 124, 248), (248, 150, 190)
RED, YELLOW, MAGENTA = (240, 30, 30), (250, 220, 20), (220, 20, 220)


@dataclass(frozen=True)
class Style:
    colour: tuple[int, int, int] = GREEN
    width: float = 5
    head: str = "open"  # or "filled"
    smooth: bool = True
    jpeg: int | None = None
    dashed: bool = False


STYLES = [
    Style(),
    Style(BLUE, 2.5),
    Style(GREEN, 8, "filled"),
    Style(MAGENTA, 4, "filled", smooth=False),
    Style(BLUE, 4, "open", jpeg=80),
    Style(GREEN, 3, "filled", jpeg=70),
    Style(RED, 5, "open", smooth=False),
    Style(BLUE, 6, "filled", jpeg=60),
    Style(PINK, 5, "filled"),
    Style(GREEN, 4, "open", dashed=True),
    Style(BLUE, 6, "filled", dashed=True),
    Style(RED, 3, "filled", dashed=True, jpeg=85),
]


def photograph(rng, size=(480, 360)):
    """(H, W, 3): a table of one colour, muted things on it, shadows, texture, noise."""
    picture = Image.new("RGB", size, tuple(rng.integers(70, 200, 3).tolist()))
    canvas = ImageDraw.Draw(picture)
    for _ in range(12):
        x, y = rng.uniform(0, size[0]), rng.uniform(0, size[1])
        w, h = rng.uniform(20, 120, 2)
        grey = rng.integers(40, 220)
        fill = tuple(np.clip(grey + rng.integers(-35, 35, 3), 0, 255).tolist())
        (canvas.ellipse if rng.random() < 0.5 else canvas.rectangle)((x, y, x + w, y + h), fill=fill)
    picture = picture.filter(ImageFilter.GaussianBlur(1.2))
    light = np.linspace(rng.uniform(0.8, 1), rng.uniform(0.8, 1), size[0])[None, :, None]
    return np.clip(np.asarray(picture) * light + rng.normal(0, 3, (size[1], size[0], 3)), 0, 255).astype(np.uint8)


def curve(rng, least=0.25):
    """(64, 2) relative: a bent line that stays in the picture and is long enough to have a direction."""
    while True:
        a, b, c = rng.uniform(0.15, 0.85, (3, 2))
        b = (a + c) / 2 + (b - (a + c) / 2) * 0.6
        if np.linalg.norm(c - a) > least:
            t = np.linspace(0, 1, 64)[:, None]
            return (1 - t) ** 2 * a + 2 * t * (1 - t) * b + t**2 * c


def draw(rgb, lines, styles, circles=()):
    """A drawing (H, W, 3): arrows along lines (N, 2), relative, and circles (u, v, radius relative to the width)."""
    finer = 4
    size = (rgb.shape[1], rgb.shape[0])
    out = rgb
    for line, style in zip(lines, styles, strict=True):
        layer = Image.new("L", (size[0] * finer, size[1] * finer))
        canvas = ImageDraw.Draw(layer)
        px = line * size * finer
        width = style.width * finer
        for piece in _dashes(px, width) if style.dashed else [px]:
            _stroke(canvas, piece, width)
        _head(canvas, px, width, style.head)
        for (u, v, r), number in circles:
            if lines[number] is line:
                x, y, r = u * layer.width, v * layer.height, r * layer.width
                canvas.ellipse((x - r, y - r, x + r, y + r), outline=255, width=round(width))
        alpha = np.asarray(layer.resize(size, Image.Resampling.BOX), np.float64)[..., None] / 255
        alpha = alpha if style.smooth else (alpha > 0.5)
        out = (out * (1 - alpha) + np.array(style.colour) * alpha).round().astype(np.uint8)
    quality = min((style.jpeg for style in styles if style.jpeg), default=None)
    return out if quality is None else jpeg(out, quality)


def jpeg(rgb, quality):
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=quality)
    return np.array(Image.open(buffer))


def write(rgb, text, at, colour, height=26, width=3):
    """Characters as a pen would write them, their middle at a place relative to the picture."""
    out, scale = rgb.copy(), height / 21
    (w, h), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, width)
    corner = (round(at[0] * rgb.shape[1] - w / 2), round(at[1] * rgb.shape[0] + h / 2))
    return cv2.putText(out, text, corner, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, width, cv2.LINE_AA)


def _dashes(px, width):
    """Pieces of a line, four widths of stroke after four widths of gap."""
    px = resample(px, 400)
    number = (arc_length(px) // (4 * width)).astype(int)
    return [px[number == k] for k in range(0, number[-1] + 1, 2) if (number == k).sum() > 1]


def _stroke(canvas, px, width):
    canvas.line([tuple(p) for p in px.tolist()], fill=255, width=round(width))
    for x, y in px.tolist():
        canvas.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=255)


def _head(canvas, px, width, kind):
    tip, ahead = px[-1], px[-1] - px[-8]
    ahead = ahead / np.linalg.norm(ahead)
    across = np.array([-ahead[1], ahead[0]])
    size = 2.2 * width + 32  # of the picture drawn four times as large
    barbs = [tip - size * ahead + side * 0.55 * size * across for side in (-1, 1)]
    if kind == "filled":
        canvas.polygon([tuple(p) for p in (tip, *barbs)], fill=255)
    else:
        for barb in barbs:
            _stroke(canvas, np.linspace(tip, barb, 8), width)
