"""Frames without a known tool pose or gripper opening (NaN or infinity)."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hamster.data import Episode
from hamster.data.lazy import chosen_frames

Array = NDArray[np.float64]
JUMP_M = 0.1  # a larger jump over unknown frames would be bridged by an invented straight line
FEWEST = 2  # poses that make a path
CHANGE = 0.15  # of the full opening: a gripper that differs by more has opened or closed in between


def known_states(episode: Episode) -> tuple[Episode, dict[str, int]]:
    """Return the episode with the frames whose pose is known, with a gripper that is known or absent, and with notes.

    A gripper keeps its last value where it is not known, and has no event there. If it opens or closes while both it is
    unknown and the tool moves, to an unknown place, and the episode has no gripper at all.

    Returns:
        The episode, and by reason how many of its frames are left out: those without a pose of the tool, and those
        whose path would lead through more than `JUMP_M` of unknown poses.

    Raises:
        ValueError: if too few poses are known.
    """
    poses = episode.tool_poses_world
    if poses is None:
        return episode, {}
    total = len(poses)
    known = np.isfinite(poses).all((1, 2))
    if known.sum() < min(FEWEST, total):
        raise ValueError(f"the tool's pose is not known in {total - known.sum()} of {total} frames")
    episode = _with_known_gripper(episode, poses)
    if known.all():
        return episode, {}
    frames = np.flatnonzero(known)
    steps_m = np.linalg.norm(np.diff(poses[frames, :3, 3], axis=0), axis=1)
    jumps = np.flatnonzero((np.diff(frames) > 1) & (steps_m > JUMP_M))
    kept = frames[jumps[-1] + 1 :] if len(jumps) else frames
    left_out = {"without_pose": total - len(frames), "across_unknown_poses": len(frames) - len(kept)}
    return chosen_frames(episode, kept.tolist()), {reason: count for reason, count in left_out.items() if count}


def _with_known_gripper(episode: Episode, poses: Array) -> Episode:
    opening = episode.gripper
    if opening is None or np.isfinite(opening).all():
        return episode
    known = np.flatnonzero(np.isfinite(opening))
    missing = f"the gripper's opening is not known in {len(opening) - len(known)} of {len(opening)} frames"
    if not len(known):
        return _noted(replace(episode, gripper=None), f"{missing}: paths without gripper events")
    # Before the first known value it may have been open: a gripper that is closed then may have closed on the way.
    gaps = [(0, int(known[0]), 1.0), *((a, b, float(opening[a])) for a, b in pairwise(known.tolist()))]
    for before, after, value in gaps:
        is_gap = after - before > 1 or not np.isfinite(opening[before])
        if is_gap and abs(opening[after] - value) > CHANGE and _way_m(poses[before : after + 1]) > JUMP_M:
            why = "in which it opened or closed while the tool moved: paths without gripper events"
            return _noted(replace(episode, gripper=None), f"{missing}, {why}")
    last = known[np.maximum(np.searchsorted(known, np.arange(len(opening)), side="right") - 1, 0)]
    return _noted(replace(episode, gripper=opening[last]), f"{missing}: no gripper event there")


def _way_m(poses: Array) -> float:
    """Return how far apart the known ones of some poses (N, 4, 4) are."""
    places = poses[np.isfinite(poses).all((1, 2)), :3, 3]
    return float(np.linalg.norm(np.ptp(places, axis=0))) if len(places) else np.inf


def _noted(episode: Episode, note: str) -> Episode:
    extra = episode.provenance.extra
    notes = [*extra.get("notes", ()), note]
    return replace(episode, provenance=replace(episode.provenance, extra={**extra, "notes": notes}))
