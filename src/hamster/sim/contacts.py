"""Contacts between things, robot and table, by name."""

from __future__ import annotations

import mujoco
import numpy as np
from numpy.typing import NDArray

from hamster.sim.scene import Scene

ROBOT = "robot"
TABLE = "table"


class Contacts:
    """Reads a model's contacts as pairs of owners: a thing's name, "robot", or "table" (and the floor)."""

    def __init__(self, model: mujoco.MjModel, scene: Scene) -> None:
        names = {thing.name for thing in scene.things}
        roots = [model.body(root).name for root in model.body_rootid[model.geom_bodyid]]
        bodies = model.geom_bodyid
        self._owners: NDArray[np.object_] = np.array(
            [
                root if root in names else TABLE if body == 0 else ROBOT
                for root, body in zip(roots, bodies, strict=True)
            ],
            dtype=object,
        )
        self._bodies = bodies

    def of(self, data: mujoco.MjData, name: str) -> set[str]:
        """Return the owners that the thing of this name touches."""
        pairs = self._owners[data.contact.geom].tolist() if data.ncon else []
        return {other for pair in pairs if name in pair for other in pair} - {name}

    def robot_bodies(self, data: mujoco.MjData, name: str) -> set[int]:
        """Return the ids of the robot's bodies (palm, fingers …) that touch the thing of this name."""
        geoms = data.contact.geom if data.ncon else np.zeros((0, 2), int)
        touching = set()
        for a, b in geoms.tolist():
            for mine, other in ((a, b), (b, a)):
                if self._owners[mine] == name and self._owners[other] == ROBOT:
                    touching.add(int(self._bodies[other]))
        return touching
