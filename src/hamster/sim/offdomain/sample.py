"""The off-domain distribution of scenes: any arm, table, camera and colours except those of the tabletop."""

from __future__ import annotations

from dataclasses import replace
from itertools import zip_longest
from math import atan2, cos, pi, sin

import numpy as np

from hamster.sim.arms import ARMS
from hamster.sim.catalogue import CATALOGUE
from hamster.sim.layout import Bounds, scatter, world_camera
from hamster.sim.offdomain.scenery import pale, scenery, surface
from hamster.sim.scene import CameraSpec, Dynamics, Light, Scene, Surface, Thing, Vec3
from hamster.sim.tabletop.sample import CAMERAS, PALETTE
from hamster.sim.textures import LETTERS, PICTURES

ARM_NAMES = tuple(name for name in ARMS if name != "panda")
# Hue, saturation and value ranges of each colour word (hue in turns, may wrap below 0).
HSV: dict[str, tuple[tuple[float, float], tuple[float, float], tuple[float, float]]] = {
    "red": ((-0.025, 0.018), (0.8, 1.0), (0.55, 1.0)),
    "orange": ((0.055, 0.09), (0.8, 1.0), (0.85, 1.0)),
    "yellow": ((0.13, 0.165), (0.7, 1.0), (0.8, 1.0)),
    "green": ((0.28, 0.40), (0.55, 1.0), (0.35, 0.85)),
    "cyan": ((0.48, 0.53), (0.6, 1.0), (0.75, 1.0)),
    "blue": ((0.58, 0.67), (0.7, 1.0), (0.5, 1.0)),
    "purple": ((0.74, 0.81), (0.55, 0.95), (0.35, 0.7)),
    "pink": ((0.89, 0.96), (0.3, 0.6), (0.85, 1.0)),
    "brown": ((0.04, 0.08), (0.55, 0.75), (0.25, 0.42)),
    "white": ((0.0, 1.0), (0.0, 0.05), (0.9, 1.0)),
    "grey": ((0.0, 1.0), (0.0, 0.06), (0.4, 0.6)),
    "black": ((0.0, 1.0), (0.0, 0.25), (0.03, 0.12)),
}
# Half-open ranges of each kind's proportions, metres.
PROPORTIONS: dict[str, dict[str, tuple[float, float]]] = {
    "apple": {"radius": (0.022, 0.032)},
    "ball": {"radius": (0.016, 0.032)},
    "board": {"length": (0.15, 0.2), "width": (0.1, 0.14), "height": (0.008, 0.018)},
    "car": {"length": (0.07, 0.1), "width": (0.034, 0.048), "height": (0.035, 0.05)},
    "carrot": {"radius": (0.011, 0.018), "length": (0.08, 0.12)},
    "domino": {"width": (0.04, 0.055), "depth": (0.014, 0.02), "height": (0.09, 0.13)},
    "dumbbell": {"radius": (0.018, 0.026), "length": (0.08, 0.12)},
    "pan": {"radius": (0.06, 0.08), "height": (0.02, 0.03)},
    "snowman": {"radius": (0.02, 0.03)},
    "bin": {"length": (0.11, 0.17), "width": (0.10, 0.15), "height": (0.04, 0.07)},
    "book": {"length": (0.12, 0.17), "width": (0.09, 0.13), "height": (0.014, 0.03)},
    "bottle": {"radius": (0.017, 0.03), "height": (0.11, 0.19)},
    "bowl": {"radius": (0.052, 0.085), "height": (0.03, 0.06)},
    "brick": {"length": (0.06, 0.1), "width": (0.03, 0.045), "height": (0.025, 0.04)},
    "button": {"width": (0.055, 0.095), "height": (0.012, 0.05)},
    "can": {"radius": (0.02, 0.032), "height": (0.06, 0.1)},
    "candle": {"radius": (0.011, 0.018), "height": (0.09, 0.13)},
    "cube": {"width": (0.033, 0.058)},
    "cup": {"radius": (0.024, 0.036), "height": (0.05, 0.085)},
    "cylinder": {"radius": (0.015, 0.03), "height": (0.035, 0.085)},
    "egg": {"radius": (0.018, 0.026), "length": (0.055, 0.075)},
    "hammer": {"length": (0.09, 0.13), "width": (0.028, 0.04)},
    "mushroom": {"radius": (0.025, 0.036), "height": (0.045, 0.075)},
    "plate": {"radius": (0.055, 0.095), "height": (0.005, 0.014)},
    "stick": {"radius": (0.01, 0.017), "length": (0.09, 0.15)},
    "tile": {"width": (0.08, 0.13), "height": (0.003, 0.012)},
    "tower": {"width": (0.03, 0.042), "height": (0.12, 0.18)},
    "tray": {"length": (0.13, 0.19), "width": (0.1, 0.14), "height": (0.015, 0.028)},
}
RECEIVERS = ("plate", "bowl", "tile", "tray", "bin", "book", "board", "pan")
TOPPLES = ("bottle", "tower", "candle", "domino", "snowman")
TOYS = tuple(kind for kind in CATALOGUE if kind not in RECEIVERS and kind != "button")
PRINTED = 0.3  # probability that an object without a mark has a pattern instead of a plain colour
SHADOWS = 0.5  # probability that the first light casts shadows
# Kinds that most tasks need are drawn more often; the others broaden the vocabulary.
COMMON = ("cube", "cylinder", "ball", "bottle", "cup")


def sample_scene(rng: np.random.Generator) -> Scene:
    """Draw a scene of 2 to 8 objects with a random arm, table, lights and camera."""
    while True:
        things = _things(rng)
        x, y = rng.uniform((0.26, -0.2), (0.36, 0.0))
        bounds: Bounds = (x, x + rng.uniform(0.32, 0.42), y - 0.14, y + rng.uniform(0.38, 0.54))
        placed = scatter(things, bounds, rng, gap_m=0.025)
        if placed is not None:
            return _around(placed, bounds, rng)


def imagine(rng: np.random.Generator) -> Thing:
    """Draw an object from the distribution of these scenes."""
    theme = _theme(rng)
    return _thing("imagined", str(rng.choice([*theme[:1], *_others(rng)])), rng)


def _things(rng: np.random.Generator) -> list[Thing]:
    """Draw objects: mostly three or four of one kind that differ in colour, size or position, and a few others."""
    theme = _theme(rng)
    kinds = (theme + _others(rng))[:8]
    colours = _theme_colours(len(theme), rng)
    things = [_thing(f"thing{i}", kind, rng, colour) for i, (kind, colour) in enumerate(zip_longest(kinds, colours))]
    return _distinct(things, len(theme))


def _theme(rng: np.random.Generator) -> list[str]:
    """Draw the kind shared by several objects, repeated: three or four times in 80 % of scenes, else once or twice."""
    draw = rng.random()
    if draw < 0.28:
        kind = "button"
    elif draw < 0.46:
        kind = str(rng.choice(TOPPLES, p=(0.5, 0.15, 0.15, 0.1, 0.1)))
    elif draw < 0.8:
        kind = _toy(rng)
    else:
        kind = str(rng.choice(RECEIVERS))
    count = int(rng.choice((1, 2, 3, 4), p=(0.08, 0.12, 0.55, 0.25)))
    return [kind] * (min(count, 3) if kind in RECEIVERS else count)


def _others(rng: np.random.Generator) -> list[str]:
    """Draw the kinds of one to three toys, and of one or two objects that they can be put on."""
    toys = [_toy(rng) for _ in range(rng.integers(1, 4))]
    return [str(rng.choice(RECEIVERS)), *toys, *(str(rng.choice(RECEIVERS)) for _ in range(rng.integers(0, 2)))]


def _theme_colours(count: int, rng: np.random.Generator) -> list[str]:
    """Draw colours of objects of one kind: all equal, one different (for "not the red one"), or any."""
    draw = rng.random()
    if draw < 0.25:
        return [str(rng.choice(list(HSV)))] * count
    if draw < 0.6:
        pair = rng.choice(list(HSV), 2, replace=False)
        return [str(pair[0])] * (count - 1) + [str(pair[1])]
    return [str(rng.choice(list(HSV))) for _ in range(count)]


def _toy(rng: np.random.Generator) -> str:
    return str(rng.choice(COMMON if rng.random() < 0.6 else TOYS))


def _thing(name: str, kind: str, rng: np.random.Generator, colour: str | None = None) -> Thing:
    colour = str(rng.choice(list(HSV))) if colour is None else colour
    options: dict[str, object] = {key: float(rng.uniform(*span)) for key, span in PROPORTIONS[kind].items()}
    if kind == "tile" and rng.random() < 0.85:
        options["mark"] = str(rng.choice(LETTERS + PICTURES))
    if kind == "button":
        options["housing"] = _grey_or_any(rng)
    shade = shade_of(colour, rng)
    thing = CATALOGUE[kind](name, colour, shade, **options)
    if thing.mark is None and rng.random() < PRINTED:
        thing = printed(thing, shade, rng)
    # Marks are upright as seen from the camera, up to a small tilt.
    yaw = rng.normal(pi / 2, 0.3) if thing.mark else rng.uniform(-pi, pi)
    return replace(thing, yaw=float(yaw))


def printed(thing: Thing, shade: Vec3, rng: np.random.Generator) -> Thing:
    """Return an object with a pattern of two shades, or of a pale second colour, on the parts of its main colour."""
    other = shade_of(thing.colour, rng) if rng.random() < 0.7 else pale(rng, 0.1)
    sparse = ("dots", "speckle", "lattice") if other != shade and rng.random() < 0.5 else ("stripes", "noise", "waves")
    look = Surface(str(rng.choice(sparse)), shade, other, int(rng.integers(1 << 30)))  # type: ignore[arg-type]
    parts = [replace(part, print=look) if part.rgba[:3] == shade else part for part in thing.parts]
    return replace(thing, parts=tuple(parts))


def _distinct(things: list[Thing], theme: int) -> list[Thing]:
    """Remove objects of which two with the same kind, colour and mark exist already, except among the first `theme`."""
    copies: dict[tuple[str, str, str | None], int] = {}
    kept: list[Thing] = []
    for thing in things:
        key = (thing.kind, thing.colour, thing.mark)
        copies[key] = copies.get(key, 0) + 1
        if copies[key] <= 2 or len(kept) < theme:
            kept.append(thing)
    return kept


def shade_of(colour: str, rng: np.random.Generator) -> Vec3:
    """Draw RGB in [0, 1] of a colour word, never close to the tabletop's shade of that colour."""
    while True:
        hue, saturation, value = (rng.uniform(*span) for span in HSV[colour])
        rgb = _rgb(hue % 1.0, saturation, value)
        own = PALETTE.get(colour)
        if own is None or max(abs(a - b) for a, b in zip(rgb, own, strict=True)) > 0.04:
            return rgb


def _rgb(hue: float, saturation: float, value: float) -> Vec3:
    channels = [
        value * (1 - saturation * np.clip(min((n + hue * 6) % 6, 4 - (n + hue * 6) % 6), 0, 1)) for n in (5, 3, 1)
    ]
    return (float(channels[0]), float(channels[1]), float(channels[2]))


def _grey_or_any(rng: np.random.Generator) -> Vec3:
    grey = rng.uniform(0.1, 0.9)
    return (grey, grey, grey) if rng.random() < 0.7 else pale(rng, 0.8)


def _around(things: tuple[Thing, ...], bounds: Bounds, rng: np.random.Generator) -> Scene:
    view = camera(bounds, rng)
    start = _start(view, rng)
    side = atan2(view.eye[1] - view.target[1], view.eye[0] - view.target[0])
    things = tuple(replace(t, yaw=t.yaw + side) if t.mark else t for t in things)
    return Scene(
        arm=str(rng.choice(ARM_NAMES)),
        arm_look=int(rng.integers(1 << 30)),
        things=things,
        cameras={"front": view},
        table=surface(rng),
        floor=surface(rng),
        lights=lights(rng),
        start_tool=start,
        table_half_size=(float(rng.uniform(0.45, 0.9)), float(rng.uniform(0.45, 1.1))),
        dynamics=Dynamics(*(float(v) for v in rng.uniform(0.7, 1.4, 2))),
        scenery=scenery(bounds, rng),
    )


def camera(bounds: Bounds, rng: np.random.Generator) -> CameraSpec:
    """Draw a camera in front of the table that sees the objects, never close to the tabletop's own camera.

    Args:
        bounds: of the objects on the table, metres.
        rng: random generator.
    """
    centre = np.array([(bounds[0] + bounds[1]) / 2, (bounds[2] + bounds[3]) / 2, 0.03])
    while True:
        azimuth = rng.normal(0.0, 0.35) if rng.random() < 0.7 else rng.uniform(-1.5, 1.5)
        elevation, distance = rng.uniform(0.38, 1.35), rng.uniform(0.6, 1.6)
        direction = np.array([cos(azimuth) * cos(elevation), sin(azimuth) * cos(elevation), sin(elevation)])
        eye, target = centre + distance * direction, centre + rng.normal(0, 0.035, 3)
        own = np.array(CAMERAS["front"].eye)
        if np.linalg.norm(eye - own) > 0.08:
            # The objects' area fills most of the image.
            fovy = np.degrees(2 * np.arctan(rng.uniform(0.24, 0.4) / distance))
            return CameraSpec(_vec3(eye), _vec3(target), float(fovy))


def _start(view: CameraSpec, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Draw x, y, z and yaw of the tool over the table, in view of the camera."""
    projection = world_camera(view, 1, 1)
    while True:
        x, y, z = rng.uniform((0.26, -0.25, 0.08), (0.62, 0.25, 0.36))
        uv, _ = projection.project((x, y, z))
        if uv.min() > 0.03 and uv.max() < 0.97:
            return float(x), float(y), float(z), float(rng.uniform(-0.6, 0.6))


def lights(rng: np.random.Generator) -> tuple[Light, ...]:
    """Draw one to three lights, of which the first may cast shadows."""
    drawn = []
    for _ in range(rng.integers(1, 4)):
        tint = np.clip(rng.normal(1, 0.1, 3), 0.7, 1.25)
        direction = (*rng.normal(0, 0.5, 2), -1.0)
        drawn.append((_vec3(direction), tint))
    power, ambient = rng.uniform(0.4, 1.05) / len(drawn), rng.uniform(0.15, 0.55) / len(drawn)
    shadows = rng.random() < SHADOWS
    return tuple(
        Light(d, _vec3(power * tint), _vec3(ambient * tint), casts_shadow=shadows and i == 0)
        for i, (d, tint) in enumerate(drawn)
    )


def _vec3(values: object) -> Vec3:
    x, y, z = np.asarray(values, float)
    return (float(x), float(y), float(z))
