"""Success rate of the scripted expert: `python -m hamster.sim.tabletop.check [FAMILY …] [--n N] [--seed S]`."""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass

import numpy as np

from hamster.sim.expert import execute, plan
from hamster.sim.tabletop.sample import FAMILIES, sample
from hamster.sim.tasks import begin, is_success
from hamster.sim.world import World


@dataclass(frozen=True)
class Tally:
    """Results of n episodes of a family: successes, control steps, CPU seconds, and the seeds that failed."""

    family: str
    n: int
    n_success: int
    mean_steps: float
    max_steps: int
    mean_cpu_s: float
    failed: tuple[int, ...]

    def __str__(self) -> str:
        rate = 100 * self.n_success / self.n
        return (
            f"{self.family:10s} {self.n_success}/{self.n} = {rate:.1f} %, steps mean {self.mean_steps:.0f} "
            f"max {self.max_steps}, CPU {self.mean_cpu_s:.2f} s, failed seeds {list(self.failed)}"
        )


def expert_success(family: str, n: int = 200, seed: int = 0) -> Tally:
    """Run the expert on n random scenes, seeds `seed` to `seed + n - 1`, without rendering.

    Args:
        family: task family.
        n: number of scenes.
        seed: of the first scene.
    """
    steps, failed, start_s = [], [], time.process_time()
    for episode in range(seed, seed + n):
        scene, command = sample(np.random.default_rng(episode), family)
        world = World(scene)
        start = begin(world)
        steps.append(execute(world, plan(world, command)))
        if not is_success(world, command, start):
            failed.append(episode)
    cpu_s = (time.process_time() - start_s) / n
    return Tally(family, n, n - len(failed), float(np.mean(steps)), max(steps), cpu_s, tuple(failed))


def main() -> None:
    """Print one line per family."""
    parser = argparse.ArgumentParser(description="How often the scripted expert succeeds on random scenes.")
    parser.add_argument("families", nargs="*", default=FAMILIES, metavar="FAMILY", help=", ".join(FAMILIES))
    parser.add_argument("--n", type=int, default=200, help="scenes per family")
    parser.add_argument("--seed", type=int, default=0, help="of the first scene")
    options = parser.parse_args()
    for family in options.families:
        sys.stdout.write(f"{expert_success(family, options.n, options.seed)}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
