"""The memory that a run takes does not grow with the number of its episodes.

`HAMSTER_MEMORY=N` compares N episodes with 100, also in the exports, instead of a few with fewer (`make memory`).
"""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from hamster.data import Episode, Observation, Provenance, Unreadable, View
from hamster.geometry import Camera, look_at
from hamster.label import write

MANY = int(os.environ.get("HAMSTER_MEMORY", "0"))
FEW, MORE = (100, MANY) if MANY else (20, 300)
USES = ("label", "survey", "lerobot", "trl", "llava") if MANY else ("label", "survey")
CAMERA = Camera(np.array([[20.0, 0, 8], [0, 20, 8], [0, 0, 1]]), look_at([1.2, 0, 0.7], [0.45, 0, 0]), 16, 16)


def peak_mb():
    """Of this process, since it was started."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) / 1024


@dataclass(frozen=True)
class Small:
    """Episodes of three frames, one in fifty torn; each process that reads one leaves its peak in a folder."""

    n: int
    peaks: Path
    per_shard: int = 1
    uri: str = "test:small"

    def __len__(self):
        return self.n

    def __getitem__(self, i):
        (self.peaks / str(os.getpid())).write_text(str(peak_mb()))
        if i % 50 == 49:
            return Unreadable(f"episode {i}", "torn")
        poses = np.tile(np.eye(4), (3, 1, 1))
        poses[:, :3, 3] = np.linspace([0.4, -0.1, 0.1], [0.45, 0.1, 0.1], 3)
        rgb = np.full((16, 16, 3), i % 256, np.uint8)
        rgb[-1] = (i + 128) % 256  # an image of one colour has no path
        images = [np.roll(rgb, t, 0) for t in range(3)]  # a camera that freezes has none either
        views = [View(rgb, np.ones((16, 16), np.float32), CAMERA) for rgb in images]
        observations = [Observation({"front": views[t]}, pose, 1.0, t / 10) for t, pose in enumerate(poses)]
        return Episode([f"go to {i}"], observations, Provenance("test:", f"episode {i}"), poses, np.ones(3))


def run(what, n, folder):
    """One way of using n episodes: the peak of this process, and of its workers, MB."""
    labels, peaks = folder / "labels", folder / "peaks" / what
    peaks.mkdir(parents=True)
    if what == "label":
        write([Small(n, peaks)], labels, workers=2)
    elif what == "survey":
        from hamster.label.dataset_stats import stored_items, survey

        survey(stored_items(labels)).to_json()
    else:
        from hamster.label.export import export

        export(labels, folder / what, what)
    return max(peak_mb(), *(float(file.read_text()) for file in peaks.iterdir()), 0)


def apart(what, n, folder):
    """The same in a process of its own."""
    code = f"from tests.label.test_memory import *; print(run({what!r}, {n}, Path({str(folder)!r})))"
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    return float(subprocess.run([sys.executable, "-c", code], env=env, check=True, stdout=subprocess.PIPE).stdout)


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="the peak of a process is asked of Linux")
def test_memory_is_flat(tmp_path):
    for what in USES:
        few, more = (apart(what, n, tmp_path / str(n)) for n in (FEW, MORE))
        print(f"{what}: {few:.1f} MB for {FEW} episodes, {more:.1f} MB for {MORE}")  # noqa: T201
        assert more <= 1.1 * few
