"""Simulation of a scene: model, state, and the arm's controller."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import mujoco
import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.data import Observation
from hamster.geometry import pose
from hamster.geometry.keypose_motion import CONTROL_DT_S, down_pose
from hamster.sim import weld
from hamster.sim.arms import ARMS
from hamster.sim.build import build
from hamster.sim.contacts import ROBOT, Contacts
from hamster.sim.ik import Ik
from hamster.sim.scene import Scene

if TYPE_CHECKING:
    from hamster.sim.render import Renderer

Array = NDArray[np.float64]
SETTLE_STEPS = 8
_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


@dataclass(frozen=True, eq=False)
class Snapshot:
    """A state of a world that can be restored."""

    physics: Array
    joints: Array
    pressed_m: dict[str, float]
    bound: tuple[NDArray[np.int32], Array]


class World:
    """Simulates one scene; a control step lasts 0.05 s.

    Args:
        scene: what to simulate.
        image_size: height and width of the images, pixels.
    """

    def __init__(self, scene: Scene, image_size: int = 256) -> None:
        self.scene, self.image_size = scene, image_size
        self.arm = ARMS[scene.arm]
        self.model = build(scene)
        self.data = mujoco.MjData(self.model)
        self._substeps = round(CONTROL_DT_S / self.model.opt.timestep)
        self._ik = Ik(self.model, self.arm)
        self._ctrl = np.array([self.model.actuator(name).id for name in self.arm.joints])
        self._qpos = np.array([self.model.joint(name).qposadr[0] for name in self.arm.joints])
        self._fingers = [self.model.joint(name).qposadr[0] for name, _, _ in self.arm.gripper]
        self._finger_ctrl = [self.model.actuator(name).id for name, _, _ in self.arm.gripper]
        self._tool = self.model.site("tool").id
        self._contacts = Contacts(self.model, scene)
        self._renderer: Renderer | None = None
        self.pressed_m: dict[str, float] = {}
        self.reset()

    def reset(self) -> None:
        """Reset to the start of the scene: the tool at its start pose, open, and the things at rest."""
        mujoco.mj_resetData(self.model, self.data)
        self.pressed_m = {thing.name: 0.0 for thing in self.scene.things if thing.button}
        *position, yaw = self.scene.start_tool
        start = down_pose(position, yaw)
        self._joints = self._ik.solve(start, self.arm.home, 200)
        self.data.qpos[self._qpos] = self._joints
        self.data.qpos[self._fingers] = self.arm.gripper_ctrl(1.0)
        self.data.ctrl[self._ctrl] = self._joints
        for _ in range(SETTLE_STEPS):
            self.step(start, 1.0)
        self.data.time = 0.0
        self.clear_presses()

    def step(self, tool_pose_world: ArrayLike, gripper_opening: float) -> None:
        """Run one control step towards a tool pose (4, 4) and a gripper opening, 0 closed to 1 open."""
        before, self._joints = self._joints, self._ik.solve(tool_pose_world, self._joints)
        self.data.ctrl[self._finger_ctrl] = self.arm.gripper_ctrl(gripper_opening)
        if self.arm.grasp == "weld":
            weld.update(self.model, self.data, self.scene, gripper_opening < 0.5)
        # The servos' targets move on evenly between two commands, so that the arm neither jerks nor lags.
        for part in np.arange(1, self._substeps + 1) / self._substeps:
            self.data.ctrl[self._ctrl] = before + part * (self._joints - before)
            mujoco.mj_step(self.model, self.data)
        for name, deepest in self.pressed_m.items():
            self.pressed_m[name] = max(deepest, -float(self.data.joint(f"{name}_slide").qpos[0]))

    def observe(self, cameras: Iterable[str] = ("front", "wrist")) -> Observation:
        """Render these cameras and read the robot's state."""
        renderer = self.renderer
        mujoco.mj_forward(self.model, self.data)
        views = {name: renderer.render(self.data, name) for name in cameras}
        return Observation(views, self.tool_pose_world, self.gripper_opening, self.time_s)

    @property
    def renderer(self) -> Renderer:
        """The renderer, made on first use: physics alone needs no graphics."""
        if self._renderer is None:
            from hamster.sim.render import Renderer

            self._renderer = Renderer(self.model, self.image_size, self.image_size)
        return self._renderer

    @property
    def tool_pose_world(self) -> Array:
        """The measured tool pose (4, 4)."""
        return _pose(self.data.site_xpos[self._tool], self.data.site_xmat[self._tool])

    @property
    def gripper_opening(self) -> float:
        """The measured opening, 0 closed to 1 open."""
        parts = [
            (self.data.qpos[address] - closed) / (wide - closed)
            for address, (_, closed, wide) in zip(self._fingers, self.arm.gripper, strict=True)
        ]
        return float(np.clip(np.mean(parts), 0.0, 1.0))

    @property
    def gripper_open(self) -> bool:
        """The commanded state; a gripper closed on a wide thing measures half open."""
        finger, (_, closed, wide) = self._finger_ctrl[0], self.arm.gripper[0]
        return bool((self.data.ctrl[finger] - closed) / (wide - closed) > 0.5)

    @property
    def time_s(self) -> float:
        """Simulated seconds since the start."""
        return float(self.data.time)

    def thing_pose(self, name: str) -> Array:
        """Return world_from_thing (4, 4); a thing's origin is the centre of its foot."""
        body = self.data.body(self.scene.thing(name).name)
        return _pose(body.xpos, body.xmat)

    def shift(self, name: str, xy: tuple[float, float]) -> None:
        """Move a thing at once to another place (metres) on the table, at rest, as high and turned as it was."""
        body = self.model.body(self.scene.thing(name).name)
        if mocap := int(body.mocapid[0]) + 1:
            self.data.mocap_pos[mocap - 1, :2] = xy
        else:
            joint = self.data.joint(f"{name}_free")
            joint.qpos[:2], joint.qvel[:] = xy, 0.0
        mujoco.mj_forward(self.model, self.data)

    def speed_m_s(self, name: str) -> float:
        """Return the speed of a thing's origin, plus its rotation at a lever of 3 cm."""
        velocity = np.zeros(6)
        body = self.model.body(name).id
        mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_BODY, body, velocity, 0)
        return float(np.linalg.norm(velocity[3:]) + 0.03 * np.linalg.norm(velocity[:3]))

    def touching(self, name: str) -> set[str]:
        """Return names of things, "robot" or "table", that the thing of this name touches now."""
        held = {ROBOT} if self.arm.grasp == "weld" and self.held_thing() == name else set()
        return self._contacts.of(self.data, name) | held

    @property
    def in_contact(self) -> bool:
        """Whether the robot, or what it holds, touches anything else now."""
        held = self.held_thing()
        others = self._contacts.of(self.data, ROBOT) - {held}
        return bool(others or (held is not None and self._contacts.of(self.data, held) - {ROBOT}))

    def held_thing(self) -> str | None:
        """Return the name of the held thing: welded to the hand, or touched by two bodies of the robot."""
        if self.arm.grasp == "weld":
            return weld.held(self.model, self.data)
        for thing in self.scene.things:
            if thing.movable and len(self._contacts.robot_bodies(self.data, thing.name)) >= 2:
                return thing.name
        return None

    def clear_presses(self) -> None:
        """Reset the recorded depth of all buttons."""
        self.pressed_m = dict.fromkeys(self.pressed_m, 0.0)

    def snapshot(self) -> Snapshot:
        """Return the present state."""
        physics = np.zeros(mujoco.mj_stateSize(self.model, _STATE))
        mujoco.mj_getState(self.model, self.data, physics, _STATE)
        bound = self.model.eq_obj2id.copy(), self.model.eq_data.copy()
        return Snapshot(physics, self._joints.copy(), dict(self.pressed_m), bound)

    def restore(self, snapshot: Snapshot) -> None:
        """Restore a state of this world."""
        mujoco.mj_setState(self.model, self.data, snapshot.physics, _STATE)
        self._joints, self.pressed_m = snapshot.joints.copy(), dict(snapshot.pressed_m)
        self.model.eq_obj2id[:], self.model.eq_data[:] = snapshot.bound
        mujoco.mj_forward(self.model, self.data)

    def state_sha256(self) -> str:
        """Return the digest of all joints' positions and velocities now, to their last bit."""
        return hashlib.sha256(np.concatenate([self.data.qpos, self.data.qvel]).tobytes()).hexdigest()

    def close(self) -> None:
        """Free the renderer."""
        if self._renderer is not None:
            self._renderer.close()
            self._renderer = None


def _pose(position: Array, rotation: Array) -> Array:
    return pose(position, rotation.reshape(3, 3))
