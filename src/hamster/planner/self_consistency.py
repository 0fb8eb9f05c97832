"""How sure a planner is of a path, before calibration: how likely its tokens were, and how many samples agree."""

from __future__ import annotations

import math
from collections.abc import Sequence

from hamster.path import Path2D, PlanError
from hamster.path.metrics import frechet
from hamster.planner.backend import Answer

NEAR = 0.1  # Fréchet distance within which two paths are the same plan
SAMPLES = 32


def likelihood(answer: Answer) -> float:
    """Return its certainty, else the geometric mean of its tokens' probabilities; 1 where the backend does not say.

    Raises:
        PlanError: if that is no number.
    """
    if answer.certainty is not None:
        return probability(answer.certainty, answer.text)
    return probability_of_log(sum(answer.log_p) / len(answer.log_p), answer.text) if answer.log_p else 1.0


def probability(value: float, text: str = "") -> float:
    """Return a model's number as a probability, 1 where rounding went beyond; PlanError if it is none."""
    if not 0 <= value < math.inf:  # NaN slips through min and max, and through no such comparison
        raise PlanError(
            f"the model's probabilities are no numbers ({value}): its weights or its dtype are at fault", text
        )
    return min(1.0, value)


def probability_of_log(value: float, text: str = "") -> float:
    """Return a probability from its natural logarithm; PlanError if that is NaN or infinite upwards."""
    return probability(math.exp(min(0.0, value)) if value < math.inf else value, text)


def agree(a: Path2D, b: Path2D) -> bool:
    """Whether two paths are the same plan: near each other all along, with the same gripper events in order."""
    events = [[state for _, state in path.events] for path in (a, b)]
    return events[0] == events[1] and frechet(a, b, SAMPLES) <= NEAR


def ranked(paths: Sequence[Path2D], likelihoods: Sequence[float], asked: int) -> list[tuple[int, float]]:
    """For each group of samples that agree: which sample stands for it, and its raw score, the best first.

    A group forms around the sample with which most others agree; its score is its share of all samples times the mean
    likelihood in it, so that the scores of all groups are at most 1 together.

    Args:
        paths: the samples that were paths, at least one.
        likelihoods: of each, in [0, 1].
        asked: how many samples there were, with those that were no path.
    """
    near = [[i == j or agree(a, b) for j, b in enumerate(paths)] for i, a in enumerate(paths)]
    left = set(range(len(paths)))
    found = []
    while left:
        middle = max(left, key=lambda i: (sum(near[i][j] for j in left), likelihoods[i], -i))
        group = [j for j in left if near[middle][j]]
        found.append((middle, min(1.0, sum(likelihoods[j] for j in group) / asked)))  # rounding may go beyond
        left -= set(group)
    return sorted(found, key=lambda each: -each[1])
