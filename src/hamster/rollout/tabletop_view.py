"""A tabletop for people who watch it: larger images, things by name, and a hand that moves them."""

from __future__ import annotations

from dataclasses import dataclass
from math import hypot

import numpy as np
from numpy.typing import NDArray

from hamster.geometry import Camera
from hamster.rollout.tabletop import TabletopEnvironment
from hamster.sim.language import tasks
from hamster.sim.language.possible import CONTAINERS
from hamster.sim.layout import footprint_radius
from hamster.sim.render import Renderer
from hamster.sim.scene import Command, Thing
from hamster.sim.tabletop.sample import WORKSPACE
from hamster.sim.tabletop.shift import Shift
from hamster.sim.tasks import centre_world

UV = tuple[float, float]
_DONE = {
    "pick_place": "{target} is {preposition} {goal}",
    "stack": "{target} stands on {goal}",
    "press": "{target} is pressed",
    "knock": "{target} is knocked over",
    "push": "{target} touches {goal}",
}


@dataclass(frozen=True)
class MovableThing:
    """A thing on the table, as it is seen in the front image.

    Attributes:
        name: unique in its scene.
        label: in words, "the red cube".
        uv: relative place of its centre.
        radius: of its foot, relative to the image's side.
    """

    name: str
    label: str
    uv: UV
    radius: float


class TabletopView:
    """Shows one scene, and lets somebody move things in it. Ends with the environment.

    Args:
        env: the scene.
        side_px: height and width of the images, at most 1024 pixels.
    """

    def __init__(self, env: TabletopEnvironment, side_px: int) -> None:
        self._env, self._sim = env, env.gymnasium_env
        self._renderer = Renderer(self._sim.world.model, side_px, side_px)

    @property
    def camera(self) -> Camera:
        """The calibration of the front camera."""
        return self._env.front_camera()

    def image(self) -> NDArray[np.uint8]:
        """Render the front camera (side_px, side_px, 3)."""
        return self._renderer.render(self._sim.world.data, self._sim.viewpoint).rgb

    def things(self) -> list[MovableThing]:
        """Return what can be moved by `move`, where it is now."""
        camera, world = self.camera, self._sim.world
        things = []
        for thing in world.scene.things:
            centre = centre_world(world, thing)
            rim = centre + footprint_radius(thing) * camera.world_from_camera[:3, 0]
            px, _ = camera.project([centre, rim])
            (u, v), (u_rim, v_rim) = (px / camera.size_px).tolist()
            things.append(MovableThing(thing.name, described(thing), (u, v), hypot(u_rim - u, v_rim - v)))
        return things

    def move(self, name: str, uv: UV) -> None:
        """Move a thing over the table, so that it is seen at another place; the task is then judged from there.

        Args:
            name: of one of `things`.
            uv: relative place of its centre on the front image.

        Raises:
            ValueError: if there is no such thing, the robot holds it, or it has no room there.
        """
        world = self._sim.world
        if name not in (names := [thing.name for thing in world.scene.things]):
            raise ValueError(f"no thing {name!r}; there are {', '.join(names)}")
        thing = world.scene.thing(name)
        if world.held_thing() == name:
            raise ValueError(f"the robot holds {described(thing)}")
        xy = self._on_table(uv, float(centre_world(world, thing)[2]))
        for other in world.scene.things:
            apart = hypot(*(world.thing_pose(other.name)[:2, 3] - xy))
            if other is not thing and apart < footprint_radius(thing) + footprint_radius(other):
                raise ValueError(f"{described(other)} is in the way there")
        self._sim.apply_shift(Shift(0, name, xy))

    def tasks_done(self) -> list[str]:
        """Return in words what is done now, of all that the scene allows: "the red cube is on the blue plate"."""
        scene = self._sim.world.scene
        done = [task for task in tasks(scene) if self._sim.is_success(Command(*task, instruction=""))]
        facts = []
        for family, target, goal in done:
            if family == "push" and ("pick_place", target, goal) in done:
                continue  # what lies on a thing touches it, too
            names = {"target": described(scene.thing(target))}
            if goal is not None:
                names["goal"] = described(scene.thing(goal))
                names["preposition"] = "in" if scene.thing(goal).kind in CONTAINERS else "on"
            facts.append(_DONE[family].format(**names))
        return facts

    def close(self) -> None:
        """Free the renderer."""
        self._renderer.close()

    def _on_table(self, uv: UV, height_m: float) -> UV:
        """Return the place x, y (metres) at a height above the table that is seen at a place of the image."""
        camera = self.camera
        eye = camera.world_from_camera[:3, 3]
        ray = camera.unproject(np.array(uv) * camera.size_px, 1.0) - eye
        low_x, high_x, low_y, high_y = WORKSPACE
        if ray[2] < 0:
            x, y = (eye + ray * (height_m - eye[2]) / ray[2])[:2].tolist()
            if low_x <= x <= high_x and low_y <= y <= high_y:
                return x, y
        raise ValueError("the robot does not reach that place")


def described(thing: Thing) -> str:
    """Return a thing in words.

    >>> from hamster.sim.catalogue import CATALOGUE
    >>> described(CATALOGUE["cube"]("thing0", "red", (0.8, 0.1, 0.1)))
    'the red cube'
    """
    return " ".join(["the", thing.colour, thing.kind, *([f"({thing.mark})"] if thing.mark else [])])
