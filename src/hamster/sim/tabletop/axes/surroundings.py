"""Tables, lights and cameras that the demonstrations do not show."""

from __future__ import annotations

from dataclasses import replace
from math import cos, radians, sin

import numpy as np

from hamster.sim.scene import CameraSpec, Light, Surface, Vec3
from hamster.sim.tabletop.axes.looks import choice
from hamster.sim.tabletop.sample import CAMERAS, LAMPS


def draw_surface(rng: np.random.Generator, pattern: str) -> Surface:
    """Draw a pattern of two pale colours, so that no thing has the table's colour.

    Args:
        rng: random generator.
        pattern: one of `scene.Surface.pattern`.
    """
    base = rng.uniform(0.25, 0.8) * (1 - rng.uniform(0, 0.3, 3))
    other = np.clip(base + rng.normal(0, 0.08, 3), 0, 1)
    return Surface(pattern, _vec3(base), _vec3(other), int(rng.integers(1 << 30)))  # type: ignore[arg-type]


def draw_lights(rng: np.random.Generator, name: str) -> tuple[Light, ...]:
    """Draw other lights: dim, bright or tinted ones from other directions, or one lamp at the side with shadows.

    Args:
        rng: random generator.
        name: one of `Factors.lights` other than "lamps".
    """
    if name == "side":
        side = float(rng.choice((-1.0, 1.0)))
        direction = (float(rng.uniform(-0.4, 0.4)), side * float(rng.uniform(0.8, 1.3)), -1.0)
        return (Light(direction, (0.85, 0.85, 0.85), (0.28, 0.28, 0.28), casts_shadow=True),)
    power = {"dim": rng.uniform(0.4, 0.65), "bright": rng.uniform(1.3, 1.6)}.get(name, rng.uniform(0.85, 1.1))
    tint = rng.uniform(0.6, 1.1, 3) if name == "tinted" else np.ones(3)
    return tuple(
        Light(
            (*(float(v) for v in rng.normal(0, 0.4, 2)), -1.0),  # type: ignore[arg-type]
            _vec3(np.array(lamp.diffuse) * power * tint),
            _vec3(np.array(lamp.ambient) * power * tint),
        )
        for lamp in LAMPS
    )


def draw_camera(rng: np.random.Generator, azimuth_deg: int) -> CameraSpec:
    """Draw a camera "front", turned around the point it looks at, raised and moved.

    Args:
        rng: random generator.
        azimuth_deg: of the turn; 0 is the direction of the demonstrations.
    """
    front = CAMERAS["front"]
    away = np.array(front.eye) - front.target
    distance = float(np.linalg.norm(away)) * choice(rng, (0.85, 1.0, 1.15))
    elevation = float(np.arcsin(away[2] / np.linalg.norm(away))) + radians(choice(rng, (0, 10)))
    turn = radians(azimuth_deg)
    direction = np.array([cos(turn) * cos(elevation), sin(turn) * cos(elevation), sin(elevation)])
    return replace(front, eye=_vec3(np.array(front.target) + distance * direction))


def _vec3(values: object) -> Vec3:
    x, y, z = np.asarray(values, float)
    return (float(x), float(y), float(z))
