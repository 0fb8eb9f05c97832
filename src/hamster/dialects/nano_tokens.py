"""The bundled planner's location tokens: a patch of the image, a bin inside the patch, perhaps an action.

    <ans><p:5:2><s:1:7><close><p:3:11><s:0:4><open></ans>

`<p:R:C>` is a patch in row R and column C of 16 x 16, `<s:R:C>` one of its 8 x 8 bins; together 128 x 128 places, and
a waypoint is its bin's centre. White space between tokens and free text around the answer are allowed, nothing else.
"""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.dialects.scanner import Scanner, Waypoints, sayable_events
from hamster.path.path import Gripper, Path2D

PATCHES = 16  # rows, and columns, of patches in the image
BINS = 8  # rows, and columns, of bins in a patch
LEVELS = PATCHES * BINS

_PATCH = re.compile(r"<p:([0-9]{1,6}):([0-9]{1,6})>")
_BIN = re.compile(r"<s:([0-9]{1,6}):([0-9]{1,6})>")
_ACTION = re.compile(r"<(open|close)>")
_STATES = {"open": Gripper.OPEN, "close": Gripper.CLOSED}
_WORDS = {state: f"<{word}>" for word, state in _STATES.items()}


def cells_from_uv(uv: ArrayLike) -> NDArray[np.int64]:
    """Return patch row, patch column, bin row and bin column (..., 4) of relative x, y (..., 2)."""
    level = np.clip(np.floor(np.asarray(uv, np.float64) * LEVELS), 0, LEVELS - 1).astype(np.int64)
    row, column = level[..., 1], level[..., 0]
    return np.stack([row // BINS, column // BINS, row % BINS, column % BINS], -1)


def uv_from_cells(cells: ArrayLike) -> NDArray[np.float64]:
    """Return the bins' centres: the inverse of `cells_from_uv`, off by at most half a bin."""
    patch_row, patch_column, row, column = np.moveaxis(np.asarray(cells), -1, 0)
    level = np.stack([patch_column * BINS + column, patch_row * BINS + row], -1)
    return np.asarray((level + 0.5) / LEVELS)


def render(path: Path2D) -> str:
    """Return the path as text of location tokens."""
    events = sayable_events(path)
    tokens = []
    for i, (u, v) in enumerate(path.uv.tolist()):
        tokens.append(place(u, v))
        if i in events:
            tokens.append(_WORDS[events[i]])
    return f"<ans>{''.join(tokens)}</ans>"


def place(u: float, v: float) -> str:
    """Return a place as its two tokens."""
    patch_row, patch_column, row, column = cells_from_uv([u, v]).tolist()
    return f"<p:{patch_row}:{patch_column}><s:{row}:{column}>"


def grammar(waypoints: int) -> str:
    """Return a regular expression for paths of at most so many waypoints; see `regex.grammar_of`."""
    patch, bin_ = "(?:[0-9]|1[0-5])", "[0-7]"
    return f"<ans>(?:<p:{patch}:{patch}><s:{bin_}:{bin_}>(?:<open>|<close>)?){{1,{waypoints}}}</ans>"


def parse(text: str) -> Path2D:
    """Return the one path in the planner's answer; PlanError, with the text and the place, if it is anything else."""
    scanner = Scanner(text)
    waypoints = Waypoints(scanner)
    scanner.skip_space()
    while scanner.at < scanner.end:
        at = scanner.at
        if action := scanner.match(_ACTION):
            waypoints.act(_STATES[action[1]], at)
        else:
            patch = _token(scanner, _PATCH, "a patch <p:R:C> or <open> or <close>", PATCHES)
            u, v = uv_from_cells([*patch, *_token(scanner, _BIN, "a bin <s:R:C>", BINS)]).tolist()
            waypoints.point(u, v, at)
        scanner.skip_space()
    return waypoints.path()


def _token(scanner: Scanner, pattern: re.Pattern[str], what: str, size: int) -> tuple[int, int]:
    scanner.skip_space()
    at = scanner.at
    token = scanner.match(pattern)
    if not token:
        scanner.fail(f"expected {what}, found {scanner.next_excerpt()}")
    row, column = int(token[1]), int(token[2])
    if not (row < size and column < size):
        scanner.fail(f"{token[0]} lies outside {size} x {size}", at)
    return row, column
