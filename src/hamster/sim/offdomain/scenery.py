"""Background of a scene: walls, cloths, clutter around the objects, an idle second robot.

No command mentions it and nothing touches it. Its colours are pale, so that "the red one" stays unambiguous.
"""

from __future__ import annotations

from math import cos, pi, sin

import numpy as np

from hamster.sim.layout import Bounds
from hamster.sim.scene import Part, Rgba, Shape, Surface, Vec3

PATTERNS = ("plain", "checker", "gradient", "stripes", "noise", "dots", "waves", "patches", "speckle", "lattice")
SHAPES: tuple[Shape, ...] = ("box", "box", "cylinder", "sphere", "capsule")
WALL, CLOTH, CLUTTER, IDLE_ARM = 0.5, 0.45, 0.65, 0.25  # probability of each


def surface(rng: np.random.Generator, saturation: float = 0.8) -> Surface:
    """Draw a pattern of two colours that are often similar."""
    base = np.array(pale(rng, saturation))
    other = np.clip(base + rng.normal(0, 0.12, 3), 0, 1) if rng.random() < 0.7 else np.array(pale(rng, saturation))
    return Surface(str(rng.choice(PATTERNS)), _rgb(base), _rgb(other), int(rng.integers(1 << 30)))  # type: ignore[arg-type]


def pale(rng: np.random.Generator, saturation: float) -> Vec3:
    """Draw a colour (RGB in [0, 1]) of at most this saturation."""
    hue, value = rng.random() * 6, rng.uniform(0.15, 1.0)
    strength = rng.random() * saturation
    return _rgb([value * (1 - strength * np.clip(min((n + hue) % 6, 4 - (n + hue) % 6), 0, 1)) for n in (5, 3, 1)])


def scenery(bounds: Bounds, rng: np.random.Generator) -> tuple[Part, ...]:
    """Draw the background of a scene.

    Args:
        bounds: of the objects on the table, metres.
        rng: random generator.
    """
    parts: list[Part] = []
    if rng.random() < WALL:
        parts += _walls(rng)
    if rng.random() < CLOTH:
        parts += [_cloth(bounds, rng) for _ in range(rng.integers(1, 3))]
    if rng.random() < CLUTTER:
        parts += [_clutter(bounds, rng) for _ in range(rng.integers(1, 6))]
    if rng.random() < IDLE_ARM:
        parts += _idle_arm(bounds, rng)
    return tuple(parts)


def _walls(rng: np.random.Generator) -> list[Part]:
    """Draw a wall behind the robot, and sometimes walls at its sides."""
    places = [((-rng.uniform(0.5, 1.5), 0.0, 0.2), (0.01, 3.0, 1.2))]
    places += [((0.0, side * rng.uniform(1.0, 2.0), 0.2), (3.0, 0.01, 1.2)) for side in (-1, 1) if rng.random() < 0.4]
    return [Part("box", size, pos, print=surface(rng)) for pos, size in places]


def _cloth(bounds: Bounds, rng: np.random.Generator) -> Part:
    """Draw a sheet of paper, a mat or a cloth, flat on the table."""
    x, y = rng.uniform(bounds[0] - 0.1, bounds[1] + 0.1), rng.uniform(bounds[2] - 0.1, bounds[3] + 0.1)
    size = (float(rng.uniform(0.06, 0.3)), float(rng.uniform(0.06, 0.3)), 0.0006)
    look = surface(rng, 0.35)
    return Part("box", size, (float(x), float(y), 0.0), euler=(0, 0, float(rng.uniform(-pi, pi))), print=look)


def _clutter(bounds: Bounds, rng: np.random.Generator) -> Part:
    """Draw a solid shape near the objects, on the robot's side or beside them."""
    side = rng.choice((-1, 1))
    if rng.random() < 0.5:
        x, y = bounds[0] - rng.uniform(0.08, 0.3), rng.uniform(bounds[2] - 0.1, bounds[3] + 0.1)
    else:
        x = rng.uniform(bounds[0] - 0.1, bounds[1])
        y = rng.uniform(0.08, 0.25) * side + (bounds[3] if side > 0 else bounds[2])
    shape = SHAPES[int(rng.integers(len(SHAPES)))]
    a, b, c = (float(v) for v in rng.uniform(0.015, 0.07, 3))
    rounded = (a, 0.0 if shape == "sphere" else c, 0.0)
    height = {"box": c, "cylinder": c, "sphere": a, "capsule": a + c}[shape]
    colour: Rgba = (*pale(rng, 0.3), 1.0)
    look = surface(rng, 0.3) if rng.random() < 0.4 else None
    size, turned = (a, b, c) if shape == "box" else rounded, (0.0, 0.0, float(rng.uniform(-pi, pi)))
    return Part(shape, size, (float(x), float(y), height), colour, turned, print=look)


def _idle_arm(bounds: Bounds, rng: np.random.Generator) -> list[Part]:
    """Draw a chain of links beside the objects, like an idle second robot."""
    side = float(rng.choice((-1, 1)))
    x = float(rng.uniform(-0.1, bounds[1]))
    y = (bounds[3] if side > 0 else bounds[2]) + side * float(rng.uniform(0.15, 0.35))
    radius, colour = float(rng.uniform(0.025, 0.055)), (*pale(rng, 0.5 if rng.random() < 0.3 else 0.05), 1.0)
    parts = [Part("cylinder", (radius * 1.5, 0.05, 0.0), (x, y, 0.05), colour)]
    point, tilt, turn = np.array([x, y, 0.1]), float(rng.uniform(-0.3, 0.3)), float(rng.uniform(-pi, pi))
    for _ in range(int(rng.integers(2, 5))):
        length = float(rng.uniform(0.08, 0.18))
        along = np.array([sin(tilt) * cos(turn), sin(tilt) * sin(turn), cos(tilt)])
        middle = point + along * length
        parts.append(Part("capsule", (radius, length, 0.0), _rgb(middle), colour, (0.0, tilt, turn)))
        point, tilt = middle + along * length, tilt + float(rng.uniform(0.2, 1.0))
        radius *= 0.85
    return parts


def _rgb(values: object) -> Vec3:
    a, b, c = np.asarray(values, float)
    return (float(a), float(b), float(c))
