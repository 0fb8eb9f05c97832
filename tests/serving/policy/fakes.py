"""A policy that does what a test needs, a server for it in a thread, and an independent client of the protocol."""

from __future__ import annotations

import asyncio
import copy
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field

import msgpack
import numpy as np
from websockets.sync.client import connect

from hamster.geometry import look_at, pose
from hamster.policy import ActionChunk
from hamster.serving.policy import PolicyLimits, PolicyServer

TOOL = pose((0.4, 0.1, 0.3), np.diag([1.0, -1.0, -1.0]))
PATH = {"uv": np.array([[0.1, 0.2], [0.5, 0.6]]), "gripper": ["closed", "open"]}


@dataclass
class FakePolicy:
    """Keyposes that are 1 cm more to the right with every question of an episode.

    `shared` outlives an episode, as weights do: "act" is called by each question, "horizon" is the number of poses.
    """

    shared: dict = field(default_factory=dict)
    asked: int = 0

    def reset(self):
        self.asked = 0

    def act(self, observation, path, instruction=""):
        self.shared.setdefault("seen", []).append((observation, path, instruction))
        if "act" in self.shared:
            self.shared["act"]()
        self.asked += 1
        poses = np.stack([observation.tool_pose_world] * self.shared.get("horizon", 2))
        poses[:, 0, 3] += 0.01 * self.asked
        return ActionChunk(poses, np.arange(len(poses)) % 2 == 0)


def view(size: int = 32) -> dict:
    rgb = np.random.default_rng(0).integers(0, 255, (size, size, 3), np.uint8)
    intrinsics = np.array([[size, 0, size / 2], [0, size, size / 2], [0, 0, 1.0]])
    depth_m = np.full((size, size), 0.7, np.float32)
    return {
        "rgb": rgb,
        "depth_m": depth_m,
        "intrinsics": intrinsics,
        "world_from_camera": look_at((1, 0, 1), (0, 0, 0)),
    }


def observation(**changes) -> dict:
    whole = {
        "views": {"front": view()},
        "tool_pose_world": TOOL,
        "gripper": 0.2,
        "prompt": "put it there",
        "path": PATH,
    }
    return whole | changes


@contextmanager
def serving(policy=None, api_key=None, metadata=None, **limits):
    """The port of a running server, which ends with the block; each session has a copy of the policy."""
    policy = policy or FakePolicy()
    port, ready, failed = [], threading.Event(), []

    async def run():
        server = PolicyServer(
            lambda: copy.copy(policy),
            metadata or {"policy": "fake"},
            port=0,
            api_key=api_key,
            limits=PolicyLimits(**limits),
        )
        loop = asyncio.get_running_loop()
        stops.append(lambda: loop.call_soon_threadsafe(server.stop))
        await server.run(lambda bound: (port.append(bound), ready.set()))

    stops: list = []

    def main():
        try:
            asyncio.run(run())
        except BaseException as error:
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=main)
    thread.start()
    assert ready.wait(10) and not failed, failed
    try:
        yield port[0]
    finally:
        stops[0]()
        thread.join(20)
        assert not thread.is_alive() and not failed, failed


def opened(port):
    """A connection that is left open, past its metadata."""
    client = connect(f"ws://127.0.0.1:{port}", compression=None).__enter__()
    client.recv(timeout=10)
    return client


# The published protocol in a few lines, without a line of ours: what is sent and understood is openpi's encoding.


def encode(value):
    if isinstance(value, np.ndarray):
        return {b"__ndarray__": True, b"data": value.tobytes(), b"dtype": value.dtype.str, b"shape": value.shape}
    return {b"__npgeneric__": True, b"data": value.item(), b"dtype": value.dtype.str}


def decode(record):
    if b"__ndarray__" in record:
        return np.ndarray(buffer=record[b"data"], dtype=np.dtype(record[b"dtype"]), shape=record[b"shape"])
    return record


@contextmanager
def foreign_client(port, **options):
    """A connection past its metadata; `ask(dict)` returns a dict, or a str where the server refuses."""
    with connect(f"ws://127.0.0.1:{port}", compression=None, max_size=None, **options) as socket:
        metadata = msgpack.unpackb(socket.recv(timeout=10), object_hook=decode)

        def ask(message, raw=False):
            socket.send(message if raw else msgpack.packb(message, default=encode))
            answer = socket.recv(timeout=20)
            return answer if isinstance(answer, str) else msgpack.unpackb(answer, object_hook=decode)

        ask.metadata, ask.socket = metadata, socket
        yield ask
