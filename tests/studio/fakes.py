"""A table seen from straight above, a policy that follows paths exactly, and a studio around them."""

from __future__ import annotations

import io
import threading
import time
from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
from PIL import Image
from starlette.testclient import TestClient

from hamster.data import Observation
from hamster.data.video_writer import write_video
from hamster.evaluate import Suite
from hamster.geometry import pose
from hamster.path import Gripper, NotInViewError, Path2D
from hamster.planner import Plan
from hamster.planner.backend import Completion
from hamster.planner.prompts import PromptConfig
from hamster.planner.vlm import VlmPlanner
from hamster.policy import ActionChunk, PolicyError
from hamster.studio import simulator
from hamster.studio.app import create_app
from hamster.studio.examples import Examples
from hamster.studio.models import Models
from hamster.studio.session import Session

TOKEN = "token-of-the-tests"
URL = "http://127.0.0.1:8020"
WATCH = "ws://127.0.0.1:8020/api/watch"
SIDE = 64
TOOL_UV = (0.1, 0.1)
GOAL_UV = (0.8, 0.2)
DOWN = np.diag([1.0, -1.0, -1.0])


def pose_of(uv):
    return pose([0.2 + 0.6 * uv[0], -0.3 + 0.6 * uv[1], 0.1], DOWN)


def uv_of(pose_world):
    return np.array([(pose_world[0, 3] - 0.2) / 0.6, (pose_world[1, 3] + 0.3) / 0.6])


class TopView:
    """The camera above the table."""

    size_px = np.array([SIDE, SIDE])

    def project(self, points_world):
        x, y = np.asarray(points_world)[..., :2].T
        return np.stack([(x - 0.2) / 0.6, (y + 0.3) / 0.6], -1) * SIDE, np.ones_like(x)


class Table:
    """Two cubes and a goal; the task is to put the red one there. A closing gripper takes what is under it."""

    dt_s = 0.05
    instruction = "put the red cube on the goal"
    camera = TopView()

    def __init__(self, family="pick", seed=0):
        self.cubes = {"red": np.array([0.3, 0.6]), "blue": np.array([0.7, 0.8])}
        self.tool, self.is_open, self.held = pose_of(TOOL_UV), True, None
        self.seed, self.is_closed, self.threads, self.n_steps, self.n_images = seed, False, set(), 0, 0

    def observe(self):
        return Observation({}, self.tool, float(self.is_open), 0.0)

    def tool_pose_world(self):
        return self.tool

    def positions_world(self):
        return np.array([self.tool[:3, 3]])

    def front_image(self):
        self.threads.add(threading.get_ident())
        self.n_images += 1
        rgb = np.full((SIDE, SIDE, 3), 40 + self.seed % 100, np.uint8)
        for colour, uv in zip([(255, 0, 0), (0, 0, 255)], self.cubes.values(), strict=True):
            u, v = (uv * SIDE).astype(int)
            rgb[max(v - 3, 0) : v + 3, max(u - 3, 0) : u + 3] = colour
        return rgb

    def step(self, tool_pose_world, gripper_open):
        self.tool = np.array(tool_pose_world)
        self.n_steps += 1
        if self.is_open and not gripper_open:
            near = [name for name, uv in self.cubes.items() if np.linalg.norm(uv - uv_of(self.tool)) < 0.08]
            self.held = near[0] if near else None
        if gripper_open:
            self.held = None
        if self.held:
            self.cubes[self.held] = uv_of(self.tool)
        self.is_open = gripper_open
        return "the red cube is on the goal" in self.tasks_done()

    def expert_path(self):
        return picking(self.cubes["red"])

    def close(self):
        self.is_closed = True

    # as a TabletopView

    def image(self):
        return self.front_image()

    def things(self):
        return [
            SimpleNamespace(name=name, label=f"the {name} cube", uv=tuple(uv.tolist()), radius=0.05)
            for name, uv in self.cubes.items()
        ]

    def move(self, name, uv):
        if name not in self.cubes:
            raise ValueError(f"no thing {name!r}")
        if name == self.held:
            raise ValueError(f"the robot holds the {name} cube")
        self.cubes[name] = np.array(uv)

    def tasks_done(self):
        near = [name for name, uv in self.cubes.items() if np.linalg.norm(uv - GOAL_UV) < 0.08 and name != self.held]
        return [f"the {name} cube is on the goal" for name in near]


def picking(uv, start=TOOL_UV, goal=GOAL_UV):
    """The path that takes what is at a place to the goal."""
    return Path2D([start, uv, goal], [Gripper.UNKNOWN, Gripper.CLOSED, Gripper.OPEN])


class FollowingPolicy:
    """Goes from waypoint to waypoint; another path under way is joined where what the gripper holds says."""

    cameras = ()

    def reset(self):
        self.path, self.next = None, 0

    def act(self, observation, path, instruction=""):
        if path is None:
            raise PolicyError("there is no path to follow")
        if self.path is None:
            self.path, self.next = path, 0
        elif path != self.path:
            self.path, self.next = path, 1 if observation.gripper > 0.5 else len(path) - 1
        at = min(self.next, len(path) - 1)
        self.next += 1
        return ActionChunk(pose_of(path.uv[at])[None], np.array([path.gripper[at] != Gripper.CLOSED]))


class WritingModel:
    """A language model that writes an answer character by character; cleared, `hold` stops it half-way.

    It sees nothing but the place of the red cube, if the image has one.
    """

    name = "writing"

    def __init__(self):
        self.hold = threading.Event()
        self.hold.set()
        self.asked = []

    def generate(self, requests, sampling, on_token=None):
        [request] = requests
        self.asked.append(request.text)
        red = np.argwhere((request.image[..., 0] > 200) & (request.image[..., 2] < 100))
        (v, u) = red.mean(0) / len(request.image) if len(red) else (0.5, 0.5)
        answer = (
            f"<ans>[({TOOL_UV[0]:.2f}, {TOOL_UV[1]:.2f}), ({u:.2f}, {v:.2f}), <action>Close Gripper</action>, "
            f"({GOAL_UV[0]:.2f}, {GOAL_UV[1]:.2f}), <action>Open Gripper</action>]</ans>"
        )
        for end in range(1, len(answer) + 1):
            if on_token is not None and all(on_token(lambda row, end=end: answer[:end], [0] * sampling.n)):
                break
            if end == len(answer) // 2:
                assert self.hold.wait(30)
        completion = Completion(answer, (-0.1,) * 10)
        return [[completion] * sampling.n]


class RefusingPlanner:
    """Sees nothing."""

    def plan(self, image, instruction):
        raise NotInViewError("there is no unicorn in view", "none")


class BrokenPlanner:
    """Has a bug."""

    def plan(self, image, instruction):
        raise RuntimeError("secrets in its traceback")


class FixedPlanner:
    """Has two answers."""

    def plan(self, image, instruction):
        paths = (Path2D([[0.1, 0.1], [0.5, 0.5]], [-1, -1], score=0.75), Path2D([[0.2, 0.2]], [-1], score=0.25))
        return Plan(paths, "two answers")


class FakeModels(Models):
    def __init__(self):
        super().__init__(("writing", "oracle", "refusing", "broken", "fixed", "nano"), "following")
        self.model = WritingModel()
        self.planners = {
            "writing": VlmPlanner(self.model, PromptConfig("hamster")),
            "refusing": RefusingPlanner(),
            "broken": BrokenPlanner(),
            "fixed": FixedPlanner(),
        }

    def planner(self, name):
        return self.planners[name]

    def policy(self):
        return FollowingPolicy()


class Studio:
    """A session with a client, as one browser sees it.

    Attributes:
        tables: all that were made, the newest last.
    """

    def __init__(self, monkeypatch, folder, pictures=None, is_paced=False, limits=None):
        self.tables = []

        def make(family, seed):
            self.tables.append(Table(family, seed))
            return self.tables[-1]

        suites = {name: Suite(("pick", "push"), make, 100) for name in ("table", "table-too")}
        monkeypatch.setattr(simulator, "find_suite", suites.__getitem__)
        monkeypatch.setattr(simulator, "_view_of", lambda env: env)
        self.models, self.folder = FakeModels(), folder
        names = () if pictures else tuple(suites)
        self.session = Session(self.models, Examples(folder), names, pictures, limits, is_paced)
        self.client = TestClient(create_app(self.session, TOKEN), base_url=URL, headers={"x-studio-token": TOKEN})
        self.session.start(names[0] if names else "")
        self.until(lambda state: state["status"] == "ready")

    @property
    def state(self):
        return self.client.get("/api/state").json()

    def until(self, condition, timeout_s=120):
        end_s = time.monotonic() + timeout_s
        while time.monotonic() < end_s:
            if condition(state := self.state):
                return state
            time.sleep(0.005)
        raise AssertionError(f"it never came about; at the end: {state}")

    def ready(self):
        return self.until(lambda state: state["status"] == "ready")

    def send(self, route, body=None, method="POST"):
        response = self.client.request(method, f"/api/{route}", json={} if body is None else body)
        assert response.status_code in (200, 204), response.text
        return self

    def refused(self, route, body=None, method="POST"):
        """Status and code of a request that is refused."""
        response = self.client.request(method, f"/api/{route}", json={} if body is None else body)
        return response.status_code, response.json()["error"]["code"]

    def put_path(self, path):
        return self.send("path", {"path": path and path.to_json(), "version": self.state["path_version"]}, "PUT")


@contextmanager
def open_studio(monkeypatch, folder, **options):
    studio = Studio(monkeypatch, folder, **options)
    try:
        yield studio
    finally:
        studio.models.model.hold.set()
        studio.session.close()


def png(width=40, height=30, kind="PNG"):
    file = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (height, width, 3), np.uint8)).save(file, kind)
    return file.getvalue()


def video(folder, n_frames=6, width=48, height=32):
    """Bytes of a video that gets brighter from frame to frame."""
    file = folder / "video.mp4"
    write_video(file, (np.full((height, width, 3), 30 * i, np.uint8) for i in range(n_frames)), 10)
    return file.read_bytes()
