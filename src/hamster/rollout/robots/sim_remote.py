"""The built-in tabletop as a remote robot: a process of its own behind a socket, with faults on demand."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import threading
import time
from contextlib import suppress
from dataclasses import asdict
from multiprocessing.connection import Client, Connection
from select import select
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation, View
from hamster.extras import extra, require
from hamster.geometry import Camera
from hamster.rollout.robots.base import RobotError, RobotObservation, RobotSpec
from hamster.rollout.robots.sim_faults import Faults

with extra("serve"):
    from hamster_client import RequestError
    from hamster_client.wire import pack, unpack

OPTIONS = ("family", "seed", "image_size", *(name for name in Faults.__dataclass_fields__ if name != "seed"))
MAX_OBSERVATION_BYTES = 64 << 20
START_S = 120.0
ANSWER_S = 0.1
"""Time for an observation to arrive; then it may be lost, and the next one is requested."""
SILENCE_S = 5.0
STOP_S = 0.5
Array = NDArray[np.float64]


class SimRemote:
    """A tabletop in a process of its own, reached over a socket on this machine.

    The age of an observation counts from the request for it: the two processes need no common clock.

    Args:
        family: task family of the scene.
        seed: of the scene.
        image_size: of the cameras, pixels.
        faults: of `Faults`: latency_s, jitter_s, drop, frozen_after_s, nan_after_s, silent_after_s, die_after_s.

    Raises:
        ValueError: if there is no such fault, or its value is not allowed.
    """

    def __init__(self, family: str = "pick_place", seed: int = 0, image_size: int = 128, **faults: float) -> None:
        require(("sim", "serve"), "the robot sim-remote")
        if unknown := sorted(set(faults) - set(Faults.__dataclass_fields__)):
            raise ValueError(f"sim-remote has no option {unknown[0]!r}; there are {', '.join(OPTIONS)}")
        self._options = {"family": family, "seed": seed, "image_size": image_size}
        self._faults = asdict(Faults(**faults))  # type: ignore[arg-type]  # of which `seed` is an int
        self._process: subprocess.Popen[str] | None = None
        self._commands: Connection | None = None
        self._observations: Connection | None = None
        self._lock = threading.Lock()  # of the connection of commands, which stops use, too
        self._number = 0
        self._requested_s: dict[int, float] = {}  # times of the requests whose observations have not arrived

    def connect(self) -> RobotSpec:
        """Start the process and connect to it.

        Raises:
            RobotError: if it does not start.
        """
        key = secrets.token_bytes(32)
        module = f"{__package__}.sim_server"
        self._process = subprocess.Popen(  # noqa: S603  # this interpreter, a module of this package
            [sys.executable, "-m", module], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.write(json.dumps({**self._options, "faults": self._faults, "key": key.hex()}) + "\n")
            self._process.stdin.flush()
            if not select([self._process.stdout], [], [], START_S)[0] or not (line := self._process.stdout.readline()):
                raise RobotError("the process of the simulated robot does not start; its messages are above")
            return self._handshake(line, key)
        except BaseException:  # Ctrl-C, too: no process is left behind
            self.disconnect()
            raise

    def _handshake(self, line: str, key: bytes) -> RobotSpec:
        self._commands, self._observations = (Client(("127.0.0.1", int(line)), authkey=key) for _ in range(2))
        self._commands.send_bytes(pack("commands"))
        self._observations.send_bytes(pack("observations"))
        description = unpack(self._observations.recv_bytes(MAX_OBSERVATION_BYTES))
        self._spec = RobotSpec(
            tuple(description["cameras"]), float(description["control_hz"]), tuple(description["joint_names"]),
            np.asarray(description["joint_limits"]), str(description["instruction"]),
        )  # fmt: skip
        return self._spec

    def observe(self) -> RobotObservation:
        """Request an observation, again and again if answers are lost; RobotError if the connection is."""
        if self._observations is None:
            raise RobotError("not connected")
        until = time.monotonic() + SILENCE_S
        try:
            while time.monotonic() < until:
                self._number += 1
                self._requested_s[self._number] = requested_s = time.monotonic()
                self._observations.send_bytes(pack({"number": self._number}))
                if self._observations.poll(max(0.0, requested_s + ANSWER_S - time.monotonic())):
                    answer = unpack(self._observations.recv_bytes(MAX_OBSERVATION_BYTES))
                    captured_s = self._requested_s.pop(answer["number"])  # a late answer is as old as its own request
                    self._requested_s = {n: s for n, s in self._requested_s.items() if n > answer["number"]}
                    return self._observation(answer, captured_s)
        except (OSError, EOFError) as error:
            raise RobotError(f"the connection to the simulated robot is lost ({type(error).__name__})") from error
        except (RequestError, KeyError, TypeError, ValueError, AttributeError) as error:
            raise RobotError(f"the simulated robot sent no observation ({type(error).__name__}: {error})") from error
        raise RobotError(f"no observation for {SILENCE_S:g} s")

    def command(self, tool_pose_world: Array, gripper_open: bool) -> None:
        """Send a target; RobotError if the connection is lost."""
        self._send({"pose": np.asarray(tool_pose_world), "gripper_open": bool(gripper_open)}, answered=False)

    def stop(self) -> None:
        """Stop, and wait for the answer; RobotError if there is none."""
        self._send({"stop": True}, answered=True)

    def disconnect(self) -> None:
        """End the process."""
        for connection in (self._commands, self._observations):
            if connection is not None:
                connection.close()
        self._commands = self._observations = None
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            for stream in (self._process.stdin, self._process.stdout):
                if stream is not None:
                    with suppress(OSError):  # of what the process has not read
                        stream.close()
            self._process = None

    def _send(self, message: dict[str, Any], answered: bool) -> None:
        if not self._lock.acquire(timeout=STOP_S):
            raise RobotError("a command is still being sent")
        try:
            if self._commands is None:
                raise RobotError("not connected")
            self._commands.send_bytes(pack(message))
            if answered:
                if not self._commands.poll(STOP_S):
                    raise RobotError("the simulated robot has not confirmed the stop")
                self._commands.recv_bytes(MAX_OBSERVATION_BYTES)
        except (OSError, EOFError) as error:
            raise RobotError(f"the connection to the simulated robot is lost ({type(error).__name__})") from error
        finally:
            self._lock.release()

    def _observation(self, answer: dict[str, Any], captured_s: float) -> RobotObservation:
        views = {}
        for name in self._spec.cameras:
            view = answer[name]
            rgb = np.asarray(view["rgb"])
            camera = Camera(view["intrinsics"], view["world_from_camera"], rgb.shape[1], rgb.shape[0])
            views[name] = View(rgb, np.asarray(view["depth_m"]), camera)
        observation = Observation(views, np.asarray(answer["pose"]), float(answer["gripper"]), float(answer["time_s"]))
        return RobotObservation(observation, captured_s, np.asarray(answer["joints"]), bool(answer["done"]))
