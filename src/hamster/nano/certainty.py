"""How sure the bundled planner is of a path, before calibration."""

from __future__ import annotations

from torch import Tensor

from hamster.nano import tokens


def certainty(said: list[int], logits: Tensor) -> float:
    """The probability that all goes as said: each event, and each place where something happens or ends.

    Its tokens alone say little: it was taught to spread a point near the edge of a patch over both sides, and in a
    patch over neighbouring bins. So a place counts as what the nine patches around it have together, and bins and
    waypoints on the way do not count.

    Args:
        said: tokens of an answer that is a path. logits: (N, V) from which each was chosen, whatever was forbidden.
    """
    p = logits.float().softmax(-1)
    sure, place = 1.0, 1.0
    for token, row in zip(said, p, strict=True):
        if tokens.PATCHES <= token < tokens.OFFSETS:
            place = _around(token - tokens.PATCHES, row[tokens.PATCHES : tokens.OFFSETS])
        elif token in (tokens.OPEN, tokens.CLOSE, tokens.END):
            sure, place = sure * place * float(row[token]), 1.0
    return min(1.0, sure)


def _around(patch: int, p: Tensor) -> float:
    grid, row, column = p.reshape(tokens.GRID, tokens.GRID), patch // tokens.GRID, patch % tokens.GRID
    return float(grid[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2].sum())
