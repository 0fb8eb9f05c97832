"""Scores of paths before calibration: the likelihood of their tokens, and how many samples agree.

Self-consistency: Wang et al., "Self-Consistency Improves Chain of Thought Reasoning in Language Models", ICLR 2023.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from hamster.path import Path2D, PlanError
from hamster.path.metrics import frechet
from hamster.planner.backend import Completion

MAX_DISTANCE = 0.1  # Fréchet distance within which two paths are the same plan
FRECHET_POINTS = 32


def likelihood(completion: Completion) -> float:
    """Return the model's confidence, else the geometric mean of its tokens' probabilities, else 1.

    Raises:
        PlanError: if that is no number.
    """
    if completion.confidence is not None:
        return probability(completion.confidence, completion.text)
    if not completion.log_probs:  # the backend has none
        return 1.0
    return probability_of_log(sum(completion.log_probs) / len(completion.log_probs), completion.text)


def probability(value: float, text: str = "") -> float:
    """Return a model's number as a probability, 1 where rounding went beyond; PlanError if it is not one."""
    if not 0 <= value < math.inf:  # also refuses NaN: comparisons with it are false
        raise PlanError(
            f"the model's probabilities are no numbers ({value}): its weights or its dtype are at fault", text
        )
    return min(1.0, value)


def probability_of_log(value: float, text: str = "") -> float:
    """Return a probability from its natural logarithm; PlanError if that is NaN or infinite upwards."""
    return probability(math.exp(min(0.0, value)) if value < math.inf else value, text)


def are_consistent(a: Path2D, b: Path2D) -> bool:
    """Return whether two paths are the same plan: within a Fréchet distance of 0.1, with the same gripper events."""
    events = [[state for _, state in path.events] for path in (a, b)]
    return events[0] == events[1] and frechet(a, b, FRECHET_POINTS) <= MAX_DISTANCE


def rank_by_agreement(paths: Sequence[Path2D], likelihoods: Sequence[float], n_samples: int) -> list[tuple[int, float]]:
    """Group samples that are consistent, and rank the groups.

    A group forms around the sample with which most others agree; its score is its share of all samples times the mean
    likelihood in it, so that the scores of all groups sum to at most 1.

    Args:
        paths: the samples that were paths, at least one.
        likelihoods: of each, in [0, 1].
        n_samples: how many samples there were, with those that were no path.

    Returns:
        For each group the index of its central sample, and its raw score; the best first.
    """
    consistent = [[i == j or are_consistent(a, b) for j, b in enumerate(paths)] for i, a in enumerate(paths)]
    ungrouped = set(range(len(paths)))
    groups = []
    while ungrouped:
        center = max(ungrouped, key=lambda i: (sum(consistent[i][j] for j in ungrouped), likelihoods[i], -i))
        members = [j for j in ungrouped if consistent[center][j]]
        groups.append((center, min(1.0, sum(likelihoods[j] for j in members) / n_samples)))  # rounding may go beyond
        ungrouped -= set(members)
    return sorted(groups, key=lambda group: -group[1])
