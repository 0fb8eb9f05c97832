"""Kinds in neither world: what no demonstration and no scene of the off-domain generator has.

They are called by their colour, since no model was taught a word for them. The generator draws from
`sim.catalogue.CATALOGUE` alone, so what is listed here cannot enter its scenes.
"""

from __future__ import annotations

from collections.abc import Callable
from math import cos, pi, sin, tau

from hamster.sim.catalogue import Rgb, rgba
from hamster.sim.scene import Part, Thing


def _box(x: tuple[float, float], y: tuple[float, float], z: tuple[float, float], rgb: Rgb, density: float) -> Part:
    """Build a box from its bounds along each axis."""
    bounds = (x, y, z)
    half = tuple((high - low) / 2 for low, high in bounds)
    middle = tuple((high + low) / 2 for low, high in bounds)
    return Part("box", half, middle, rgba(rgb), density=density)  # type: ignore[arg-type]


def cone(name: str, colour: str, rgb: Rgb, *, radius: float = 0.026, height: float = 0.06, steps: int = 5) -> Thing:
    """Build a cone of discs, each smaller than the one below."""
    rise = height / steps
    parts = tuple(
        Part("cylinder", (radius * (1 - i / (steps + 0.5)), rise / 2, 0), (0, 0, (i + 0.5) * rise), rgba(rgb))
        for i in range(steps)
    )
    size = (2 * radius, 2 * radius, height)
    return Thing(name, "cone", colour, size, parts, graspable=True, grasp_height=height * 0.3)


def ring(name: str, colour: str, rgb: Rgb, *, radius: float = 0.028, height: float = 0.03, sides: int = 8) -> Thing:
    """Build a short tube of upright boards, two of which face the fingers."""
    wall = 0.0035
    middle = radius - wall
    parts = tuple(
        Part(
            "box",
            (wall, radius * sin(pi / sides) * 1.04, height / 2),
            (middle * cos(tau * i / sides), middle * sin(tau * i / sides), height / 2),
            rgba(rgb, 1.0 if i % 2 else 0.94),
            euler=(0, 0, tau * i / sides),
        )
        for i in range(sides)
    )
    size = (2 * radius, 2 * radius, height)
    return Thing(name, "ring", colour, size, parts, graspable=True, grasp_height=height / 2)


def angle(name: str, colour: str, rgb: Rgb, *, width: float = 0.024, height: float = 0.03) -> Thing:
    """Build an L-shaped block: a bar along x, which is grasped, and an arm along +y at its far end."""
    half, reach = width / 2, 0.036
    bar = _box((-reach, reach), (-half, half), (0, height), rgb, 400)
    arm = _box((reach - width, reach), (half, reach), (0, height), rgb, 400)
    return Thing(name, "angle", colour, (2 * reach, 2 * reach, height), (bar, arm), graspable=True,
                 grasp_height=height / 2)  # fmt: skip


def pear(name: str, colour: str, rgb: Rgb, *, radius: float = 0.022) -> Thing:
    """Build a ball with a smaller one on it, on a flat foot, with a stalk."""
    parts = (
        Part("cylinder", (radius * 0.75, radius * 0.12, 0), (0, 0, radius * 0.12), rgba(rgb, 0.95)),
        Part("sphere", (radius, 0, 0), (0, 0, radius), rgba(rgb), density=300),
        Part("sphere", (radius * 0.55, 0, 0), (0, 0, radius * 1.75), rgba(rgb), density=200),
        Part("capsule", (radius * 0.08, radius * 0.12, 0), (0, 0, radius * 2.3), (0.35, 0.22, 0.1, 1), density=20),
    )
    size = (2 * radius, 2 * radius, radius * 2.45)
    return Thing(name, "pear", colour, size, parts, graspable=True, grasp_height=radius)


def star(name: str, colour: str, rgb: Rgb, *, radius: float = 0.031, height: float = 0.03) -> Thing:
    """Build a prism with six arms, two of which lie along y, where it is grasped."""
    parts = tuple(
        Part(
            "box",
            (radius * 0.24, radius - 0.001 * (i > 0), height / 2),
            (0, 0, height / 2),
            rgba(rgb),
            euler=(0, 0, i * pi / 3),
        )
        for i in range(3)
    )
    size = (1.94 * radius - 0.002, 2 * radius, height)
    return Thing(name, "star", colour, size, parts, graspable=True, grasp_height=height / 2)


def standing_i(name: str, colour: str, rgb: Rgb, *, width: float = 0.052, height: float = 0.14) -> Thing:
    """Build a solid capital I with serifs, which stands and topples."""
    half, stem, serif, deep = width / 2, width * 0.27, height * 0.18, 0.016
    parts = (
        _box((-deep, deep), (-half, half), (0, serif), rgb, 250),
        _box((-deep, deep), (-stem, stem), (serif, height - serif), rgb, 250),
        _box((-deep, deep), (-half, half), (height - serif, height), rgb, 250),
    )
    return Thing(name, "standing I", colour, (2 * deep, width, height), parts, topples=True)


def standing_t(name: str, colour: str, rgb: Rgb, *, width: float = 0.07, height: float = 0.14) -> Thing:
    """Build a solid capital T, which stands on its stem and topples."""
    half, stem, bar, deep = width / 2, width * 0.25, height * 0.22, 0.017
    parts = (
        _box((-deep, deep), (-stem, stem), (0, height - bar), rgb, 250),
        _box((-deep, deep), (-half, half), (height - bar, height), rgb, 250),
    )
    return Thing(name, "standing T", colour, (2 * deep, width, height), parts, topples=True)


def square_button(name: str, colour: str, rgb: Rgb, *, width: float = 0.07, height: float = 0.03) -> Thing:
    """Build a button with a square cap (the last part, on a sliding joint) in a round housing."""
    half, rise = width * 0.3, 0.016
    parts = (
        Part("cylinder", (width / 2, height / 2, 0), (0, 0, height / 2), rgba((0.25, 0.25, 0.28))),
        _box((-half, half), (-half, half), (height, height + rise), rgb, 400),
    )
    return Thing(name, "button", colour, (width, width, height + rise), parts, movable=False, button=True)


SOLIDS: dict[str, Callable[..., Thing]] = {
    "angle": angle,
    "cone": cone,
    "pear": pear,
    "ring": ring,
    "square button": square_button,
    "standing I": standing_i,
    "standing T": standing_t,
    "star": star,
}
"""Functions that build the kinds, by name."""
NAMELESS = tuple(kind for kind in SOLIDS if kind != "square button")
"""Kinds that instructions call "object"; a square button is called a button."""
