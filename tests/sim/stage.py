"""A plain stage for tests: a Panda, a table, and the things that a test puts on it."""

from dataclasses import replace
from math import pi

from hamster.sim.catalogue import CATALOGUE
from hamster.sim.scene import CameraSpec, Light, Scene, Surface, Thing
from hamster.sim.world import World

GREY = Surface("plain", (0.5, 0.5, 0.5), (0.5, 0.5, 0.5))


def stand(kind: str, name: str, x: float, y: float, yaw: float = 0.0, **proportions: object) -> Thing:
    return replace(CATALOGUE[kind](name, "red", (0.8, 0.1, 0.1), **proportions), xy=(x, y), yaw=yaw)


def stage(*things: Thing, arm: str = "panda", image_size: int = 64) -> World:
    cameras = {
        "front": CameraSpec(eye=(1.1, 0.0, 0.72), target=(0.46, 0.0, 0.06), fovy_deg=36.0),
        "wrist": CameraSpec(eye=(0.09, 0.0, -0.06), target=(0.015, 0.0, 0.05), fovy_deg=75.0, mount="tool"),
    }
    start = (0.42, 0.0, 0.28, -pi / 2)
    return World(Scene(arm, things, cameras, GREY, GREY, (Light((0.2, 0.2, -1.0)),), start), image_size)
