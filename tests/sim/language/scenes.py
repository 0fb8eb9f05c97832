"""Random scenes of records alone: things strewn over the workspace, duplicates likely."""

from __future__ import annotations

import numpy as np

from hamster.sim.catalogue import CATALOGUE
from hamster.sim.scene import CameraSpec, Scene, Surface, Thing

COLOURS = ("red", "green", "blue", "yellow", "orange", "purple", "white", "grey")
PROPORTIONS = {
    "brick": {"length": 0.08, "width": 0.035, "height": 0.03},
    "can": {"radius": 0.028, "height": 0.08},
    "egg": {"radius": 0.02, "length": 0.055},
    "stick": {"radius": 0.012, "length": 0.1},
    "tower": {"width": 0.04, "height": 0.14},
    "candle": {"radius": 0.016, "height": 0.13},
    "mushroom": {"radius": 0.025, "height": 0.05},
    "hammer": {"length": 0.1, "width": 0.025},
    "book": {"length": 0.14, "width": 0.1, "height": 0.02},
    "tray": {"length": 0.16, "width": 0.12, "height": 0.03},
    "apple": {"radius": 0.027},
    "board": {"length": 0.17, "width": 0.12, "height": 0.012},
    "car": {"length": 0.085, "width": 0.04, "height": 0.042},
    "carrot": {"radius": 0.014, "length": 0.1},
    "domino": {"width": 0.047, "depth": 0.017, "height": 0.11},
    "dumbbell": {"radius": 0.022, "length": 0.1},
    "pan": {"radius": 0.07, "height": 0.025},
    "snowman": {"radius": 0.025},
    "bin": {"length": 0.14, "width": 0.12, "height": 0.08},
}
INDOMAIN = ("cube", "cylinder", "ball", "bottle", "cup", "bowl", "plate", "button", "tile")
MARKS = ("A", "B", "star", "arrow")


def thing(name: str, kind: str, colour: str, xy: tuple[float, float], **proportions: object) -> Thing:
    options = {**PROPORTIONS.get(kind, {}), **proportions}
    made = CATALOGUE[kind](name, colour, (0.5, 0.5, 0.5), **options)
    object.__setattr__(made, "xy", xy)
    return made


def scene(things: list[Thing]) -> Scene:
    look = Surface("plain", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))
    camera = CameraSpec((1.15, 0.0, 0.75), (0.42, 0.0, 0.03))
    return Scene("panda", tuple(things), {"front": camera}, look, look, (), (0.4, 0.0, 0.3, 0.0))


def random_scene(rng: np.random.Generator, kinds: tuple[str, ...] = INDOMAIN) -> Scene:
    things = []
    for i in range(rng.integers(3, 9)):
        kind, colour = str(rng.choice(kinds)), str(rng.choice(COLOURS))
        extra: dict[str, object] = {"mark": str(rng.choice(MARKS))} if kind == "tile" and rng.random() < 0.7 else {}
        if kind == "cube":
            extra["width"] = float(rng.choice((0.03, 0.043, 0.055)))
        xy = (float(rng.uniform(0.32, 0.68)), float(rng.uniform(-0.28, 0.28)))
        things.append(thing(f"thing{i}", kind, colour, xy, **extra))
    return scene(things)
