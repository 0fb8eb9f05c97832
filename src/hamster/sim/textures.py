"""Procedural textures: table tops and floors, and the letters and pictures that tiles carry."""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hamster.sim.scene import Surface, Vec3

LETTERS = ("A", "B", "C", "E", "H", "K", "M", "S", "T", "X", "Z")
PICTURES = ("star", "heart", "moon", "sun", "arrow", "ring", "cross", "tree", "house", "drop")

Image3 = NDArray[np.uint8]
Array = NDArray[np.float64]
Ink = tuple[int, int, int]


def surface(look: Surface, size: int = 256) -> Image3:
    """(size, size, 3) uint8: the pattern of the two colours."""
    rng = np.random.default_rng(look.seed)
    y, x = np.mgrid[0:size, 0:size] / size
    mix = PATTERNS[look.pattern](rng, x, y)
    colours = np.array([look.rgb1, look.rgb2])
    blend = colours[0] + (colours[1] - colours[0]) * mix[..., None]
    return np.asarray(np.clip(blend, 0, 1) * 255, np.uint8)


def _plain(rng: np.random.Generator, x: Array, y: Array) -> Array:
    return np.zeros_like(x)


def _checker(rng: np.random.Generator, x: Array, y: Array) -> Array:
    n = int(rng.integers(3, 12))
    return np.asarray((np.floor(x * n) + np.floor(y * n)) % 2)


def _gradient(rng: np.random.Generator, x: Array, y: Array) -> Array:
    angle = rng.uniform(0, pi)
    return np.clip(x * cos(angle) + y * sin(angle), 0, 1)


def _stripes(rng: np.random.Generator, x: Array, y: Array) -> Array:
    angle = rng.uniform(0, pi)
    return np.asarray(0.5 + 0.5 * np.sign(np.sin((x * cos(angle) + y * sin(angle)) * rng.uniform(15, 80))))


def _noise(rng: np.random.Generator, x: Array, y: Array) -> Array:
    return _blobs(rng, len(x), int(rng.integers(4, 24)))


def _blobs(rng: np.random.Generator, size: int, cells: int) -> Array:
    grain = Image.fromarray((rng.random((cells, cells)) * 255).astype(np.uint8))
    return np.asarray(grain.resize((size, size), Image.Resampling.BICUBIC), np.float64) / 255


def _wood(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Boards along x, each with its own grain."""
    board = np.floor(y * 6)
    grain = np.sin((y * 60 + 3 * _blobs(rng, len(x), 5) + board * 1.7) * 2) * 0.25
    seam = (np.abs(y * 6 - np.round(y * 6)) < 0.02) * 0.5
    return np.asarray(np.clip(0.45 + grain + seam + 0.1 * np.sin(board * 12.9), 0, 1))


def _dots(rng: np.random.Generator, x: Array, y: Array) -> Array:
    n = int(rng.integers(4, 16))
    across, along = (x * n) % 1 - 0.5, (y * n) % 1 - 0.5
    return np.asarray((across**2 + along**2 < rng.uniform(0.03, 0.15)).astype(np.float64))


def _waves(rng: np.random.Generator, x: Array, y: Array) -> Array:
    rate, bend = rng.uniform(10, 60), rng.uniform(0.02, 0.1)
    return np.asarray(0.5 + 0.5 * np.sin(rate * (y + bend * np.sin(x * rng.uniform(5, 25)))))


def _patches(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Cells around random points, each of its own mixture."""
    centres, shades = rng.random((int(rng.integers(6, 30)), 2)), rng.random(30)
    away = (x[..., None] - centres[:, 0]) ** 2 + (y[..., None] - centres[:, 1]) ** 2
    return np.asarray(shades[away.argmin(-1)])


def _speckle(rng: np.random.Generator, x: Array, y: Array) -> Array:
    return np.asarray((rng.random(x.shape) < rng.uniform(0.02, 0.3)).astype(np.float64))


def _lattice(rng: np.random.Generator, x: Array, y: Array) -> Array:
    n, width = int(rng.integers(3, 14)), rng.uniform(0.05, 0.2)
    return np.asarray((((x * n) % 1 < width) | ((y * n) % 1 < width)).astype(np.float64))


def _plaid(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Broad and narrow bands that cross."""
    n = int(rng.integers(3, 7))
    across, along = (((axis * n) % 1 < 0.35) * 0.35 + (np.abs((axis * n) % 1 - 0.7) < 0.05) * 0.3 for axis in (x, y))
    return np.asarray(across + along * 0.8)


def _marble(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Thin veins along warped lines."""
    bend = _blobs(rng, len(x), 5) + 0.5 * _blobs(rng, len(x), 12)
    veins = 1 - np.abs(np.sin(x * rng.uniform(4, 9) + y * rng.uniform(2, 6) + 6 * bend))
    return np.asarray(0.3 * _blobs(rng, len(x), 4) + 0.7 * veins**3)


def _tiles(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Square tiles of slightly different shades, with joints."""
    n = int(rng.integers(4, 9))
    shades = rng.random((n, n)) * 0.35
    body = shades[np.minimum((y * n).astype(int), n - 1), np.minimum((x * n).astype(int), n - 1)]
    joint = ((x * n) % 1 < 0.05) | ((y * n) % 1 < 0.05)
    return np.where(joint, 1.0, body)


def _print(rng: np.random.Generator, x: Array, y: Array) -> Array:
    """Lines of text, as on a newspaper."""
    size = len(x)
    image = Image.new("L", (size, size), 0)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(size / 18)
    for row in range(18):
        words = ("".join(rng.choice(list("abcdefghiklmnoprstuvw"), rng.integers(2, 9))) for _ in range(14))
        draw.text((2, row * size / 18), " ".join(words), 255, font)
    return np.asarray(image, np.float64) / 255


PATTERNS: dict[str, Callable[[np.random.Generator, Array, Array], Array]] = {
    "plain": _plain,
    "checker": _checker,
    "gradient": _gradient,
    "stripes": _stripes,
    "noise": _noise,
    "wood": _wood,
    "dots": _dots,
    "waves": _waves,
    "patches": _patches,
    "speckle": _speckle,
    "lattice": _lattice,
    "plaid": _plaid,
    "marble": _marble,
    "tiles": _tiles,
    "print": _print,
}


def mark(name: str, rgb: Vec3, size: int = 128) -> Image3:
    """(size, size, 3) uint8: a letter or a picture, white or black on the tile's colour, whichever stands out."""
    ground: Ink = (int(rgb[0] * 255), int(rgb[1] * 255), int(rgb[2] * 255))
    luma = 0.299 * rgb[0] + 0.587 * rgb[1] + 0.114 * rgb[2]
    ink: Ink = (20, 20, 20) if luma > 0.5 else (245, 245, 245)
    image = Image.new("RGB", (size, size), ground)
    draw = ImageDraw.Draw(image)
    if name in PICTURES:
        _picture(draw, name, size, ink, ground)
    else:
        font = ImageFont.load_default(size * 0.95)
        draw.text((size / 2, size / 2), name, ink, font, anchor="mm", stroke_width=size // 32, stroke_fill=ink)
    return np.asarray(image)


# Corners in a square of side 2 about the origin, y up.
POLYGONS: dict[str, list[tuple[float, float]]] = {
    "star": [(sin(i * pi / 5) * (0.4 if i % 2 else 1), cos(i * pi / 5) * (0.4 if i % 2 else 1)) for i in range(10)],
    "heart": [(0, -1), (-0.95, 0.15), (-0.9, 0.6), (-0.5, 0.85), (0, 0.45), (0.5, 0.85), (0.9, 0.6), (0.95, 0.15)],
    "arrow": [(0, 1), (0.8, 0.1), (0.3, 0.1), (0.3, -1), (-0.3, -1), (-0.3, 0.1), (-0.8, 0.1)],
    "tree": [(0, 1), (0.8, -0.4), (0.2, -0.4), (0.2, -1), (-0.2, -1), (-0.2, -0.4), (-0.8, -0.4)],
    "house": [(0, 1), (0.9, 0.2), (0.65, 0.2), (0.65, -0.9), (-0.65, -0.9), (-0.65, 0.2), (-0.9, 0.2)],
    "drop": [(0, 1), (0.5, 0.1), (0.62, -0.4), (0.4, -0.85), (0, -1), (-0.4, -0.85), (-0.62, -0.4), (-0.5, 0.1)],
}


def _picture(draw: ImageDraw.ImageDraw, name: str, size: int, ink: Ink, ground: Ink) -> None:
    def at(*points: tuple[float, float]) -> list[tuple[float, float]]:
        return [((0.5 + 0.42 * x) * size, (0.5 - 0.42 * y) * size) for x, y in points]

    def circle(x: float, y: float, radius: float, fill: Ink) -> None:
        draw.ellipse(at((x - radius, y + radius), (x + radius, y - radius)), fill=fill)

    if name in POLYGONS:
        draw.polygon(at(*POLYGONS[name]), fill=ink)
    elif name == "cross":
        draw.rectangle(at((-1, 0.3), (1, -0.3)), fill=ink)
        draw.rectangle(at((-0.3, 1), (0.3, -1)), fill=ink)
    elif name == "sun":
        for i in range(8):
            draw.line(at((0, 0), (sin(i * pi / 4), cos(i * pi / 4))), fill=ink, width=size // 12)
        circle(0, 0, 0.55, ink)
    else:  # moon and ring: a disc with another cut out of it
        circle(0, 0, 0.95, ink)
        circle(0.4 if name == "moon" else 0.0, 0, 0.75 if name == "moon" else 0.5, ground)
