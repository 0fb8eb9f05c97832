"""Where things are in the image, which is what left, right, in front and behind are about."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hamster.geometry import inverse, look_at
from hamster.sim.scene import CameraSpec, Scene

ImageLayout = Mapping[str, tuple[float, float, float]]
"""By thing: (u, v) of its centre and its area, all relative to the image; v grows towards the viewer."""


def layout_of(scene: Scene, camera: CameraSpec) -> ImageLayout:
    """The layout in a square image of a fixed camera, things' centres projected; those outside it are left out.

    A renderer's segmentation gives a better one (mean pixel and share of pixels); this one needs no renderer.
    """
    camera_from_world = inverse(look_at(camera.eye, camera.target))
    focal = 0.5 / np.tan(np.deg2rad(camera.fovy_deg) / 2)
    layout = {}
    for thing in scene.things:
        length, width, height = thing.size
        x, y, depth = camera_from_world[:3, :3] @ (*thing.xy, height / 2) + camera_from_world[:3, 3]
        if depth <= 0:
            continue
        u, v = 0.5 + focal * x / depth, 0.5 + focal * y / depth
        if 0 <= u <= 1 and 0 <= v <= 1:
            area = np.sqrt(length * width) * (np.sqrt(length * width) / 2 + height) * (focal / depth) ** 2
            layout[thing.name] = (float(u), float(v), float(area))
    return layout
