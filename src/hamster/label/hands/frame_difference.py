"""Changes that a hand makes in the scene, and when: taken objects leave their place, put ones arrive.

The picture is looked at in coarse cells. A cell that the hand comes near to has a look before and a look after that
visit. If they differ, the last moment at which it still looked as before, and the first from which it looks as
after, bound the moment of change: cells of one thing share that moment. This needs no flow through the contact, in
which fingers hide everything, and works at 3 frames a second as at 30.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.label.hands.detector import WRIST
from hamster.label.hands.motion import Motion
from hamster.label.tracking.clip import Clip
from hamster.label.tracking.opencv import opencv

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Colours = NDArray[np.float32]
CELLS = 64  # along the longer side
CONTRAST = 22.0  # of 255, by which a cell has to differ, in any channel
LOOKS = 3  # looks before and after, of which the median counts
REACH = 1.6  # palms from the tip: what changes farther away was not changed by the fingers
BEHIND = 0.5  # palms behind the tip: what changes there lies under the hand, or in its shadow
COVERED = 0.2  # of a cell: then it says nothing


@dataclass(frozen=True, eq=False)
class FrameDifference:
    """Cells that changed, (N,) each; one whose looks in between are neither the one nor the other is there twice.

    Attributes:
        px: (N, 2) their middles, on the clip's frames.
        last, first: the change lies after frame `last`, and up to frame `first`.
        near: (N, T) whether the fingers are within reach of the cell in a frame.
        reached: (T,) how many cells are within reach in a frame, changed or not.
        before, after, around: (N, 3) colours; `around` is that of the cells around, at any time.
    """

    px: Array
    last: NDArray[np.intp]
    first: NDArray[np.intp]
    near: Mask
    reached: NDArray[np.intp]
    before: Colours
    after: Colours
    around: Colours

    def __len__(self) -> int:
        return len(self.px)


@dataclass(frozen=True, eq=False)
class _Change:
    last: int
    first: int
    before: Colours
    after: Colours


def frame_difference(clip: Clip, motion: Motion, hidden: Mask) -> FrameDifference:
    """Return what the visits of a hand changed in the scene.

    Args:
        clip: of T frames.
        motion: of the hand.
        hidden: (T, h, w) where hand and arm hide the scene.
    """
    cv2 = opencv()
    width, height = np.maximum((clip.size_px * CELLS / clip.long_px).round().astype(int), 2).tolist()
    cells = np.stack([cv2.resize(rgb, (width, height), interpolation=cv2.INTER_AREA) for rgb in clip.rgb])
    masks = [cv2.resize(mask.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) for mask in hidden]
    v, u = np.mgrid[0:height, 0:width]
    px = np.stack([(u + 0.5) / width, (v + 0.5) / height], -1) * clip.size_px
    look, blind, near = cells.astype(np.float32), np.stack(masks) > COVERED, _near(px, motion)
    usual = cv2.blur(np.median(look, axis=0), (CELLS // 4 + 1, CELLS // 4 + 1))
    cell_changes = [
        (px[y, x], near[:, y, x], usual[y, x], change)
        for y, x in np.argwhere(near.any(0)).tolist()
        for change in _changes_of(look[:, y, x], near[:, y, x], blind[:, y, x])
    ]
    return FrameDifference(
        np.array([cell_change[0] for cell_change in cell_changes], np.float64).reshape(-1, 2),
        np.array([cell_change[3].last for cell_change in cell_changes], np.intp),
        np.array([cell_change[3].first for cell_change in cell_changes], np.intp),
        np.array([cell_change[1] for cell_change in cell_changes], bool).reshape(-1, len(clip)),
        near.sum((1, 2)),
        np.array([cell_change[3].before for cell_change in cell_changes], np.float32).reshape(-1, 3),
        np.array([cell_change[3].after for cell_change in cell_changes], np.float32).reshape(-1, 3),
        np.array([cell_change[2] for cell_change in cell_changes], np.float32).reshape(-1, 3),
    )


def _near(px: Array, motion: Motion) -> Mask:
    """Return (T, h, w) the cells within reach of the fingers, not behind them."""
    tip = motion.tip_px[:, None, None]
    out = (np.linalg.norm(px - tip, axis=-1) < REACH * motion.palm_px) & motion.visible[:, None, None]
    forward = motion.tip_px - motion.landmarks_px[:, WRIST]
    forward /= np.maximum(np.linalg.norm(forward, axis=-1, keepdims=True), 1e-9)
    ahead = np.einsum("thwc,tc->thw", px - tip, forward) > -BEHIND * motion.palm_px
    return np.asarray(out & (ahead | ~motion.landmarked[:, None, None]))


def _changes_of(look: Colours, near: Mask, covered: Mask) -> Iterator[_Change]:
    """Yield what each visit changed of one cell (T, 3)."""
    clear = np.flatnonzero(~near & ~covered)
    for start, end in _visits(near):
        first_looks, last_looks = clear[clear < start][-LOOKS:], clear[clear > end][:LOOKS]
        if not len(first_looks) or not len(last_looks):
            continue
        before, after = np.median(look[first_looks], 0), np.median(look[last_looks], 0)
        if np.abs(after - before).max() < CONTRAST:
            continue
        open_view = np.arange(start, end + 1)[~covered[start : end + 1]]
        frames = np.r_[first_looks[-1], open_view, last_looks[0]]
        for last, first in _moments(look[frames], before, after):
            yield _Change(int(frames[last]), int(frames[first]), before, after)


def _moments(look: Colours, before: Colours, after: Colours) -> list[tuple[int, int]]:
    """Return when the looks (K, 3) stop matching `before` and when they start matching `after`, if not in one step."""
    to_before, to_after = np.abs(look - before).max(-1), np.abs(look - after).max(-1)
    as_before = (to_before < CONTRAST) & (to_before < to_after)
    as_after = (to_after < CONTRAST) & (to_after < to_before)
    as_before[0], as_after[0], as_before[-1], as_after[-1] = True, False, False, True
    left = int(np.flatnonzero(as_before)[-1])
    arrived = int(np.flatnonzero(~as_after)[-1]) + 1
    return [(left, left + 1), (arrived - 1, arrived)][: 1 + (arrived > left + 1)]


def _visits(near: Mask) -> Iterator[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.r_[False, near, False]))
    for start, end in edges.reshape(-1, 2).tolist():
        yield start, end - 1
