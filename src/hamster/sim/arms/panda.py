"""A Franka Emika Panda by its published kinematics, drawn with primitives.

Lengths and joint limits: Franka Control Interface documentation, "Denavit-Hartenberg parameters" and "Limits".
"""

from __future__ import annotations

from math import pi
from typing import Any

import mujoco

from hamster.sim.arms.arm import Arm
from hamster.sim.arms.parts import box, capsule, cylinder, drive, hinge, link, slide

WHITE = (0.93, 0.93, 0.94, 1.0)
GREY = (0.55, 0.57, 0.60, 1.0)
DARK = (0.16, 0.17, 0.19, 1.0)
TIP_M = 0.1034
FINGER_M = 0.04

# Per joint: position and turn about x of its link in the previous one, limits (rad), servo stiffness (Nm/rad).
CHAIN = (
    ((0.0, 0.0, 0.333), 0.0, (-2.8973, 2.8973), 9000.0),
    ((0.0, 0.0, 0.0), -pi / 2, (-1.7628, 1.7628), 9000.0),
    ((0.0, -0.316, 0.0), pi / 2, (-2.8973, 2.8973), 7000.0),
    ((0.0825, 0.0, 0.0), pi / 2, (-3.0718, -0.0698), 7000.0),
    ((-0.0825, 0.384, 0.0), -pi / 2, (-2.8973, 2.8973), 4000.0),
    ((0.0, 0.0, 0.0), pi / 2, (-0.0175, 3.7525), 4000.0),
    ((0.088, 0.0, 0.0), pi / 2, (-2.8973, 2.8973), 4000.0),
)
MASS_KG = (2.5, 2.5, 2.0, 2.0, 1.5, 1.0, 0.6)


def _add(spec: mujoco.MjSpec, look: int) -> None:
    """Add base, seven links, hand and fingers; the Panda has one look only."""
    body = link(spec.worldbody, "base")
    _draw_base(body)
    for i, (pos, turn, limits, stiffness) in enumerate(CHAIN):
        body = link(body, f"link{i + 1}", pos, turn, MASS_KG[i])
        hinge(body, f"joint{i + 1}", *limits)
        drive(spec, f"joint{i + 1}", stiffness, 0.03 * stiffness, 300.0)
        _DRAW[i](body)
    _add_hand(spec, body)


def _draw_base(body: Any) -> None:
    cylinder(body, (0, 0, 0), (0, 0, 0.02), 0.095, DARK)
    cylinder(body, (0, 0, 0.02), (0, 0, 0.15), 0.075, WHITE)
    capsule(body, (-0.11, 0, 0.055), (-0.03, 0, 0.055), 0.05, WHITE)


def _draw_1(body: Any) -> None:
    cylinder(body, (0, 0, -0.183), (0, 0, -0.17), 0.068, GREY)
    capsule(body, (0, 0, -0.14), (0, 0, -0.02), 0.064, WHITE)


def _draw_2(body: Any) -> None:
    cylinder(body, (0, 0, -0.072), (0, 0, 0.072), 0.064, WHITE)
    cylinder(body, (0, 0, -0.077), (0, 0, 0.077), 0.052, GREY)
    capsule(body, (0, -0.04, 0), (0, -0.14, 0), 0.059, WHITE)


def _draw_3(body: Any) -> None:
    cylinder(body, (0, 0, -0.125), (0, 0, -0.113), 0.062, GREY)
    capsule(body, (0, 0, -0.07), (0.05, 0, -0.02), 0.058, WHITE)


def _draw_4(body: Any) -> None:
    cylinder(body, (0, 0, -0.066), (0, 0, 0.066), 0.058, WHITE)
    cylinder(body, (0, 0, -0.071), (0, 0, 0.071), 0.047, GREY)
    capsule(body, (-0.02, 0.03, 0), (-0.0825, 0.09, 0), 0.056, WHITE)


def _draw_5(body: Any) -> None:
    cylinder(body, (0, 0, -0.258), (0, 0, -0.246), 0.060, GREY)
    capsule(body, (0, 0.005, -0.21), (0, 0.045, -0.06), 0.050, WHITE)
    capsule(body, (0, 0.05, -0.06), (0, 0.03, 0), 0.046, WHITE)


def _draw_6(body: Any) -> None:
    cylinder(body, (0, 0, -0.058), (0, 0, 0.066), 0.050, WHITE)
    cylinder(body, (0, 0, 0.0), (0, 0, 0.071), 0.040, GREY)
    capsule(body, (0.03, 0, 0.005), (0.088, 0, 0.005), 0.047, WHITE)


def _draw_7(body: Any) -> None:
    cylinder(body, (0, 0, 0.05), (0, 0, 0.094), 0.046, WHITE)
    cylinder(body, (0, 0, 0.094), (0, 0, 0.107), 0.040, DARK)


_DRAW = (_draw_1, _draw_2, _draw_3, _draw_4, _draw_5, _draw_6, _draw_7)


def _add_hand(spec: mujoco.MjSpec, flange: Any) -> None:
    """Add the hand, turned by -45 degrees about the flange's axis; its fingers slide along y."""
    body = link(flange, "hand", (0, 0, 0.107), mass=0.7)
    body.quat = [0.9238795, 0, 0, -0.3826834]
    box(body, (0, 0, 0.026), (0.030, 0.100, 0.026), WHITE, touches=True)
    box(body, (0, 0, 0.055), (0.024, 0.096, 0.003), DARK, touches=True)
    body.add_site(name="tool", pos=[0, 0, TIP_M], size=[0.003, 0, 0], group=4)
    for name, side in (("gripper_left", 1), ("gripper_right", -1)):
        _add_finger(spec, body, name, side)
    _couple(spec)


def _add_finger(spec: mujoco.MjSpec, hand: Any, name: str, side: int) -> None:
    finger = link(hand, f"{name}_finger", (0, 0, 0.0584), mass=0.05)
    slide(finger, name, 0.0, FINGER_M, (0, side, 0), armature=0.5)
    drive(spec, name, 800.0, 60.0, 12.0)
    box(finger, (0, side * 0.0135, 0.0225), (0.012, 0.0045, 0.0225), GREY, touches=True)
    # The pad is two boxes, one above the other, so that round things touch it at two heights and cannot tilt. It is
    # narrower than the finger: the front of the closed hand is a groove, in which a pushed cylinder stays centred.
    pad = {"touches": True, "friction": [1.5, 0.05, 0.002], "condim": 6, "priority": 1, "solref": [0.008, 1.0]}
    box(finger, (0, side * 0.0045, 0.0280), (0.008, 0.0045, 0.0060), DARK, **pad)
    box(finger, (0, side * 0.0045, 0.0395), (0.008, 0.0045, 0.0055), DARK, **pad)


def _couple(spec: mujoco.MjSpec) -> None:
    """Both fingers move alike, as on the real hand: a squeezed thing is centred instead of pushed around."""
    equal = spec.add_equality(type=mujoco.mjtEq.mjEQ_JOINT, name1="gripper_left", name2="gripper_right")
    equal.data[:5] = [0, 1, 0, 0, 0]
    equal.solref = [0.005, 1.0]


PANDA = Arm(
    name="panda",
    joints=tuple(f"joint{i + 1}" for i in range(7)),
    home=(0.0, -0.20, 0.0, -2.20, 0.0, 2.00, pi / 4),
    max_opening_m=2 * FINGER_M,
    grasp="friction",
    gripper=(("gripper_left", 0.0, FINGER_M), ("gripper_right", 0.0, FINGER_M)),
    add=_add,
)
