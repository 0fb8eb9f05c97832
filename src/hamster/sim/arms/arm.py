"""An arm: its joints, its gripper, and a function that adds it to a MuJoCo spec."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import mujoco


@dataclass(frozen=True)
class Arm:
    """An arm whose base stands at the world's origin, facing +x.

    `attach` adds a site "tool" (origin at the tip, z out of the gripper, the fingers open along y), a body "hand" to
    mount a camera on, joints and position actuators of the same names, and the gripper's actuators.

    Attributes:
        name: its key in `ARMS`.
        joints: names of the arm's joints, base first; an actuator of the same name holds each.
        home: joint angles (rad; m where they slide) of a relaxed pose with the tool pointing down over the table.
        max_opening_m: distance between the open fingers.
        grasp: "friction" where the fingers hold by physics alone, "weld" where closing near a thing binds it.
        gripper: (actuator and joint name, position when closed, position when open) of each finger drive.
        add: adds the arm to a spec; the integer chooses colours.
    """

    name: str
    joints: tuple[str, ...]
    home: tuple[float, ...]
    max_opening_m: float
    grasp: Literal["friction", "weld"]
    gripper: tuple[tuple[str, float, float], ...]
    add: Callable[[mujoco.MjSpec, int], None]

    def attach(self, spec: mujoco.MjSpec, look: int = 0) -> None:
        """Add the arm to the spec's world body; angles of the whole spec are in radians from here on."""
        spec.compiler.degree = False
        self.add(spec, look)

    def gripper_ctrl(self, opening: float) -> tuple[float, ...]:
        """Return control values of the gripper's actuators for an opening from 0 (closed) to 1 (open)."""
        opening = min(max(opening, 0.0), 1.0)
        return tuple(closed + opening * (wide - closed) for _, closed, wide in self.gripper)
