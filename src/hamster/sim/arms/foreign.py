"""Arms that look and move like anything but the Panda, for off-domain data. Colours and girths come from `look`."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import cos, pi, sin
from typing import Any

import mujoco
import numpy as np

from hamster.sim.arms.arm import Arm
from hamster.sim.arms.parts import Body, Vec, box, capsule, cylinder, drive, ellipsoid, hinge, link, slide

Rgba = tuple[float, float, float, float]
STIFFNESS, LIMIT_N = 6000.0, 400.0
TIP_M = 0.11
OPEN_M = 0.045


class Look:
    """Random colours and girths; never the Panda's white and light grey."""

    def __init__(self, look: int) -> None:
        self.rng = np.random.default_rng(look)
        self.link, self.joint, self.finger = self._colour(), self._colour(), self._colour()
        self.girth = float(self.rng.uniform(0.75, 1.3))
        self.boxy = bool(self.rng.random() < 0.5)

    def _colour(self) -> Rgba:
        if self.rng.random() < 0.35:
            grey = self.rng.uniform(0.05, 0.42)
            return (grey, grey, grey * self.rng.uniform(0.95, 1.1), 1.0)
        red, green, blue = self.rng.dirichlet((0.7, 0.7, 0.7)) * self.rng.uniform(0.5, 1.4)
        return (min(red, 1.0), min(green, 1.0), min(blue, 1.0), 1.0)

    def beam(self, body: Body, length: float, radius: float, rgba: Rgba | None = None) -> None:
        """Add a link along z, as a box or as a capsule."""
        radius *= self.girth
        if self.boxy:
            box(body, (0, 0, length / 2), (radius, radius * 0.8, length / 2), rgba or self.link)
        else:
            capsule(body, (0, 0, 0), (0, 0, length), radius, rgba or self.link)

    def knuckle(self, body: Body, radius: float) -> None:
        """Add a joint's housing, across y."""
        radius *= self.girth
        cylinder(body, (0, -1.3 * radius, 0), (0, 1.3 * radius, 0), radius, self.joint)


def _axis_joint(spec: mujoco.MjSpec, body: Body, name: str, axis: str, low: float, high: float) -> None:
    hinge(body, name, low, high, {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1)}[axis])
    drive(spec, name, STIFFNESS, 0.04 * STIFFNESS, LIMIT_N)


def _slide_joint(spec: mujoco.MjSpec, body: Body, name: str, axis: Vec, low: float, high: float) -> None:
    slide(body, name, low, high, axis, armature=1.0)
    drive(spec, name, 20 * STIFFNESS, STIFFNESS, 20 * LIMIT_N)


def _jaws(spec: mujoco.MjSpec, hand: Body, look: Look) -> None:
    """Two or three thin fingers that slide or close on the tool's axis."""
    hand.add_site(name="tool", pos=[0, 0, TIP_M], size=[0.003, 0, 0], group=4)
    width = float(look.rng.uniform(0.03, 0.06))
    box(hand, (0, 0, 0.02), (0.02, width, 0.02), look.joint, touches=True)
    thick = float(look.rng.uniform(0.005, 0.011))
    round_ = look.rng.random() < 0.5
    for name, side in (("gripper_left", 1), ("gripper_right", -1)):
        finger = link(hand, f"{name}_finger", (0, 0, 0.04), mass=0.05)
        slide(finger, name, 0.0, OPEN_M, (0, side, 0), armature=0.3)
        drive(spec, name, 800.0, 60.0, 12.0)
        if round_:
            capsule(
                finger, (0, side * thick, 0), (0, side * thick, TIP_M - 0.04 - thick), thick, look.finger, touches=True
            )
        else:
            half = (0.009, thick, (TIP_M - 0.04) / 2)
            box(finger, (0, side * thick, half[2]), half, look.finger, touches=True)


def _cup(spec: mujoco.MjSpec, hand: Body, look: Look) -> None:
    """Add a suction cup: one stalk and a bell; what it "opens" is a valve that nobody sees."""
    hand.add_site(name="tool", pos=[0, 0, TIP_M], size=[0.003, 0, 0], group=4)
    capsule(hand, (0, 0, 0), (0, 0, TIP_M - 0.025), 0.012, look.joint)
    valve = link(hand, "gripper_valve", (0, 0, TIP_M - 0.028), mass=0.05)
    slide(valve, "gripper_valve", 0.0, 0.004, (0, 0, -1), armature=0.3)
    drive(spec, "gripper_valve", 800.0, 60.0, 12.0)
    cylinder(valve, (0, 0, 0), (0, 0, 0.012), 0.014, look.finger, touches=True)
    cylinder(valve, (0, 0, 0.012), (0, 0, 0.024), 0.02, look.finger, touches=True)


JAWS = (("gripper_left", 0.0, OPEN_M), ("gripper_right", 0.0, OPEN_M))
VALVE = (("gripper_valve", 0.0, 0.004),)
Tool = Callable[[mujoco.MjSpec, Body, Look], None]


def _elbow(
    spec: mujoco.MjSpec, seed: int, *, base: Vec, turn: float, lengths: tuple[float, float, float], roll: bool,
    tool: Tool,
) -> None:  # fmt: skip
    """Pan, lift, elbow, (forearm roll,) wrist pitch, tool roll."""
    look = Look(seed)
    height, upper, fore = lengths
    root = spec.worldbody.add_body(name="base", pos=list(base), quat=[cos(turn / 2), 0, 0, sin(turn / 2)], gravcomp=1)
    cylinder(root, (0, 0, 0), (0, 0, height * 0.5), 0.08 * look.girth, look.joint)
    shoulder = link(root, "shoulder", (0, 0, height))
    _axis_joint(spec, shoulder, "joint1", "z", -2.9, 2.9)
    cylinder(shoulder, (0, 0, -height * 0.5), (0, 0, 0), 0.06 * look.girth, look.link)
    arm = link(shoulder, "upper")
    _axis_joint(spec, arm, "joint2", "y", -1.6, 2.0)
    look.knuckle(arm, 0.06)
    look.beam(arm, upper, 0.045)
    elbow = link(arm, "fore", (0, 0, upper))
    _axis_joint(spec, elbow, "joint3", "y", 0.05, 2.8)
    look.knuckle(elbow, 0.05)
    look.beam(elbow, fore * (0.6 if roll else 1.0), 0.036)
    n = 4
    if roll:
        elbow = link(elbow, "roll", (0, 0, fore * 0.6))
        _axis_joint(spec, elbow, f"joint{n}", "z", -2.9, 2.9)
        look.beam(elbow, fore * 0.4, 0.03, look.joint)
        fore, n = fore * 0.4, n + 1
    wrist = link(elbow, "wrist", (0, 0, fore))
    _axis_joint(spec, wrist, f"joint{n}", "y", -1.0, 3.0)
    look.knuckle(wrist, 0.04)
    look.beam(wrist, 0.05, 0.03)
    hand = link(wrist, "hand", (0, 0, 0.06))
    _axis_joint(spec, hand, f"joint{n + 1}", "z", -3.1, 3.1)
    tool(spec, hand, look)


def _scara(spec: mujoco.MjSpec, seed: int) -> None:
    """Add a column, two links in the horizontal plane, a quill that goes down."""
    look = Look(seed)
    root = spec.worldbody.add_body(name="base", gravcomp=1)
    cylinder(root, (0, 0, 0), (0, 0, 0.5), 0.06 * look.girth, look.joint)
    first = link(root, "first", (0, 0, 0.53))
    _axis_joint(spec, first, "joint1", "z", -2.5, 2.5)
    box(first, (0.21, 0, 0), (0.24, 0.05 * look.girth, 0.03), look.link)
    second = link(first, "second", (0.42, 0, 0.06))
    _axis_joint(spec, second, "joint2", "z", -2.6, 2.6)
    box(second, (0.19, 0, 0), (0.22, 0.04 * look.girth, 0.03), look.link)
    quill = link(second, "quill", (0.38, 0, 0.0))
    _slide_joint(spec, quill, "joint3", (0, 0, -1), 0.0, 0.5)
    cylinder(quill, (0, 0, 0.35), (0, 0, -0.06), 0.02, look.finger)
    hand = quill.add_body(name="hand", pos=[0, 0, -0.06], quat=[0, 1, 0, 0], gravcomp=1)
    hand.mass, hand.inertia, hand.ipos, hand.explicitinertial = 0.5, [0.003] * 3, [0.0, 0.0, 0.0], True
    _axis_joint(spec, hand, "joint4", "z", -3.1, 3.1)
    _jaws(spec, hand, look)


def _floating(spec: mujoco.MjSpec, draw: Callable[[Body, Look], None], seed: int, tool: Tool) -> None:
    """Three slides and a yaw: a gantry, or a hand that somebody out of the picture moves."""
    look = Look(seed)
    body = spec.worldbody.add_body(name="base", gravcomp=1)
    for i, (name, axis, low, high) in enumerate(
        (("rail_x", (1, 0, 0), -0.2, 1.2), ("rail_y", (0, 1, 0), -0.9, 0.9), ("rail_z", (0, 0, 1), 0.0, 0.9))
    ):
        body = link(body, name)
        _slide_joint(spec, body, f"joint{i + 1}", axis, low, high)
    draw(body, look)
    hand = body.add_body(name="hand", quat=[0, 1, 0, 0], gravcomp=1)
    hand.mass, hand.inertia, hand.ipos, hand.explicitinertial = 0.5, [0.003] * 3, [0.0, 0.0, 0.0], True
    _axis_joint(spec, hand, "joint4", "z", -3.1, 3.1)
    tool(spec, hand, look)


def _draw_gantry(body: Body, look: Look) -> None:
    box(body, (0, 0, 0.3), (0.022 * look.girth, 0.022 * look.girth, 0.3), look.link)
    box(body, (0, 0, 0.62), (0.04, 1.2, 0.025), look.joint)


SKINS: tuple[Rgba, ...] = (
    (0.96, 0.80, 0.69, 1.0),
    (0.87, 0.67, 0.53, 1.0),
    (0.72, 0.51, 0.37, 1.0),
    (0.50, 0.33, 0.23, 1.0),
    (0.33, 0.21, 0.15, 1.0),
)


def _draw_forearm(body: Body, look: Look) -> None:
    """Add a wrist, a forearm and a sleeve, from any side but low."""
    look.link = look.finger = SKINS[int(look.rng.integers(len(SKINS)))]
    azimuth, lift = look.rng.uniform(-pi, pi), look.rng.uniform(0.4, 1.1)
    along = np.array([cos(azimuth) * cos(lift), sin(azimuth) * cos(lift), sin(lift)])
    capsule(body, (0, 0, 0.0), tuple(along * 0.22), 0.028 * look.girth, look.link)
    capsule(body, tuple(along * 0.22), tuple(along * 0.7), 0.042 * look.girth, look.joint)


def _fingers(spec: mujoco.MjSpec, hand: Body, look: Look) -> None:
    """Add a palm, four fingers on one side and a thumb on the other, that close by turning inwards."""
    hand.add_site(name="tool", pos=[0, 0, TIP_M], size=[0.003, 0, 0], group=4)
    ellipsoid(hand, (0, 0, 0.02), (0.042, 0.032, 0.032), look.link, touches=True)
    for name, side, roots in (("gripper_left", 1, (-0.033, -0.011, 0.011, 0.033)), ("gripper_right", -1, (-0.012,))):
        group = link(hand, f"{name}_finger", (0, side * 0.025, 0.03), mass=0.05)
        hinge(group, name, 0.0, 0.6, (-side, 0, 0), armature=0.02)
        drive(spec, name, 20.0, 1.0, 5.0)
        for x in roots:
            middle, tip = (x, side * 0.012, 0.045), (x * 0.7, -side * 0.018, 0.078)
            capsule(group, (x, 0, 0), middle, 0.0085, look.finger, touches=True)
            capsule(group, middle, tip, 0.0078, look.finger, touches=True)


def _arm(name: str, n: int, home: tuple[float, ...], gripper: tuple[tuple[str, float, float], ...], add: Any) -> Arm:
    return Arm(name, tuple(f"joint{i + 1}" for i in range(n)), home, 2 * OPEN_M, "weld", gripper, add)


FOREIGN = (
    _arm(
        "elbow6", 6, (0.0, 0.2, 1.7, 0.0, 1.2, 0.0), JAWS,
        partial(_elbow, base=(0.0, 0.0, 0.0), turn=0.0, lengths=(0.2, 0.42, 0.42), roll=True, tool=_jaws),
    ),
    _arm(
        "slim5", 5, (0.0, 0.2, 1.7, 1.2, 0.0), JAWS,
        partial(_elbow, base=(0.02, 0.05, 0.0), turn=0.0, lengths=(0.12, 0.40, 0.40), roll=False, tool=_jaws),
    ),
    _arm(
        "side6", 6, (0.0, 0.2, 1.7, 0.0, 1.2, 0.0), VALVE,
        partial(_elbow, base=(0.42, -0.55, 0.0), turn=pi / 2, lengths=(0.25, 0.45, 0.45), roll=True, tool=_cup),
    ),
    _arm("scara", 4, (0.4, 0.6, 0.15, 0.0), JAWS, _scara),
    _arm("gantry", 4, (0.45, 0.0, 0.35, 0.0), JAWS, lambda spec, look: _floating(spec, _draw_gantry, look, _jaws)),
    _arm(
        "hand", 4, (0.45, 0.0, 0.35, 0.0), (("gripper_left", 0.6, 0.0), ("gripper_right", 0.6, 0.0)),
        lambda spec, look: _floating(spec, _draw_forearm, look, _fingers),
    ),
)  # fmt: skip
"""The off-domain arms; what they grasp is welded to the tool, so that any gripper can hold any thing."""
