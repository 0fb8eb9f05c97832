"""A gripper on an arm that takes a square and puts it elsewhere: drawn with numpy, so that the truth is known."""

from dataclasses import dataclass

import numpy as np

from hamster.path import Gripper


@dataclass(frozen=True)
class Scene:
    """frames (T, H, W, 3), the tip's uv (T, 2), and the true events."""

    frames: np.ndarray
    uv: np.ndarray
    events: list
    fps: float


def pick_and_place(
    source=(0.3, 0.72), goal=(0.72, 0.6), size=(320, 240), fps=30.0, rest=6, seed=0, releases=True, takes=True
):
    """The arm comes from the top edge, takes a red square at `source`, puts it at `goal` and goes back up."""
    start, away = np.array([0.5, 0.2]), np.array([0.45, 0.25])
    legs = [(start, source), (source, goal)]
    pauses = [rest, rest]
    if releases:
        legs.append((goal, away))
        pauses.append(0)
    uv, stops = [start], []
    for (a, b), pause in zip(legs, pauses, strict=True):
        steps = max(4, round(np.linalg.norm(np.subtract(b, a)) * fps * 1.3))
        part = 0.5 - 0.5 * np.cos(np.pi * np.arange(1, steps + 1) / steps)
        uv += [np.asarray(a) + p * np.subtract(b, a) for p in part]
        stops.append(len(uv) - 1)
        uv += [np.asarray(b)] * pause
    uv = np.array(uv)
    grasp, release = stops[0] + rest, stops[1]  # it moves after the rest, and lies still from the start of the next
    square = np.where(np.arange(len(uv))[:, None] < grasp, source, uv)
    square[release:] = goal if releases else square[release:]
    if not takes:
        square[:] = source
    frames = np.stack([draw(tip, at, size, seed) for tip, at in zip(uv, square, strict=True)])
    events = [(grasp, Gripper.CLOSED), (release, Gripper.OPEN)][: 2 if releases else 1] if takes else []
    return Scene(frames, uv, events, fps)


def draw(tip, square, size, seed):
    """Wood-like background, a square, a dark gripper whose tip is at `tip`, and the arm that holds it."""
    width, height = size
    noise = np.random.default_rng(seed).normal(0, 6, (height // 4, width // 4, 1))
    rgb = np.clip(np.array([190, 170, 140]) + np.kron(noise, np.ones((4, 4, 1))), 0, 255)
    v, u = np.mgrid[0:height, 0:width]
    unit = height / 240

    def box(centre_px, half_u, half_v, colour):
        rgb[(abs(u - centre_px[0]) <= half_u * unit) & (abs(v - centre_px[1]) <= half_v * unit)] = colour

    x, y = np.array(tip) * [width, height]
    box(np.array(square) * [width, height], 9, 9, [200, 40, 40])
    shoulder = width / 2 + 0.6 * (x - width / 2)
    along = np.clip(v / max(y - 20 * unit, 1), 0, 1)
    rgb[(abs(u - (shoulder + (x - shoulder) * along)) <= 8 * unit) & (v <= y - 20 * unit)] = [235, 235, 240]
    box((x, y - 18 * unit), 12, 5, [40, 40, 45])
    box((x - 9 * unit, y - 7 * unit), 2.5, 7, [40, 40, 45])
    box((x + 9 * unit, y - 7 * unit), 2.5, 7, [40, 40, 45])
    return rgb.astype(np.uint8)
