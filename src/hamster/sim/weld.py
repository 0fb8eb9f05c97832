"""A grasp without friction: closing the gripper near a thing binds it to the hand, opening lets it go."""

from __future__ import annotations

import mujoco
import numpy as np

from hamster.geometry import inverse, pose, quaternion_from_matrix
from hamster.sim.scene import Scene, Thing

NAME = "grasp"
REACH_M = 0.015


def add_weld(spec: mujoco.MjSpec) -> None:
    """Add the constraint, inactive; the held thing is written into the model when the gripper closes."""
    spec.add_equality(
        type=mujoco.mjtEq.mjEQ_WELD, objtype=mujoco.mjtObj.mjOBJ_BODY, name=NAME, name1="hand", active=False,
        solref=[0.01, 1.0],
    )  # fmt: skip


def held(model: mujoco.MjModel, data: mujoco.MjData) -> str | None:
    """Return the name of the thing that is bound to the hand."""
    weld = model.equality(NAME).id
    return str(model.body(model.eq_obj2id[weld]).name) if data.eq_active[weld] else None


def update(model: mujoco.MjModel, data: mujoco.MjData, scene: Scene, closed: bool) -> None:
    """Bind the thing within reach when the gripper closes, release it when it opens.

    Args:
        model: changed in place.
        data: changed in place.
        scene: of the model.
        closed: commanded state of the gripper.
    """
    weld = model.equality(NAME).id
    if not closed:
        data.eq_active[weld] = 0
    elif not data.eq_active[weld]:
        thing = _within_reach(data, scene)
        if thing is not None:
            _bind(model, data, weld, thing.name)


def _within_reach(data: mujoco.MjData, scene: Scene) -> Thing | None:
    tip = data.site("tool").xpos
    near = []
    for thing in scene.things:
        centre = data.body(thing.name).xpos + data.body(thing.name).xmat.reshape(3, 3) @ [0, 0, thing.size[2] / 2]
        flat, high = float(np.hypot(*(tip - centre)[:2])), abs(float(tip[2] - centre[2]))
        if thing.graspable and thing.movable and flat < min(thing.size[:2]) / 2 and high < thing.size[2] / 2 + REACH_M:
            near.append((flat, thing.name))
    return scene.thing(min(near)[1]) if near else None


def _bind(model: mujoco.MjModel, data: mujoco.MjData, weld: int, name: str) -> None:
    hand, body = data.body("hand"), data.body(name)
    hand_from_thing = inverse(pose(hand.xpos, hand.xmat.reshape(3, 3))) @ pose(body.xpos, body.xmat.reshape(3, 3))
    model.eq_obj2id[weld] = model.body(name).id
    relative = [*hand_from_thing[:3, 3], *quaternion_from_matrix(hand_from_thing[:3, :3])]
    model.eq_data[weld, :11] = [0, 0, 0, *relative, 1]  # later releases of MuJoCo have more, whose defaults stay
    data.eq_active[weld] = 1
