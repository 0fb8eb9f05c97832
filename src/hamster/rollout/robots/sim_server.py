"""The built-in tabletop as a robot behind a socket: `python -m hamster.rollout.robots.sim_server`.

One process is one robot. It reads its options from standard input as JSON, listens on 127.0.0.1, prints its port, and
takes two connections, each of which begins with a handshake (HMAC) over the key among the options. The first message of
a connection is its purpose:

- "commands": {"pose": (4, 4), "gripper_open": bool} sets the target; {"stop": True} stops, and is answered.
- "observations": {"number": n} is answered by an observation with that number, unless a fault is injected.

Messages are msgpack with arrays (`hamster_client.wire`), of bounded size. Without a command for `DEADMAN_S` the robot
holds its position by itself, as the controller of a real one does. The process ends with its connections.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from collections.abc import Callable
from multiprocessing.connection import Connection, Listener
from typing import Any

import numpy as np
from hamster_client import RequestError
from hamster_client.wire import pack, unpack
from numpy.typing import NDArray

from hamster.data import Observation
from hamster.geometry import quaternion_from_matrix
from hamster.geometry.keypose_motion import CONTROL_DT_S
from hamster.rollout.robots.sim_faults import Faults
from hamster.rollout.safety_checks import UnsafeActionError, is_rigid, numbers
from hamster.sim.tabletop.env import CAMERAS, TabletopEnv

MAX_COMMAND_BYTES = 1 << 12
DEADMAN_S = 0.2
Message = dict[str, Any]
Array = NDArray[np.float64]


class SimulatedRobot:
    """The simulation, run by one thread in real time; targets, stops and requests come from others.

    Args:
        family: task family of the scene.
        seed: of the scene.
        image_size: of the cameras, pixels.
        faults: of the observations.
    """

    def __init__(self, family: str, seed: int, image_size: int, faults: Faults) -> None:
        self._env = TabletopEnv(family=family, image_size=image_size)
        self._env.reset(seed=seed)
        world = self._env.world
        self._addresses = [world.model.joint(name).qposadr[0] for name in world.arm.joints]
        self.faults, self.random = faults, np.random.default_rng(faults.seed)
        self._started_s = time.monotonic()
        self._lock = threading.Lock()
        self._target: tuple[Array, bool] | None = None  # None: hold
        self._commanded_s = self._started_s
        self._hold = world.tool_pose_world, True
        self._frozen: Observation | None = None
        self._requested: int | None = None
        self._answer: Message | None = None
        self._answered = threading.Event()

    @property
    def description(self) -> Message:
        """The capabilities of the robot, which a client receives on connecting."""
        world = self._env.world
        return {
            "cameras": list(CAMERAS),
            "control_hz": 1 / CONTROL_DT_S,
            "joint_names": list(world.arm.joints),
            "joint_limits": np.array([world.model.joint(name).range for name in world.arm.joints], np.float64),
            "instruction": self._env.command.instruction,
        }

    @property
    def elapsed_s(self) -> float:
        """Seconds since the start, which the times of faults count from."""
        return time.monotonic() - self._started_s

    def start_time(self) -> None:
        """Let time start now: at the first connection, not while models are loaded elsewhere."""
        self._started_s = time.monotonic()

    def command(self, pose: Array, gripper_open: bool) -> None:
        """Set the target of the next steps."""
        with self._lock:
            self._target, self._commanded_s = (pose, gripper_open), time.monotonic()

    def stop(self) -> None:
        """Hold the position: no step after this call moves towards the old target."""
        with self._lock:
            self._target = None

    def request(self, number: int) -> Message | None:
        """Return an observation taken after this call; None if it is lost. For one other thread."""
        self._answered.clear()
        self._requested = number
        self._answered.wait()
        return self._answer

    def run(self, is_over: Callable[[], bool]) -> None:
        """Step in real time and answer requests, until it is over."""
        next_s = time.monotonic()
        while not is_over():
            if self.elapsed_s > self.faults.die_after_s:
                os._exit(1)
            if self._requested is not None:
                number, self._requested = self._requested, None
                self._answer = self._observation(number)
                self._answered.set()
            if (now_s := time.monotonic()) >= next_s:
                self._step()
                next_s = max(next_s + CONTROL_DT_S, now_s)  # a late step is not made up for by two fast ones
            else:
                time.sleep(min(0.002, next_s - now_s))

    def _step(self) -> None:
        with self._lock:
            if time.monotonic() - self._commanded_s > DEADMAN_S:
                self._target = None
            target = self._target
        # At a stop the last setpoint is held, which the tool lags behind by some millimetres at most.
        self._hold = pose, gripper_open = self._hold if target is None else target
        self._env.advance(np.array([*pose[:3, 3], *quaternion_from_matrix(pose[:3, :3]), float(gripper_open)]))

    def _observation(self, number: int) -> Message | None:
        elapsed_s, faults = self.elapsed_s, self.faults
        if elapsed_s > faults.silent_after_s or self.random.random() < faults.drop:
            return None
        observation = images = self._env.observation()
        if elapsed_s > faults.frozen_after_s:
            images = self._frozen = self._frozen or observation
        assert observation.tool_pose_world is not None
        answer: Message = {
            "number": number,
            "time_s": observation.time_s,
            "pose": observation.tool_pose_world * (np.nan if elapsed_s > faults.nan_after_s else 1.0),
            "gripper": observation.gripper,
            "joints": np.array(self._env.world.data.qpos[self._addresses]),
            "done": self._env.is_success(),
        }
        for name, view in images.views.items():
            assert view.camera is not None
            answer[name] = {
                "rgb": view.rgb,
                "depth_m": view.depth_m,
                "intrinsics": view.camera.intrinsics,
                "world_from_camera": view.camera.world_from_camera,
            }
        return answer


def serve_commands(robot: SimulatedRobot, connection: Connection) -> None:
    """Take commands and stops until the connection ends; a malformed command ends it."""
    while True:
        message = unpack(connection.recv_bytes(MAX_COMMAND_BYTES))
        if message.get("stop"):
            robot.stop()
            connection.send_bytes(pack({"stopped": True}))
            continue
        pose = numbers(message["pose"], "pose")
        if not is_rigid(pose):
            raise UnsafeActionError("pose is no finite, rigid (4, 4) pose")
        robot.command(pose, bool(message["gripper_open"]))


def serve_observations(robot: SimulatedRobot, connection: Connection) -> None:
    """Answer requests until the connection ends; of several that wait, the newest."""
    connection.send_bytes(pack(robot.description))
    while True:
        message = unpack(connection.recv_bytes(MAX_COMMAND_BYTES))
        while connection.poll():
            message = unpack(connection.recv_bytes(MAX_COMMAND_BYTES))
        answer = robot.request(int(message["number"]))
        if answer is not None:
            time.sleep(robot.faults.delay_s(robot.random))
            connection.send_bytes(pack(answer))


def main() -> None:
    """Serve one robot."""
    options = json.loads(sys.stdin.readline())
    key, faults = bytes.fromhex(options.pop("key")), Faults(**options.pop("faults"))
    robot = SimulatedRobot(**options, faults=faults)
    ended = threading.Event()
    with Listener(("127.0.0.1", 0), authkey=key) as listener:
        sys.stdout.write(f"{listener.address[1]}\n")
        sys.stdout.flush()

        def serve(connection: Connection) -> None:
            try:
                purpose = unpack(connection.recv_bytes(MAX_COMMAND_BYTES))
                robot.start_time()
                (serve_commands if purpose == "commands" else serve_observations)(robot, connection)
            except (OSError, EOFError, RequestError, KeyError, TypeError, ValueError, AttributeError):
                ended.set()  # closed by the client, or not what a client sends

        for _ in range(2):
            threading.Thread(target=serve, args=(listener.accept(),), daemon=True).start()
        robot.run(ended.is_set)


if __name__ == "__main__":
    main()
