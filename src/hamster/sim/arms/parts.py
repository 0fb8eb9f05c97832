"""Building blocks of arms: links, joints, position drives, and geoms that collide with things only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np

Vec = Sequence[float]
# An arm's geoms answer to the things' contact type but have none themselves: so no arm ever collides with itself.
TOUCHES_THINGS = {"contype": 0, "conaffinity": 1}
LOOKS_ONLY = {"contype": 0, "conaffinity": 0}
Body = Any


def capsule(body: Body, start: Vec, end: Vec, radius: float, rgba: Vec, **more: Any) -> None:
    """Add a capsule from start to end (metres, the body's frame)."""
    _add(body, mujoco.mjtGeom.mjGEOM_CAPSULE, rgba, size=[radius, 0, 0], fromto=[*start, *end], **more)


def cylinder(body: Body, start: Vec, end: Vec, radius: float, rgba: Vec, **more: Any) -> None:
    """Add a cylinder from start to end."""
    _add(body, mujoco.mjtGeom.mjGEOM_CYLINDER, rgba, size=[radius, 0, 0], fromto=[*start, *end], **more)


def box(body: Body, centre: Vec, half_size: Vec, rgba: Vec, **more: Any) -> None:
    """Add a box of these half sizes."""
    _add(body, mujoco.mjtGeom.mjGEOM_BOX, rgba, size=list(half_size), pos=list(centre), **more)


def ellipsoid(body: Body, centre: Vec, half_size: Vec, rgba: Vec, **more: Any) -> None:
    """Add an ellipsoid of these half axes."""
    _add(body, mujoco.mjtGeom.mjGEOM_ELLIPSOID, rgba, size=list(half_size), pos=list(centre), **more)


def _add(body: Body, shape: Any, rgba: Vec, *, touches: bool = False, **more: Any) -> None:
    """Add a geom without mass: each link states its own inertia."""
    flags = TOUCHES_THINGS if touches else LOOKS_ONLY
    body.add_geom(type=shape, rgba=list(rgba), mass=0, **flags, **more)


def link(parent: Body, name: str, pos: Vec = (0, 0, 0), euler_x: float = 0.0, mass: float = 2.0) -> Body:
    """Add a child body, turned about its parent's x axis, that gravity does not pull (arms compensate their weight)."""
    half = euler_x / 2
    body = parent.add_body(name=name, pos=list(pos), quat=[np.cos(half), np.sin(half), 0, 0], gravcomp=1)
    set_inertia(body, mass)
    return body


def hinge(body: Body, name: str, low: float, high: float, axis: Vec = (0, 0, 1), armature: float = 0.1) -> None:
    """Add a limited revolute joint."""
    kind = mujoco.mjtJoint.mjJNT_HINGE
    body.add_joint(name=name, type=kind, axis=list(axis), range=[low, high], limited=1, armature=armature)


def slide(body: Body, name: str, low: float, high: float, axis: Vec, armature: float = 0.1) -> None:
    """Add a limited prismatic joint."""
    kind = mujoco.mjtJoint.mjJNT_SLIDE
    body.add_joint(name=name, type=kind, axis=list(axis), range=[low, high], limited=1, armature=armature)


def drive(spec: mujoco.MjSpec, joint: str, stiffness: float, damping: float, limit: float) -> None:
    """Add a position servo of the joint's own name: force = stiffness (ctrl - q) - damping dq, within ±limit."""
    spec.add_actuator(
        name=joint,
        target=joint,
        trntype=mujoco.mjtTrn.mjTRN_JOINT,
        gaintype=mujoco.mjtGain.mjGAIN_FIXED,
        biastype=mujoco.mjtBias.mjBIAS_AFFINE,
        gainprm=[stiffness] + [0] * 9,
        biasprm=[0, -stiffness, -damping] + [0] * 7,
        forcerange=[-limit, limit],
        forcelimited=1,
    )


def set_inertia(body: Body, mass: float) -> None:
    """States the body's inertia, a ball's, so that its looks do not decide it."""
    body.mass, body.inertia, body.ipos, body.explicitinertial = mass, [0.005 * mass] * 3, [0.0, 0.0, 0.0], True
