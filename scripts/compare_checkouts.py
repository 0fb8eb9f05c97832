#!/usr/bin/env python3
"""Time two checkouts of this repository in turns, so that other load on the machine affects both alike.

    git worktree add ../before v0.1.0
    scripts/compare_checkouts.py ../before . --check

Measures CPU time (user and system, of all processes and threads) of one `act` of the bundled policy, one `plan` of
the bundled planner, labelling demonstrations of the built-in tabletop, `import hamster.cli` and `hamster --help`.
Compared is the median over the turns of the ratio after / before: below 1 is faster.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from statistics import median

HERE = Path(__file__).resolve().parents[1]
LIMIT = 1.05  # of a ratio
DEMONSTRATIONS = 20
FILES = HERE / "tests" / "data" / "written_by_0_1_0" / "files.zip"  # holds an observation and a path

# Runs in either checkout, so it uses only what both have. It answers each line of its input with milliseconds.
WORKER = """
import json, sys, time
from pathlib import Path
import numpy as np, torch
from hamster.data import Observation, View
from hamster.data.images import read_image
from hamster.geometry import Camera
from hamster.planner import load_planner
from hamster.policy import load_policy
import hamster.path
torch.set_num_threads(1)
Path2D = getattr(hamster.path, "Path2D", None) or hamster.path.Path
folder, picture = Path(sys.argv[1]), read_image(sys.argv[2])
with np.load(folder / "observations.npz") as stored:
    held = dict(stored)
rgb, depth_m = held["rgb"][0], held["depth_mm10"][0].astype(np.float32) * np.float32(1e-4)
view = View(rgb, depth_m, Camera(held["intrinsics"], held["world_from_camera"], rgb.shape[1], rgb.shape[0]))
observation = Observation({"front": view}, held["tool_poses_world"][0], float(held["gripper"][0]), 0.0)
path = Path2D.from_json(json.loads((folder / "path.json").read_text()))
policy, planner = load_policy("nano", device="cpu"), load_planner("nano", device="cpu")
def act():
    policy.reset()
    policy.act(observation, path)
def plan():
    planner.plan(picture, "put the red cube on the blue plate")
work = {"act": act, "plan": plan}
for call in work.values():
    call()
print("ready", flush=True)
for line in sys.stdin:
    name, n = line.split()
    started = time.process_time()
    for _ in range(int(n)):
        work[name]()
    print(1000 * (time.process_time() - started) / int(n), flush=True)
"""


class Checkout:
    """A checkout, and a process of it that has both bundled models loaded."""

    def __init__(self, root: Path, files: Path) -> None:
        self.root = root.resolve()
        paths = (self.root / "src", self.root / "packages" / "hamster_client" / "src")
        threads = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
        self.environment = {**os.environ, **threads, "PYTHONPATH": os.pathsep.join(map(str, paths))}
        command = [sys.executable, "-c", WORKER, str(files), str(HERE / "docs" / "images" / "table.png")]
        self.worker = subprocess.Popen(
            command, env=self.environment, cwd=files, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self.worker.stdout is not None
        if self.worker.stdout.readline() != "ready\n":
            raise SystemExit(f"{self.root}: the models do not run there")

    def call_ms(self, name: str, n: int) -> float:
        """Milliseconds of CPU of one call in the worker, over `n` calls."""
        assert self.worker.stdin is not None and self.worker.stdout is not None
        self.worker.stdin.write(f"{name} {n}\n")
        self.worker.stdin.flush()
        return float(self.worker.stdout.readline())

    def process_ms(self, *arguments: str) -> float:
        """Milliseconds of CPU of a process of its own, with all that it starts."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, *arguments], env=self.environment, check=True,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return 1000 * (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)

    def label_ms(self) -> float:
        """Milliseconds of CPU of labelling demonstrations into a new folder."""
        with tempfile.TemporaryDirectory() as out:
            where = ("-o", str(Path(out) / "labels"), "--engine", "inline")
            return self.process_ms("-m", "hamster", "label", f"tabletop:{DEMONSTRATIONS}", *where)

    def close(self) -> None:
        """End the worker."""
        self.worker.communicate()


MEASURES: dict[str, tuple[Callable[[Checkout], float], int]] = {
    "one act of the policy": (lambda checkout: checkout.call_ms("act", 10), 2),
    "one plan of the planner": (lambda checkout: checkout.call_ms("plan", 5), 2),
    "import hamster.cli": (lambda checkout: checkout.process_ms("-c", "import hamster.cli"), 1),
    "hamster --help": (lambda checkout: checkout.process_ms("-m", "hamster", "--help"), 1),
    f"label tabletop:{DEMONSTRATIONS}": (Checkout.label_ms, 0),
}
"""What is measured, and how often in each turn (0: only in every third turn)."""


def compare(before: Checkout, after: Checkout, turns: int) -> dict[str, dict[str, float]]:
    """Measure both in turns, the order swapped from turn to turn; "before_ms", "after_ms", "ratio" and "n" by name."""
    pairs: dict[str, list[tuple[float, float]]] = {name: [] for name in MEASURES}
    for turn in range(turns):
        for name, (measure, times) in MEASURES.items():
            for _ in range(times or int(turn % 3 == 0)):
                order = (before, after) if len(pairs[name]) % 2 == 0 else (after, before)
                taken = {checkout: measure(checkout) for checkout in order}
                pairs[name].append((taken[before], taken[after]))
    return {
        name: {
            "before_ms": round(median(first for first, _ in values), 1),
            "after_ms": round(median(second for _, second in values), 1),
            "ratio": round(median(second / first for first, second in values), 3),
            "n": len(values),
        }
        for name, values in pairs.items()
    }


def main() -> int:
    """Print a table, or JSON; with --check, 1 if a ratio is above the limit."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", type=Path)
    parser.add_argument("after", type=Path, nargs="?", default=HERE)
    parser.add_argument("--turns", type=int, default=9, help="pairs of measurements (default: 9)")
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true", help=f"exit code 1 if a ratio is above {LIMIT}")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(FILES) as archive:
            for name in ("observations.npz", "path.json"):
                archive.extract(name, folder)
        before, after = (Checkout(root, Path(folder)) for root in (options.before, options.after))
        try:
            results = compare(before, after, options.turns)
        finally:
            before.close()
            after.close()
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        print(f"{'CPU time, median':<28}{'before ms':>11}{'after ms':>11}{'ratio':>8}{'n':>5}")
        for name, row in results.items():
            print(f"{name:<28}{row['before_ms']:>11}{row['after_ms']:>11}{row['ratio']:>8}{row['n']:>5}")
    slower = [name for name, row in results.items() if row["ratio"] > LIMIT]
    if options.check and slower:
        print(f"slower by more than {LIMIT - 1:.0%}: {', '.join(slower)}", file=sys.stderr)
    return int(options.check and bool(slower))


if __name__ == "__main__":
    sys.exit(main())
