"""Seeds of the axes suites: those for development, and those that are read only for a released table."""

from __future__ import annotations

DEV = range(100_000)
"""Seeds of runs on which calibration, thresholds, steps and architectures may be chosen."""
TEST = range(1 << 40, (1 << 40) + 1000)
"""Seeds of runs that only the script of the released table reads."""
NUMBERS = 1 << 16
"""Largest number of scenes of one run."""


def scene_seed(seed: int, number: int) -> int:
    """Return the seed of a scene, from which `run_and_number` recovers both arguments.

    Args:
        seed: of the run.
        number: of the scene among those of its axis and family.

    Raises:
        ValueError: if the seed is neither in `DEV` nor in `TEST`, or the number is too large.
    """
    if seed not in DEV and seed not in TEST:
        raise ValueError(
            f"the axes suites have no seed {seed}; for development 0 to {DEV[-1]}, for a released table "
            f"{TEST[0]} to {TEST[-1]}"
        )
    if not 0 <= number < NUMBERS:
        raise ValueError(f"scene {number} of an axis and family; there are {NUMBERS}")
    return seed * NUMBERS + number


def run_and_number(scene: int) -> tuple[int, int]:
    """Return the arguments that `scene_seed` made a scene's seed from."""
    return divmod(scene, NUMBERS)
