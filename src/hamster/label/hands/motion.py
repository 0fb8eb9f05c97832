"""Link hand detections into the motion of one hand, remove outliers, and smooth without lag."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.label.hands.detector import INDEX_TIP, MIDDLE_BASE, THUMB_TIP, WRIST, Hand

Array = NDArray[np.float64]
SIGMA_S = 0.06  # of the smoothing: fast reaches take 0.3 s
GAP_S = 0.5  # a hand that was lost for longer may have done anything in between
SLACK, SPEED = 1.5, 20.0  # palms by which a hand may be off, and palms per second (2 m/s) that it moves at most
SIZES = 2.0  # between the palms of one hand in two frames
WORKS, WORKS_PALMS = 5, 1.5  # frames beside the first hand, and palms travelled in them: a second hand at work
LOST_S = 1.0  # after which a chain of sights has ended


@dataclass(frozen=True, eq=False)
class Motion:
    """One hand through T frames, in pixels of images `size_px` large.

    Attributes:
        tip_px: (T, 2) between thumb and index finger; before the first and after the last sight it stays there.
        aperture: (T,) from thumb to index finger, in palms.
        palm_px: from the wrist to the base of the middle finger, the median.
        visible: (T,) whether it was found, or lost for a short while only.
        score: (T,) of the detector, 0 where not found.
        landmarks_px: (T, 21, 2), filled and smoothed likewise.
        landmarked: (T,) whether the landmarks were found, and not only an arm, or nothing.
    """

    tip_px: Array
    aperture: Array
    palm_px: float
    visible: NDArray[np.bool_]
    score: Array
    landmarks_px: Array
    landmarked: NDArray[np.bool_]


def follow(hands_by_frame: Sequence[Sequence[Hand]], size_px: Array, fps: float) -> Motion | str | None:
    """Return the motion of the hand that moves most, None if there is no hand at all, or why there is more than one.

    Args:
        hands_by_frame: detections in each frame.
        size_px: (2,) width and height.
        fps: frames per second.
    """
    chains = _link(hands_by_frame, size_px, fps)
    if not chains:
        return None
    chains = sorted(chains, key=lambda chain: -_travelled(chain, size_px))
    if any(_also_works(other, chains[0], size_px) for other in chains[1:]):
        return "two hands are at work: which of them does it?"
    hands = _join(chains, size_px, fps)
    frames = np.array(sorted(hands))
    shapes = np.stack([hands[t].uv * size_px for t in frames.tolist()])
    palms = np.linalg.norm(shapes[:, MIDDLE_BASE] - shapes[:, WRIST], axis=-1)
    palm_px = max(float(np.median(palms)), 1e-6)
    spans = np.linalg.norm(shapes[:, THUMB_TIP] - shapes[:, INDEX_TIP], axis=-1) / palm_px
    tips = (shapes[:, THUMB_TIP] + shapes[:, INDEX_TIP]) / 2
    total = len(hands_by_frame)
    score = np.zeros(total)
    score[frames] = [hands[t].score for t in frames.tolist()]
    filled = fill_and_smooth(np.column_stack([tips, spans, shapes.reshape(len(shapes), -1)]), frames, total, fps)
    landmarks_px = filled[:, 3:].reshape(total, -1, 2)
    return Motion(filled[:, :2], filled[:, 2], palm_px, _seen(frames, total, fps), score, landmarks_px, score > 0)


def fill_and_smooth(values: Array, frames: NDArray[np.intp], total: int, fps: float) -> Array:
    """Fill and smooth values (K, D >= 2) at some frames to (total, D): outliers removed, gaps filled, then a Gaussian.

    It is symmetric, hence does not lag: a filter that looks back only would put each event too late and too far along.

    Args:
        values: (K, D >= 2), the tip first.
        frames: (K,) indices of their frames.
        total: number of frames.
        fps: frames per second.
    """
    every = np.arange(total)
    full = np.stack([np.interp(every, frames, column) for column in _without_spikes(values).T], -1)
    sigma = SIGMA_S * fps
    reach = int(3 * sigma)
    if reach < 1:
        return full
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    # The ends are mirrored through their last point, so that a straight motion stays straight up to its end.
    head, tail = 2 * full[0] - full[reach:0:-1], 2 * full[-1] - full[-2 : -reach - 2 : -1]
    if len(full) <= reach:
        return full
    padded = np.concatenate([head, full, tail])
    return np.stack([np.convolve(column, weights / weights.sum(), "valid") for column in padded.T], -1)


def _without_spikes(values: Array) -> Array:
    """Replace values whose tip, the first two, is far off its neighbours where those are close together."""
    if len(values) < 3:
        return values
    tips = values[:, :2]
    apart = np.linalg.norm(tips[:-2] - tips[2:], axis=-1)
    off = np.linalg.norm(tips[1:-1] - (tips[:-2] + tips[2:]) / 2, axis=-1)
    typical = np.median(np.linalg.norm(np.diff(tips, axis=0), axis=-1)) + 1e-9
    here, middle = values[1:-1], (values[:-2] + values[2:]) / 2
    out = values.copy()
    out[1:-1] = np.where(((off > 2 * apart) & (off > 4 * typical))[:, None], middle, here)
    return out


def _seen(frames: NDArray[np.intp], total: int, fps: float) -> NDArray[np.bool_]:
    visible = np.zeros(total, bool)
    visible[frames] = True
    longest = max(2, round(GAP_S * fps))
    for start, end in zip(frames[:-1].tolist(), frames[1:].tolist(), strict=True):
        if end - start - 1 <= longest:
            visible[start:end] = True
    return visible


def _link(hands_by_frame: Sequence[Sequence[Hand]], size_px: Array, fps: float) -> list[dict[int, Hand]]:
    """Return chains of frame -> hand; each hand joins the nearest chain from which it could have got there."""
    chains: list[dict[int, Hand]] = []
    for t, hands in enumerate(hands_by_frame):
        free = [chain for chain in chains if t - max(chain) <= max(2, LOST_S * fps)]
        for hand in sorted(hands, key=lambda hand: -hand.score):
            reachable = [(_gap(chain, hand, (t - max(chain)) / fps, size_px), i) for i, chain in enumerate(free)]
            gap, i = min(reachable, default=(np.inf, -1))
            if gap <= 1:
                free.pop(i)[t] = hand
            else:
                chains.append({t: hand})
    return chains


def _gap(chain: dict[int, Hand], hand: Hand, elapsed_s: float, size_px: Array) -> float:
    """Return how far a hand is from the last one of a chain, as a part of how far it can have come."""
    shape, other = hand.uv * size_px, chain[max(chain)].uv * size_px
    small, palm = sorted([_palm(shape), _palm(other)])
    if small * SIZES < palm:
        return np.inf
    palm = max(palm, 1e-6)
    return float(np.linalg.norm(shape.mean(0) - other.mean(0)) / (palm * (SLACK + SPEED * elapsed_s)))


def _palm(shape_px: Array) -> float:
    return float(np.linalg.norm(shape_px[MIDDLE_BASE] - shape_px[WRIST]))


def _travelled(chain: dict[int, Hand], size_px: Array) -> float:
    centres = np.stack([chain[t].uv.mean(0) * size_px for t in sorted(chain)])
    return float(np.linalg.norm(np.diff(centres, axis=0), axis=-1).sum() + 0.01 * len(chain) * size_px.max())


def _also_works(other: dict[int, Hand], first: dict[int, Hand], size_px: Array) -> bool:
    """Return whether another chain, seen beside the first one and not on top of it, travels as well."""
    both = sorted(set(other) & set(first))
    if len(both) < WORKS:
        return False
    apart = [np.linalg.norm((other[t].uv - first[t].uv).mean(0) * size_px) for t in both]
    palm = max(float(np.median([_palm(other[t].uv * size_px) for t in both])), 1e-6)
    places = np.stack([other[t].uv.mean(0) * size_px for t in both])
    return bool(np.median(apart) > palm and np.ptp(places, axis=0).max() > WORKS_PALMS * palm)


def _join(chains: list[dict[int, Hand]], size_px: Array, fps: float) -> dict[int, Hand]:
    """Join to the first chain what happens before or after it in others: a hand of that size that can be the same.

    It can if it is where the first one was lost, or comes back, within the time that this takes.
    """
    hands = dict(chains[0])
    palm = np.median([_palm(hand.uv * size_px) for hand in hands.values()])
    for chain in chains[1:]:
        other = np.median([_palm(hand.uv * size_px) for hand in chain.values()])
        early, late = (chain, hands) if max(chain) < min(hands) else (hands, chain)
        if max(palm, other) >= SIZES * min(palm, other) or max(early) >= min(late):
            continue
        elapsed_s = min((min(late) - max(early)) / fps, LOST_S)
        if _gap(early, late[min(late)], elapsed_s, size_px) <= 1:
            hands.update(chain)
    return hands
