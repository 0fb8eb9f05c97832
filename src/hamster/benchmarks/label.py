"""Benchmarks of labelling, relative to decoding alone and to the usual implementations."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from hamster.benchmarks.ratio import Ratio, compare
from hamster.data import Episode, Observation, Provenance, View
from hamster.data.video import VideoFile
from hamster.data.video_source import read_video
from hamster.data.video_writer import write_video
from hamster.extras import extra
from hamster.geometry import Camera
from hamster.label.dataset import write
from hamster.label.episodes import label_episode
from hamster.label.video import label_video
from hamster.path.simplify import EPSILON, kept_waypoints, segment_distance

Array = NDArray[np.float64]
PATHS, FEW, POINTS = 2000, 10, 150
FRAMES, FPS = 240, 30.0
WIDTH, HEIGHT = 640, 480


def bench_label(images: int = 256) -> Iterator[Ratio]:
    """Yield the comparisons of `hamster bench label`; `images` is the number that one and two workers make."""
    yield simplification()
    with TemporaryDirectory() as folder:
        clip = Path(folder) / "clip.mp4"
        write_video(clip, _frames(), FPS)
        yield tracking(clip)
        yield projection(clip)
        yield workers(Path(folder), images)


def simplification() -> Ratio:
    """Compare simplification with PyPI's `rdp` on paths of 150 points; NotInstalledError without it."""
    with extra("bench"):
        from rdp import rdp
    rng = np.random.default_rng(0)
    paths = [_walk(rng) for _ in range(PATHS)]
    few = paths[:FEW]
    back = [np.concatenate([path, path[: -POINTS // 3 : -1]]) for path in few]
    theirs = max(_gap(path, np.flatnonzero(rdp(path, EPSILON, return_mask=True))) for path in back)
    ours = max(_gap(path, kept_waypoints(path)) for path in back)
    timed = compare(
        f"simplify {POINTS} points within {EPSILON} (turning back: rdp within {theirs:.2g}, hamster {ours:.2g})",
        (f"rdp, {FEW} paths", lambda: [rdp(path, EPSILON) for path in few]),
        (f"hamster, {PATHS} paths", lambda: [kept_waypoints(path) for path in paths]),
        limit=1000,
        n=9,
    )
    per_path = (timed.slow_s / FEW, timed.fast_s / PATHS)
    return Ratio(timed.name, "rdp, a path", "hamster, a path", *per_path, timed.limit, timed.n)


def _gap(uv: Array, kept: NDArray[np.intp]) -> float:
    """Return the largest distance of a path (N, 2) from the polyline through the kept points."""
    return max(float(segment_distance(uv[a : b + 1], uv[a], uv[b]).max()) for a, b in pairwise(kept))


def tracking(clip: Path) -> Ratio:
    """Compare labelling by tracking with decoding alone; it may cost two thirds more."""
    return compare(
        f"label a video by tracking, {FRAMES} frames of {WIDTH}x{HEIGHT}",
        ("decode", _decode(clip)),
        ("decode and track", lambda: label_video(read_video(clip), "tracking", None, EPSILON)),
        limit=0.6,
        n=3,
    )


def projection(clip: Path) -> Ratio:
    """Compare labelling by projection with decoding; it may cost a twentieth."""
    episode = _recorded()
    return compare(
        f"label by projection, {FRAMES} frames, a path for each",
        ("decode", _decode(clip)),
        ("project and simplify", lambda: label_episode(episode, None, EPSILON)),
        limit=20,
        n=3,
    )


def workers(folder: Path, images: int) -> Ratio:
    """Compare two processes with one on generated images, including their start."""
    from hamster.sim.offdomain import OffDomain

    runs = iter(range(1000))

    def run(processes: int) -> Callable[[], object]:
        return lambda: write([OffDomain(images)], folder / f"run{next(runs)}", workers=processes)

    name = f"label offdomain:{images}"
    return compare(name, ("one worker", run(1)), ("two workers", run(2)), limit=1.7, n=1, warm_up=0)


def _decode(clip: Path) -> Callable[[], object]:
    return lambda: sum(1 for _ in VideoFile(clip))


def _walk(rng: np.random.Generator) -> Array:
    """Draw a smooth path (POINTS, 2) with the noise of a track."""
    at, corners = np.linspace(0, 5, POINTS), rng.uniform(0.1, 0.9, (6, 2))
    smooth = np.stack([np.interp(at, range(6), column) for column in corners.T], -1)
    return np.asarray(smooth + rng.normal(scale=0.005, size=smooth.shape))


def _frames() -> Iterator[NDArray[np.uint8]]:
    """Yield frames (H, W, 3) of a gripper-like blob that carries a square across a table."""
    rng = np.random.default_rng(0)
    table = rng.integers(90, 140, (HEIGHT // 8, WIDTH // 8, 3)).astype(np.uint8).repeat(8, 0).repeat(8, 1)
    for i in range(FRAMES):
        frame = table.copy()
        u, v = 0.15 + 0.7 * i / FRAMES, 0.35 + 0.2 * np.sin(np.pi * i / FRAMES)
        x, y = int(u * WIDTH), int(v * HEIGHT)
        frame[: y + 24, x - 20 : x + 20] = (40, 40, 48)
        box = slice(y + 24, y + 60) if FRAMES / 4 < i < 3 * FRAMES / 4 else slice(330, 366)
        side = x if FRAMES / 4 < i < 3 * FRAMES / 4 else int((0.325 if i <= FRAMES / 4 else 0.675) * WIDTH)
        frame[box, side - 18 : side + 18] = (200, 40, 40)
        yield frame


def _recorded() -> Episode:
    """Return a robot's motion before a calibrated camera whose images need no decoding: what is left is projection."""
    poses = np.tile(np.eye(4), (FRAMES, 1, 1))
    along = np.linspace(0, 1, FRAMES)
    poses[:, :3, 3] = np.stack([0.4 * along - 0.2, 0.1 * np.sin(6 * along), 0.8 + 0.1 * along], -1)
    gripper = ((along < 0.3) | (along > 0.7)).astype(float)
    camera = Camera(np.array([[500.0, 0, 320], [0, 500.0, 240], [0, 0, 1]]), np.eye(4), WIDTH, HEIGHT)
    row = np.linspace(60, 200, WIDTH).astype(np.uint8)[:, None].repeat(3, 1)
    # A picture that never changes would be taken for a frozen camera.
    walls = [np.broadcast_to(np.roll(row, 40 * i, axis=0), (HEIGHT, WIDTH, 3)) for i in range(FRAMES)]
    observations = [
        Observation({"front": View(walls[i], None, camera)}, poses[i], float(gripper[i]), i / FPS)
        for i in range(FRAMES)
    ]
    return Episode(["move"], observations, Provenance("bench"), poses, gripper)
