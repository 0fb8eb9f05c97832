"""A ray-cast table top with a scripted tool, in the on-disk "episodes" format: demonstrations without a simulator."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hamster.geometry import Camera, look_at, pose, rotation_z
from hamster.path import Path2D
from tests.label_sets import write_manifest

Array = NDArray[np.float64]
FAMILIES = ("pick_place", "press", "knock")
OPEN_WIDTH_M = 0.08


@dataclass
class Solid:
    """An upright box (half sizes) or cylinder (radius, radius, half height) at `centre`, turned by `yaw`."""

    kind: str
    half: Array
    centre: Array
    yaw: float = 0.0
    rgb: Array = field(default_factory=lambda: np.full(3, 0.5))

    def hit(self, origin: Array, rays: Array) -> tuple[Array, Array]:
        """Distances (M,) along the rays, inf where missed, and world normals (M, 3)."""
        turn = rotation_z(-self.yaw)
        o, d = (origin - self.centre) @ turn.T, rays @ turn.T
        near, far, normal = _slabs(o[2:], d[:, 2:], self.half[2:])
        normals = normal @ np.array([[0.0, 0.0, 1.0]])
        if self.kind == "box":
            side_near, side_far, side = _slabs(o[:2], d[:, :2], self.half[:2])
            side_normals = np.concatenate([side, np.zeros((len(side), 1))], 1)
        else:
            a, b = (d[:, :2] ** 2).sum(1), d[:, :2] @ o[:2]
            root = b * b - a * (o[:2] @ o[:2] - self.half[0] ** 2)
            s = np.sqrt(np.maximum(root, 0))
            side_near = np.where(root > 0, (-b - s) / a, np.inf)
            side_far = np.where(root > 0, (-b + s) / a, -np.inf)
            at = o[:2] + np.where(np.isfinite(side_near), side_near, 0)[:, None] * d[:, :2]
            side_normals = np.concatenate([at / self.half[0], np.zeros((len(at), 1))], 1)
        enter, leave = np.maximum(near, side_near), np.minimum(far, side_far)
        normals = np.where((side_near > near)[:, None], side_normals, normals) @ turn
        return np.where((enter < leave) & (enter > 0), enter, np.inf), normals


def _slabs(o: Array, d: Array, half: Array) -> tuple[Array, Array, Array]:
    """Entry and exit (M,) of rays through axis-aligned slabs, and which face (M, k) was entered by."""
    d = np.where(np.abs(d) < 1e-9, 1e-9, d)
    t0, t1 = (-np.sign(d) * half - o) / d, (np.sign(d) * half - o) / d
    axis = t0.argmax(1)
    face = np.zeros_like(d)
    face[np.arange(len(d)), axis] = -np.sign(d[np.arange(len(d)), axis])
    return t0.max(1), t1.min(1), face


def front_camera(size: int) -> Camera:
    """The front camera of the table top, 45 degrees high."""
    focal = size / 2 / np.tan(np.pi / 8)
    intrinsics = np.array([[focal, 0, size / 2], [0, focal, size / 2], [0, 0, 1]])
    return Camera(intrinsics, look_at((1.15, 0, 0.75), (0.42, 0, 0.03)), size, size)


def render(solids: Sequence[Solid], camera: Camera) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    """RGB (H, W, 3) and metric depth (H, W)."""
    origin = camera.world_from_camera[:3, 3]
    rays = (camera.points_world(np.ones((camera.height, camera.width))) - origin).reshape(-1, 3)
    depth = np.full(len(rays), 3.0)
    rgb = np.full((len(rays), 3), 0.75)
    for solid in solids:
        mask = _in_view(solid, camera)
        near, normals = solid.hit(origin, rays[mask])
        win = near < depth[mask]
        index = np.flatnonzero(mask)[win]
        light = 0.55 + 0.45 * np.clip(normals[win] @ np.array([0.3, -0.35, 0.89]), 0, 1)
        depth[index], rgb[index] = near[win], solid.rgb * light[:, None]
    shape = (camera.height, camera.width)
    return (rgb.clip(0, 1) * 255).astype(np.uint8).reshape(*shape, 3), depth.astype(np.float32).reshape(shape)


def _in_view(solid: Solid, camera: Camera) -> NDArray[np.bool_]:
    """Pixels (H*W,) that the solid's bounding sphere can cover."""
    px, depth = camera.project(solid.centre)
    radius = camera.intrinsics[0, 0] * np.linalg.norm(solid.half) / max(depth, 0.1) * 1.3 + 2
    v, u = np.mgrid[0 : camera.height, 0 : camera.width] + 0.5
    return (np.hypot(u - px[0], v - px[1]) < radius).ravel() if depth > 0.1 else np.ones(u.size, bool)


def tool_pose(position: Array, yaw: float) -> Array:
    """A tool that points straight down, its fingers opening along `yaw`."""
    c, s = np.cos(yaw), np.sin(yaw)
    return pose(position, np.array([[-s, c, 0.0], [c, s, 0.0], [0.0, 0.0, -1.0]]))


def gripper_solids(tool: Array, opening: float) -> list[Solid]:
    """Fingers, palm and forearm of a tool at this pose."""
    yaw, tip, grey = float(np.arctan2(tool[1, 1], tool[0, 1])), tool[:3, 3], np.full(3, 0.85)
    across = tool[:3, 1] * (opening * OPEN_WIDTH_M / 2 + 0.006)
    up = np.array([0.0, 0.0, 1.0])
    finger = np.array([0.006, 0.01, 0.025])
    fingers = [Solid("box", finger, tip + side * across + 0.02 * up, yaw, grey * 0.4) for side in (1, -1)]
    palm = Solid("box", np.array([0.1, 0.03, 0.035]), tip + 0.08 * up, yaw, grey)
    arm = Solid("cylinder", np.array([0.045, 0.045, 0.12]), tip + 0.23 * up, 0, grey * 0.9)
    return [*fingers, palm, arm]


@dataclass
class Scene:
    """Solids by role; `things` are lists of solids that move together."""

    things: list[tuple[str, list[Solid]]]
    table: Solid


def sample_scene(rng: np.random.Generator) -> Scene:
    """Cubes, plates, buttons and bottles at random places, none overlapping."""
    table = Solid("box", np.array([0.6, 0.7, 0.01]), np.array([0.4, 0, -0.01]), 0, rng.uniform(0.3, 0.9, 3))
    things: list[tuple[str, list[Solid]]] = []
    spots: list[Array] = []
    for kind in ["cube", "cube", "plate", "plate", "button", "bottle", "bottle"]:
        for _ in range(50):
            xy = rng.uniform((0.34, -0.26), (0.66, 0.26))
            if all(np.linalg.norm(xy - other) > 0.12 for other in spots):
                spots.append(xy)
                things.append((kind, _thing(kind, xy, rng)))
                break
    return Scene(things, table)


def _thing(kind: str, xy: Array, rng: np.random.Generator) -> list[Solid]:
    rgb, yaw = rng.uniform(0.05, 0.95, 3), rng.uniform(-np.pi / 4, np.pi / 4)
    if kind == "cube":
        half = rng.uniform(0.018, 0.026)
        return [Solid("box", np.full(3, half), np.array([*xy, half]), yaw, rgb)]
    if kind == "plate":
        shape, radius = rng.choice(["box", "cylinder"]), rng.uniform(0.045, 0.06)
        return [Solid(str(shape), np.array([radius, radius, 0.006]), np.array([*xy, 0.006]), yaw, rgb)]
    if kind == "button":
        housing = Solid("box", np.array([0.04, 0.04, 0.015]), np.array([*xy, 0.015]), yaw, rng.uniform(0.1, 0.6, 3))
        return [housing, Solid("cylinder", np.array([0.02, 0.02, 0.01]), np.array([*xy, 0.04]), 0, rgb)]
    radius, half = rng.uniform(0.018, 0.024), rng.uniform(0.07, 0.09)
    return [Solid("cylinder", np.array([radius, radius, half]), np.array([*xy, half]), 0, rgb)]


def demonstrate(scene: Scene, family: str, rng: np.random.Generator) -> tuple[list[Array], list[bool], int | None]:
    """Keyposes, the gripper command at each, and the thing that is carried, if any."""

    def pick(kind: str) -> int:
        return int(rng.choice([i for i, (k, _) in enumerate(scene.things) if k == kind]))

    if family == "pick_place":
        target = pick("cube")
        cube, plate = scene.things[target][1][0], scene.things[pick("plate")][1][0]
        rest = _up(plate.centre * [1, 1, 2], cube.half[2])
        spots = [_up(cube.centre, 0.1), cube.centre, _up(cube.centre, 0.15), _up(rest, 0.12), rest, _up(rest, 0.12)]
        return [tool_pose(p, cube.yaw) for p in spots], [True, False, False, False, True, True], target
    if family == "press":
        top = _up(scene.things[pick("button")][1][1].centre, 0.01)
        return [tool_pose(_up(top, z), 0) for z in (0.09, -0.004, 0.09)], [False] * 3, None
    bottle = scene.things[pick("bottle")][1][0]
    angle = rng.uniform(0, 2 * np.pi)
    along = np.array([np.cos(angle), np.sin(angle), 0])
    at = bottle.centre * [1, 1, 1.4]
    return [tool_pose(at + along * d, 0) for d in (-0.07, 0.05)], [False, False], None


def episode(
    scene: Scene, family: str, rng: np.random.Generator, size: int = 128, between: int = 1
) -> tuple[dict[str, NDArray], dict]:
    """Arrays and labels of one demonstration; `between` frames are kept between two keyposes."""
    camera = front_camera(size)
    keyposes, commanded, carried = demonstrate(scene, family, rng)
    start = tool_pose(rng.uniform((0.4, -0.15, 0.25), (0.5, 0.15, 0.35)), rng.uniform(-0.2, 0.2))
    frames: dict[str, list] = {k: [] for k in ("rgb", "depth", "pose", "gripper", "open", "key", "next")}
    tool, is_open, held = start, True, False
    for index, (goal, command) in enumerate(zip(keyposes, commanded, strict=True)):
        for step in range(between + 1):
            a = step / (between + 1)
            here = goal.copy()
            here[:3, 3] = tool[:3, 3] * (1 - a) + goal[:3, 3] * a
            here = tool if step == 0 else here
            if held and carried is not None:
                _carry(scene.things[carried][1][0], here)
            _record(frames, scene, camera, here, is_open, held, index, step == 0 and index > 0)
        tool, is_open = goal, command
        held = carried is not None and not command
        if carried is not None and (held or index >= 3):
            _carry(scene.things[carried][1][0], goal) if index < 5 else None
    return _arrays(frames, camera, keyposes, commanded), _labels(frames, camera, keyposes, commanded, family)


def _up(point: Array, metres: float) -> Array:
    return point + np.array([0.0, 0.0, metres])


def _carry(solid: Solid, tool: Array) -> None:
    solid.centre = tool[:3, 3].copy()


def _record(
    frames: dict[str, list], scene: Scene, camera: Camera, tool: Array, is_open: bool, held: bool, index: int, key: bool
) -> None:
    opening = 1.0 if is_open else (0.55 if held else 0.0)
    solids = [scene.table, *(s for _, parts in scene.things for s in parts), *gripper_solids(tool, opening)]
    rgb, depth = render(solids, camera)
    values = (rgb, np.round(depth * 1e4).astype(np.uint16), tool, opening, is_open, key, index)
    for name, value in zip(frames, values, strict=True):
        frames[name].append(value)


def _arrays(
    frames: dict[str, list], camera: Camera, keyposes: list[Array], commanded: list[bool]
) -> dict[str, NDArray]:
    count = len(frames["rgb"])
    return {
        "rgb_front": np.stack(frames["rgb"]),
        "depth_mm10_front": np.stack(frames["depth"]),
        "intrinsics_front": camera.intrinsics,
        "world_from_camera_front": np.repeat(camera.world_from_camera[None], count, 0),
        "tool_poses_world": np.stack(frames["pose"]),
        "gripper": np.array(frames["gripper"]),
        "gripper_open": np.array(frames["open"]),
        "time_s": np.arange(count) * 0.2,
        "keyframe": np.array(frames["key"]),
        "keypose_index": np.array(frames["next"]),
        "keyposes": np.stack(keyposes),
        "keypose_open": np.array(commanded),
    }


def _labels(frames: dict[str, list], camera: Camera, keyposes: list[Array], commanded: list[bool], family: str) -> dict:
    labels = []
    for tool, is_open, index in zip(frames["pose"], frames["open"], frames["next"], strict=True):
        tips = np.stack([tool[:3, 3], *(k[:3, 3] for k in keyposes[index:])])
        states = np.array([is_open, *commanded[index:]])
        gripper = np.where(np.cumsum(states != states[0]) > 0, states, -1).astype(np.int8)
        uv = (camera.project(tips)[0] / camera.size_px).clip(0, 1)
        frames_of = list(range(len(uv)))
        labels.append({"path": Path2D(uv, gripper).to_json(), "visible": ["visible"] * len(uv), "frames": frames_of})
    origin = {"provenance": {"source": "synthetic"}, "how": {"method": "projection"}, "camera": "front"}
    return {"instructions": [family], "task": family, "labels": labels, "success": True, **origin}


def write(
    out: Path, counts: dict[str, int], size: int = 128, seed: int = 0, between: int = 1, one_scene: bool = False
) -> Path:
    """Writes a label set of kind "episodes" with so many demonstrations per family, all in one scene if asked."""
    out.mkdir(parents=True, exist_ok=True)
    families = [f for f, n in counts.items() for _ in range(n)]
    for i, family in enumerate(families):
        scene = sample_scene(np.random.default_rng([seed, 0 if one_scene else i]))
        arrays, labels = episode(scene, family, np.random.default_rng([seed, i, 1]), size, between)
        np.savez(out / f"ep-{i:05d}.npz", **arrays)
        (out / f"ep-{i:05d}.json").write_text(json.dumps(labels))
    write_manifest(out, "episodes", *([f"ep-{i:05d}.npz", f"ep-{i:05d}.json"] for i in range(len(families))))
    return out
