"""The objects: each kind is a function of its proportions and its colour that returns a `Thing` of convex primitives.

Samplers choose the proportions: the tabletop from narrow ranges, the off-domain generator from wide ones.
"""

from __future__ import annotations

from collections.abc import Callable
from math import atan2, cos, hypot, pi, sin, tau

from hamster.sim.scene import Part, Rgba, Thing, Vec3

Rgb = Vec3


def rgba(rgb: Rgb, shade: float = 1.0) -> Rgba:
    """Return the colour with its brightness scaled, opaque."""
    return (min(rgb[0] * shade, 1.0), min(rgb[1] * shade, 1.0), min(rgb[2] * shade, 1.0), 1.0)


def _disc(radius: float, z_low: float, z_high: float, colour: Rgba, density: float = 400.0) -> Part:
    half = (z_high - z_low) / 2
    return Part("cylinder", (radius, half, 0), (0, 0, z_low + half), colour, density=density)


def cube(name: str, colour: str, rgb: Rgb, *, width: float = 0.043) -> Thing:
    """Build a block as deep as it is wide and high."""
    return brick(name, colour, rgb, kind="cube", length=width, width=width, height=width)


def brick(
    name: str, colour: str, rgb: Rgb, *, kind: str = "brick", length: float, width: float, height: float
) -> Thing:
    """Build a cuboid, grasped across its width (its y axis)."""
    part = Part("box", (length / 2, width / 2, height / 2), (0, 0, height / 2), rgba(rgb))
    size = (length, width, height)
    return Thing(name, kind, colour, size, (part,), graspable=True, grasp_height=height / 2, rest_height=height)


def cylinder(
    name: str, colour: str, rgb: Rgb, *, kind: str = "cylinder", radius: float = 0.02, height: float = 0.055
) -> Thing:
    """Build an upright cylinder; the top face is a shade lighter so that it reads as round."""
    parts = (_disc(radius, 0, height - 0.002, rgba(rgb)), _disc(radius * 0.97, height - 0.002, height, rgba(rgb, 1.2)))
    size = (2 * radius, 2 * radius, height)
    return Thing(name, kind, colour, size, parts, graspable=True, grasp_height=height * 0.55)


def can(name: str, colour: str, rgb: Rgb, *, radius: float, height: float, band: Rgb = (0.8, 0.8, 0.8)) -> Thing:
    """Build a tin: a coloured cylinder between two metal rims."""
    rim = height * 0.1
    parts = (
        _disc(radius * 0.95, 0, rim, rgba(band)),
        _disc(radius, rim, height - rim, rgba(rgb)),
        _disc(radius * 0.95, height - rim, height, rgba(band)),
    )
    size = (2 * radius, 2 * radius, height)
    return Thing(name, "can", colour, size, parts, graspable=True, grasp_height=height * 0.5)


def ball(name: str, colour: str, rgb: Rgb, *, radius: float = 0.022) -> Thing:
    """Build a ball."""
    part = Part("sphere", (radius, 0, 0), (0, 0, radius), rgba(rgb))
    return Thing(name, "ball", colour, (2 * radius,) * 3, (part,), graspable=True, grasp_height=radius)


def egg(name: str, colour: str, rgb: Rgb, *, radius: float, length: float) -> Thing:
    """Build an ellipsoid that lies along x."""
    part = Part("ellipsoid", (length / 2, radius, radius), (0, 0, radius), rgba(rgb))
    size = (length, 2 * radius, 2 * radius)
    return Thing(name, "egg", colour, size, (part,), graspable=True, grasp_height=radius)


def stick(name: str, colour: str, rgb: Rgb, *, radius: float, length: float) -> Thing:
    """Build a capsule that lies along x."""
    part = Part("capsule", (radius, length / 2 - radius, 0), (0, 0, radius), rgba(rgb), euler=(0, pi / 2, 0))
    size = (length, 2 * radius, 2 * radius)
    return Thing(name, "stick", colour, size, (part,), graspable=True, grasp_height=radius)


def bottle(
    name: str, colour: str, rgb: Rgb, *, radius: float = 0.021, height: float = 0.15, cap: Rgb = (0.9, 0.9, 0.85)
) -> Thing:
    """Build a body, a shoulder, a neck and a cap; tall and narrow, so it topples."""
    body, neck = height * 0.6, height * 0.9
    parts = (
        _disc(radius, 0, body, rgba(rgb), 250),
        Part("ellipsoid", (radius, radius, height * 0.12), (0, 0, body), rgba(rgb), density=50),
        _disc(radius * 0.45, body, neck, rgba(rgb, 0.9), 100),
        _disc(radius * 0.5, neck, height, rgba(cap), 100),
    )
    size = (2 * radius, 2 * radius, height)
    return Thing(name, "bottle", colour, size, parts, graspable=True, grasp_height=body * 0.6, topples=True)


def tower(name: str, colour: str, rgb: Rgb, *, width: float, height: float) -> Thing:
    """Build a tall cuboid that topples."""
    part = Part("box", (width / 2, width / 2, height / 2), (0, 0, height / 2), rgba(rgb), density=250)
    size = (width, width, height)
    return Thing(name, "tower", colour, size, (part,), graspable=True, grasp_height=height * 0.4, topples=True)


def candle(name: str, colour: str, rgb: Rgb, *, radius: float, height: float) -> Thing:
    """Build a thin tall cylinder with a flame; it topples."""
    parts = (
        _disc(radius, 0, height, rgba(rgb), 250),
        Part(
            "ellipsoid",
            (radius * 0.4, radius * 0.4, radius),
            (0, 0, height + radius * 0.8),
            (1, 0.8, 0.3, 1),
            density=20,
        ),
    )
    size = (2 * radius, 2 * radius, height + 1.8 * radius)
    return Thing(name, "candle", colour, size, parts, graspable=True, grasp_height=height * 0.4, topples=True)


def cup(name: str, colour: str, rgb: Rgb, *, radius: float = 0.028, height: float = 0.065) -> Thing:
    """Build a mug: a cylinder with a dark inside and a handle along +x, so that it is grasped beside the handle."""
    reach = radius * 1.25
    bar = height * 0.07
    parts = (
        _disc(radius, 0, height - 0.001, rgba(rgb), 200),
        _disc(radius * 0.82, height - 0.001, height, rgba(rgb, 0.35), 50),
        Part("capsule", (bar, height * 0.17, 0), (reach, 0, height * 0.5), rgba(rgb), density=50),
        Part(
            "capsule", (bar, radius * 0.15, 0), (radius * 1.1, 0, height * 0.7), rgba(rgb), (0, pi / 2, 0), density=50
        ),
        Part(
            "capsule", (bar, radius * 0.15, 0), (radius * 1.1, 0, height * 0.3), rgba(rgb), (0, pi / 2, 0), density=50
        ),
    )
    size = (2 * radius, 2 * radius, height)
    return Thing(name, "cup", colour, size, parts, graspable=True, grasp_height=height * 0.6)


def mushroom(name: str, colour: str, rgb: Rgb, *, radius: float, height: float) -> Thing:
    """Build a pale stalk under a coloured cap."""
    parts = (
        _disc(radius * 0.6, 0, height * 0.7, (0.93, 0.9, 0.8, 1)),
        Part("ellipsoid", (radius, radius, height * 0.35), (0, 0, height * 0.65), rgba(rgb), density=100),
    )
    size = (2 * radius, 2 * radius, height)
    return Thing(name, "mushroom", colour, size, parts, graspable=True, grasp_height=height * 0.6)


def hammer(name: str, colour: str, rgb: Rgb, *, length: float, width: float) -> Thing:
    """Build a coloured head across the end of a brown handle that lies along x."""
    head = Part("box", (width * 0.55, width * 1.2, width * 0.5), (0, 0, width * 0.5), rgba(rgb))
    handle = Part(
        "capsule", (width * 0.25, length / 2, 0), (-length / 2, 0, width * 0.5), (0.5, 0.33, 0.18, 1), (0, pi / 2, 0)
    )
    size = (length + width, width * 2.4, width)
    return Thing(name, "hammer", colour, size, (head, handle), graspable=False)


def book(name: str, colour: str, rgb: Rgb, *, length: float, width: float, height: float) -> Thing:
    """Pages between two covers, lying; something can be put on it."""
    cover = height * 0.2
    parts = (
        Part("box", (length / 2, width / 2, cover / 2), (0, 0, cover / 2), rgba(rgb)),
        Part(
            "box", (length / 2 * 0.96, width / 2 * 0.96, height / 2 - cover), (0, 0, height / 2), (0.93, 0.91, 0.85, 1)
        ),
        Part("box", (length / 2, width / 2, cover / 2), (0, 0, height - cover / 2), rgba(rgb)),
    )
    return Thing(name, "book", colour, (length, width, height), parts, movable=False, receives=True, rest_height=height)


def plate(name: str, colour: str, rgb: Rgb, *, radius: float = 0.07, height: float = 0.01) -> Thing:
    """Build a flat disc with a lighter well."""
    parts = (
        _disc(radius, 0, height, rgba(rgb)),
        _disc(radius * 0.68, height, height + 0.001, rgba(rgb, 1.25)),
    )
    size = (2 * radius, 2 * radius, height + 0.001)
    return Thing(name, "plate", colour, size, parts, movable=False, receives=True, rest_height=height + 0.001)


def bowl(name: str, colour: str, rgb: Rgb, *, radius: float = 0.065, height: float = 0.045, sides: int = 10) -> Thing:
    """Build a base disc and a ring of tilted boards; hollow."""
    foot, base = radius * 0.62, 0.006
    tilt, slant = atan2(radius - foot, height), hypot(radius - foot, height)
    middle, half_width = (radius + foot) / 2, radius * sin(pi / sides) * 1.03
    boards = tuple(
        Part(
            "box",
            (0.003, half_width, slant / 2),
            (middle * cos(tau * i / sides), middle * sin(tau * i / sides), base + height / 2),
            rgba(rgb, 1.0 if i % 2 else 0.94),
            euler=(0, tilt, tau * i / sides),
        )
        for i in range(sides)
    )
    size = (2 * radius, 2 * radius, height + base)
    parts = (_disc(foot, 0, base, rgba(rgb, 0.8)), *boards)
    return Thing(name, "bowl", colour, size, parts, movable=False, receives=True, rest_height=base)


def tray(name: str, colour: str, rgb: Rgb, *, kind: str = "tray", length: float, width: float, height: float) -> Thing:
    """Build a floor and four upright walls: a tray where it is low, a bin where it is high."""
    wall, base = 0.004, 0.005
    walls = (
        Part("box", (length / 2, wall, height / 2), (0, width / 2, height / 2), rgba(rgb)),
        Part("box", (length / 2, wall, height / 2), (0, -width / 2, height / 2), rgba(rgb)),
        Part("box", (wall, width / 2, height / 2), (length / 2, 0, height / 2), rgba(rgb, 0.92)),
        Part("box", (wall, width / 2, height / 2), (-length / 2, 0, height / 2), rgba(rgb, 0.92)),
    )
    floor = Part("box", (length / 2, width / 2, base / 2), (0, 0, base / 2), rgba(rgb, 0.75))
    size = (length, width, height)
    return Thing(name, kind, colour, size, (floor, *walls), movable=False, receives=True, rest_height=base)


def bin_(name: str, colour: str, rgb: Rgb, *, length: float, width: float, height: float) -> Thing:
    """Build a tray with high walls."""
    return tray(name, colour, rgb, kind="bin", length=length, width=width, height=height)


def tile(
    name: str, colour: str, rgb: Rgb, *, width: float = 0.1, height: float = 0.006, mark: str | None = None
) -> Thing:
    """Build a flat square with a letter or a picture, drawn in the tile's colour by `textures.mark`."""
    texture = None if mark is None else f"mark:{mark}"
    part = Part("box", (width / 2, width / 2, height / 2), (0, 0, height / 2), rgba(rgb), texture=texture)
    return Thing(
        name,
        "tile",
        colour,
        (width, width, height),
        (part,),
        mark=mark,
        movable=False,
        receives=True,
        rest_height=height,
    )


def button(
    name: str, colour: str, rgb: Rgb, *, width: float = 0.07, height: float = 0.03, housing: Rgb = (0.25, 0.25, 0.28)
) -> Thing:
    """Build a coloured cap (the last part, on a sliding joint) in a dark housing."""
    radius, rise = width * 0.34, 0.016
    parts = (
        Part("box", (width / 2, width / 2, height / 2), (0, 0, height / 2), rgba(housing)),
        _disc(radius, height, height + rise, rgba(rgb)),
    )
    return Thing(name, "button", colour, (width, width, height + rise), parts, movable=False, button=True)


def apple(name: str, colour: str, rgb: Rgb, *, radius: float) -> Thing:
    """Build a flattened sphere with a stalk."""
    body = Part("ellipsoid", (radius, radius, radius * 0.9), (0, 0, radius * 0.9), rgba(rgb))
    stalk = Part("capsule", (radius * 0.08, radius * 0.2, 0), (0, 0, radius * 1.85), (0.35, 0.22, 0.1, 1), density=20)
    size = (2 * radius, 2 * radius, 2.1 * radius)
    return Thing(name, "apple", colour, size, (body, stalk), graspable=True, grasp_height=radius)


def carrot(name: str, colour: str, rgb: Rgb, *, radius: float, length: float) -> Thing:
    """Build a body that tapers towards +x, lying, with green leaves at the other end."""
    half = length / 2
    parts = (
        Part("capsule", (radius, half * 0.35, 0), (-half * 0.3, 0, radius), rgba(rgb), (0, pi / 2, 0)),
        Part(
            "capsule", (radius * 0.7, half * 0.35, 0), (half * 0.4, 0, radius * 0.75), rgba(rgb, 0.95), (0, pi / 2, 0)
        ),
        Part("ellipsoid", (half * 0.3, radius * 0.6, radius * 0.4), (-half * 0.85, 0, radius), (0.2, 0.5, 0.15, 1)),
    )
    size = (2 * length * 0.6, 2 * radius, 2 * radius)
    return Thing(name, "carrot", colour, size, parts, graspable=True, grasp_height=radius)


def car(name: str, colour: str, rgb: Rgb, *, length: float, width: float, height: float) -> Thing:
    """Build a toy car: a body, a cabin with dark windows, four wheels."""
    wheel = height * 0.25
    wheels = tuple(
        Part("cylinder", (wheel, width * 0.08, 0), (x, y, wheel), (0.08, 0.08, 0.08, 1), (pi / 2, 0, 0))
        for x in (-length * 0.3, length * 0.3)
        for y in (-width * 0.45, width * 0.45)
    )
    body = Part("box", (length / 2, width / 2, height * 0.22), (0, 0, height * 0.42), rgba(rgb))
    cabin = Part(
        "box", (length * 0.26, width * 0.42, height * 0.18), (-length * 0.05, 0, height * 0.8), (0.15, 0.17, 0.2, 1)
    )
    roof = Part("box", (length * 0.24, width * 0.42, height * 0.02), (-length * 0.05, 0, height * 0.98), rgba(rgb))
    size = (length, width, height)
    return Thing(name, "car", colour, size, (body, cabin, roof, *wheels), graspable=True, grasp_height=height * 0.5)


def dumbbell(name: str, colour: str, rgb: Rgb, *, radius: float, length: float) -> Thing:
    """Two weights on a thin bar along x; grasped at the bar."""
    ends = tuple(
        Part("cylinder", (radius, length * 0.14, 0), (side * length * 0.36, 0, radius), rgba(rgb), (0, pi / 2, 0))
        for side in (-1, 1)
    )
    bar = Part("capsule", (radius * 0.4, length * 0.3, 0), (0, 0, radius), (0.6, 0.6, 0.62, 1), (0, pi / 2, 0))
    size = (length, 2 * radius, 2 * radius)
    return Thing(name, "dumbbell", colour, size, (*ends, bar), graspable=True, grasp_height=radius)


def pan(name: str, colour: str, rgb: Rgb, *, radius: float, height: float, sides: int = 12) -> Thing:
    """Build a round floor with a low rim, and a dark handle along +x."""
    wall, base = 0.004, 0.005
    rim = tuple(
        Part(
            "box",
            (wall, radius * sin(pi / sides) * 1.05, height / 2),
            (radius * cos(tau * i / sides), radius * sin(tau * i / sides), height / 2),
            rgba(rgb),
            euler=(0, 0, tau * i / sides),
        )
        for i in range(sides)
    )
    handle = Part("box", (radius * 0.35, 0.008, 0.005), (radius * 1.3, 0, height * 0.8), (0.12, 0.12, 0.12, 1))
    parts = (_disc(radius, 0, base, rgba(rgb, 0.85)), *rim, handle)
    size = (2 * radius, 2 * radius, height)
    return Thing(name, "pan", colour, size, parts, movable=False, receives=True, rest_height=base)


def board(name: str, colour: str, rgb: Rgb, *, length: float, width: float, height: float) -> Thing:
    """Build a cutting board with a dark hole at one end."""
    parts = (
        Part("box", (length / 2, width / 2, height / 2), (0, 0, height / 2), rgba(rgb)),
        Part("cylinder", (width * 0.1, 0.0006, 0), (length * 0.4, 0, height), (0.1, 0.1, 0.1, 1)),
    )
    size = (length, width, height)
    return Thing(name, "board", colour, size, parts, movable=False, receives=True, rest_height=height)


def domino(name: str, colour: str, rgb: Rgb, *, width: float, depth: float, height: float) -> Thing:
    """Build a thin upright slab with pale dots; it topples."""
    slab = Part("box", (depth / 2, width / 2, height / 2), (0, 0, height / 2), rgba(rgb), density=250)
    spots = tuple(
        Part(
            "cylinder",
            (width * 0.12, depth * 0.52, 0),
            (0, y * width, z * height),
            (0.95, 0.95, 0.9, 1),
            (0, pi / 2, 0),
        )
        for y, z in ((-0.22, 0.7), (0.22, 0.85), (0.0, 0.3))
    )
    size = (depth, width, height)
    return Thing(name, "domino", colour, size, (slab, *spots), graspable=True, grasp_height=height * 0.4, topples=True)


def snowman(name: str, colour: str, rgb: Rgb, *, radius: float) -> Thing:
    """Three balls one upon the other, with a dark hat; it topples."""
    foot = _disc(radius * 0.8, 0, radius * 0.3, rgba(rgb), 300)
    low = Part("sphere", (radius, 0, 0), (0, 0, radius), rgba(rgb), density=250)
    middle = Part("sphere", (radius * 0.78, 0, 0), (0, 0, radius * 2.5), rgba(rgb, 0.97), density=150)
    head = Part("sphere", (radius * 0.58, 0, 0), (0, 0, radius * 3.65), rgba(rgb, 1.03), density=100)
    hat = _disc(radius * 0.5, radius * 4.1, radius * 4.7, (0.1, 0.1, 0.1, 1), 50)
    size = (2 * radius, 2 * radius, 4.7 * radius)
    parts = (foot, low, middle, head, hat)
    return Thing(name, "snowman", colour, size, parts, graspable=True, grasp_height=radius * 2.0, topples=True)


CATALOGUE: dict[str, Callable[..., Thing]] = {
    "apple": apple,
    "ball": ball,
    "bin": bin_,
    "board": board,
    "book": book,
    "bottle": bottle,
    "bowl": bowl,
    "brick": brick,
    "button": button,
    "can": can,
    "candle": candle,
    "car": car,
    "carrot": carrot,
    "cube": cube,
    "cup": cup,
    "cylinder": cylinder,
    "domino": domino,
    "dumbbell": dumbbell,
    "egg": egg,
    "hammer": hammer,
    "mushroom": mushroom,
    "pan": pan,
    "plate": plate,
    "snowman": snowman,
    "stick": stick,
    "tile": tile,
    "tower": tower,
    "tray": tray,
}
