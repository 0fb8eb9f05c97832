"""Build a MuJoCo model from a `Scene` record."""

from __future__ import annotations

from copy import copy
from functools import lru_cache
from math import cos, sin
from typing import Any

import mujoco
import numpy as np

from hamster.geometry import look_at, quaternion_from_matrix
from hamster.sim import textures
from hamster.sim.arms import ARMS
from hamster.sim.scene import CameraSpec, Light, Part, Scene, Surface, Thing
from hamster.sim.weld import add_weld

GEOM_TYPES = {
    "box": mujoco.mjtGeom.mjGEOM_BOX,
    "cylinder": mujoco.mjtGeom.mjGEOM_CYLINDER,
    "sphere": mujoco.mjtGeom.mjGEOM_SPHERE,
    "capsule": mujoco.mjtGeom.mjGEOM_CAPSULE,
    "ellipsoid": mujoco.mjtGeom.mjGEOM_ELLIPSOID,
}
TIMESTEP_S = 0.005
# OpenCV axes (x right, y down, z forward) from MuJoCo's camera axes (x right, y up, z backward).
FLIP = np.diag([1.0, -1.0, -1.0])


def build(scene: Scene) -> mujoco.MjModel:
    """Return a model of a scene: table, arm, things, lights and cameras.

    The last few scenes are compiled once, since a sampler and the arms of a comparison simulate the same ones; each
    call returns a copy of its own.

    A thing's body carries its name; its free joint is "<name>_free", its geoms "<name>_0" …; a button's cap is the
    body "<name>_cap" on the joint "<name>_slide". What is not movable is a mocap body: nothing pushes it, `World.shift`
    moves it.
    """
    return copy(_compile(scene))


@lru_cache(maxsize=8)
def _compile(scene: Scene) -> mujoco.MjModel:
    spec = mujoco.MjSpec()
    spec.option.timestep = TIMESTEP_S
    spec.option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 10.0
    # One contact point per pair of convex shapes lets a cylinder rock and sink; four or five hold it.
    # Later releases of MuJoCo do so by default and have no such flag.
    spec.option.enableflags |= getattr(mujoco.mjtEnableBit, "mjENBL_MULTICCD", 0)
    spec.compiler.eulerseq = "XYZ"  # fixed axes: the rotation about z comes last
    spec.compiler.degree = False
    _visuals(spec, any(light.casts_shadow for light in scene.lights))
    _surroundings(spec, scene)
    ARMS[scene.arm].attach(spec, scene.arm_look)
    if ARMS[scene.arm].grasp == "weld":
        add_weld(spec)
    for thing in scene.things:
        _add_thing(spec, thing, scene)
    for light in scene.lights:
        _add_light(spec, light)
    for name, camera in scene.cameras.items():
        _add_camera(spec, name, camera)
    return spec.compile()


def _visuals(spec: mujoco.MjSpec, shadows: bool) -> None:
    # Off-screen cost is geometry, shadows and multi-sampling, not pixels: multi-sampling is off, shadows are optional.
    # MuJoCo's own size of a shadow map, 4096 pixels, makes most of what a rendering context costs.
    spec.visual.quality.shadowsize = 1024 if shadows else 0
    spec.visual.quality.offsamples = 0
    spec.visual.quality.numslices, spec.visual.quality.numstacks, spec.visual.quality.numquads = 16, 10, 1
    spec.visual.global_.offwidth = spec.visual.global_.offheight = 1024
    spec.visual.headlight.active = 0
    # Fixed clipping planes keep 24 bits of depth for the scene whatever its extent is.
    spec.stat.extent = 1.0
    spec.visual.map.znear, spec.visual.map.zfar = 0.02, 12.0


def _surroundings(spec: mujoco.MjSpec, scene: Scene) -> None:
    half_x, half_y = scene.table_half_size
    floor = _surface_material(spec, "floor", scene.floor)
    spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_BOX, size=[4, 4, 0.01], pos=[0, 0, -0.76], material=floor
    )
    table = _surface_material(spec, "table", scene.table)
    spec.worldbody.add_geom(
        name="table", type=mujoco.mjtGeom.mjGEOM_BOX, size=[half_x, half_y, 0.02], pos=[0.35, 0, -0.02],
        material=table, friction=[1.0 * scene.dynamics.friction, 0.005, 0.0002], condim=4,
    )  # fmt: skip
    for i, part in enumerate(scene.scenery):
        spec.worldbody.add_geom(
            name=f"scenery_{i}", type=GEOM_TYPES[part.shape], size=part.size, pos=part.pos, euler=part.euler,
            contype=0, conaffinity=0, **_look(spec, f"scenery_{i}", part),
        )  # fmt: skip


def _surface_material(spec: mujoco.MjSpec, name: str, look: Surface) -> str:
    return _material(spec, name, textures.surface(look))


def _material(spec: mujoco.MjSpec, name: str, image: textures.Image3) -> str:
    height, width = image.shape[:2]
    texture = spec.add_texture(name=name, type=mujoco.mjtTexture.mjTEXTURE_2D, width=width, height=height, nchannel=3)
    texture.data = image.tobytes()
    material = spec.add_material(name=name, specular=0.1, shininess=0.1)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name
    return name


def _add_thing(spec: mujoco.MjSpec, thing: Thing, scene: Scene) -> None:
    body = spec.worldbody.add_body(
        name=thing.name, pos=[*thing.xy, 0.0], quat=[cos(thing.yaw / 2), 0, 0, sin(thing.yaw / 2)],
        mocap=not thing.movable,
    )  # fmt: skip
    if thing.movable:
        body.add_freejoint(name=f"{thing.name}_free")
    for i, part in enumerate(thing.parts):
        owner = body
        if thing.button and i == len(thing.parts) - 1:
            owner = body.add_body(name=f"{thing.name}_cap")
            owner.add_joint(
                name=f"{thing.name}_slide", type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 0, 1],
                range=[-0.012, 0], limited=True, stiffness=120, damping=3, armature=0.01,
            )  # fmt: skip
        _add_part(spec, owner, f"{thing.name}_{i}", part, scene, conaffinity=0 if thing.button else 1)


def _add_part(spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, part: Part, scene: Scene, conaffinity: int) -> None:
    """Add a part; those of buttons (conaffinity 0) touch everything but each other: a cap slides into its housing."""
    body.add_geom(
        name=name, type=GEOM_TYPES[part.shape], size=part.size, pos=part.pos, euler=part.euler,
        density=part.density * scene.dynamics.mass, condim=6, conaffinity=conaffinity,
        friction=[0.9 * scene.dynamics.friction, 0.01, 0.002 if part.shape == "sphere" else 0.0005],
        **_look(spec, name, part),
    )  # fmt: skip


def _look(spec: mujoco.MjSpec, name: str, part: Part) -> dict[str, Any]:
    if part.texture is not None:
        return {"material": _material(spec, name, textures.mark(part.texture.removeprefix("mark:"), part.rgba[:3]))}
    if part.print is not None:
        return {"material": _material(spec, name, textures.surface(part.print, 96))}
    return {"rgba": part.rgba}


def _add_light(spec: mujoco.MjSpec, light: Light) -> None:
    is_directional: dict[str, Any] = {"directional": True}
    if hasattr(mujoco, "mjtLightType"):  # MuJoCo after 3.3.0
        is_directional = {"type": mujoco.mjtLightType.mjLIGHT_DIRECTIONAL}
    spec.worldbody.add_light(
        dir=light.direction, pos=[0, 0, 3], castshadow=light.casts_shadow,
        diffuse=light.diffuse, ambient=light.ambient, specular=[0.1, 0.1, 0.1], **is_directional,
    )  # fmt: skip


def _add_camera(spec: mujoco.MjSpec, name: str, camera: CameraSpec) -> None:
    """Add a world camera, or one fixed to the hand, whose frame has the tool's axes and its origin at the tip."""
    up = (0.0, 0.0, 1.0) if camera.mount == "world" else (-1.0, 0.0, 0.0)
    pose = look_at(camera.eye, camera.target, up)
    parent = spec.worldbody if camera.mount == "world" else spec.body("hand")
    position = np.asarray(camera.eye, float)
    if camera.mount == "tool":
        position = position + np.asarray(next(s for s in spec.sites if s.name == "tool").pos)
    quat = quaternion_from_matrix(pose[:3, :3] @ FLIP)
    parent.add_camera(name=name, pos=position, quat=quat, fovy=camera.fovy_deg)
