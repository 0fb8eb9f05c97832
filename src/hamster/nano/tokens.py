"""The nano planner's vocabulary: the id range of each kind of token, and the encoding of paths as answer tokens.

An answer is `<ans>`, then for each waypoint a patch token `<p:R:C>` and a bin token `<s:R:C>` (the bin inside that
patch) and, where the gripper changes, `<open>` or `<close>`; finally `</ans>`. An answer without waypoints means that
what the instruction names is not in view.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

GRID = 16  # patches per side
BINS = 8  # bins per side of a patch
SIDE = GRID * BINS  # bins per side of the image
PIXELS = 192  # per side of the image as the model sees it

PAD, UNK, IMAGE, ANS, END, OPEN, CLOSE = range(7)
PATCHES = CLOSE + 1  # first patch token
OFFSETS = PATCHES + GRID * GRID  # first bin token
BYTES = OFFSETS + BINS * BINS  # first byte token, for words outside the vocabulary
WORDS = BYTES + 256  # first word

ANSWER = slice(ANS, BYTES)  # all tokens of an answer
ANSWER_SIZE = BYTES - ANS
MAX_WAYPOINTS = 8
MAX_ANSWER = 2 + 3 * MAX_WAYPOINTS


def special_tokens() -> list[str]:
    """Return the strings of all tokens before `BYTES`, in order of their ids."""
    names = ["<pad>", "<unk>", "<image>", "<ans>", "</ans>", "<open>", "<close>"]
    patches = [f"<p:{row}:{column}>" for row in range(GRID) for column in range(GRID)]
    offsets = [f"<s:{row}:{column}>" for row in range(BINS) for column in range(BINS)]
    return names + patches + offsets


def answer_tokens(
    uv: NDArray[np.float32], event: NDArray[np.int8], count: NDArray[np.int64], nudge: NDArray[np.float32] | None = None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the answer tokens of N paths.

    Args:
        uv: (N, 8, 2) waypoints in [0, 1], of which the first `count` are used.
        event: (N, 8) 0, or the token `OPEN` or `CLOSE` that follows the waypoint.
        count: (N,) waypoints per path, 1 to 8; 0 for the answer "not in view".
        nudge: (N, 8, 2) offsets in bins, applied before the patch is chosen but not before the bin is: trains the bin
            tokens to correct a neighbouring patch.

    Returns:
        (N, 26) slots, and (N, 26) which of them are used; the used slots of a row, in order, are its answer.
    """
    place = np.clip(uv * SIDE, 0, SIDE - 1e-3)
    nudged = place if nudge is None else np.clip(place + nudge, 0, SIDE - 1e-3)
    patch = (nudged // BINS).astype(np.int64)
    bin_ = np.clip(np.floor(place - patch * BINS), 0, BINS - 1).astype(np.int64)
    slots = np.zeros((len(uv), MAX_ANSWER), np.int64)
    slots[:, 0], slots[:, -1] = ANS, END
    slots[:, 1:-1:3] = PATCHES + patch[..., 1] * GRID + patch[..., 0]
    slots[:, 2:-1:3] = OFFSETS + bin_[..., 1] * BINS + bin_[..., 0]
    slots[:, 3:-1:3] = event
    used = slots > PAD
    used[:, 1:-1] &= np.repeat(np.arange(MAX_WAYPOINTS) < count[:, None], 3, axis=1)
    return slots, used


def pack(slots: NDArray[np.int64], used: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Move the used slots of each row to its front.

    Args:
        slots: (N, S) tokens.
        used: (N, S) which of them are kept.

    Returns:
        (N, longest) tokens padded with `PAD`, and the lengths (N,).
    """
    order = np.argsort(~used, axis=1, kind="stable")
    length = used.sum(axis=1)
    packed = np.take_along_axis(np.where(used, slots, PAD), order, axis=1)
    return packed[:, : int(length.max(initial=0))], length
