"""What a labelled demonstration says about its frames: which to learn from, and what was known and done at each."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.label.episodes import DEPTH_UNIT_M, LabelledEpisode
from hamster.path import Gripper
from hamster.policy.config import ActorConfig, Head

Array = NDArray[Any]

# Frames on the way are kept up to half-way: nearer to its end, a motion might as well be over.
HALF_WAY, NEAR_M = 0.5, 0.03
HALF_OPEN = 0.5


def chosen(demonstration: LabelledEpisode, head: Head, between: int) -> list[int]:
    """Frames worth training on: the first, those at which a keypose was reached, and some on the way to the next.

    All frames for chunks, which may start anywhere.
    """
    episode = demonstration.episode
    if head == "chunk":
        return list(range(len(episode.observations)))
    assert episode.keyposes is not None and episode.tool_poses_world is not None
    tool, key = episode.tool_poses_world[:, :3, 3], _keyframes(episode.keyposes.next)
    following = _next(demonstration)
    chosen = []
    for index, keypose in enumerate(episode.keyposes.tool_poses_world[:, :3, 3]):
        frames = np.flatnonzero(following == index)
        ahead = np.linalg.norm(tool[frames] - keypose, axis=-1)
        far = ahead > max(NEAR_M, HALF_WAY * ahead.max(initial=0))
        anchors = frames[key[frames]][:1] if index else frames[:1]
        on_the_way = np.setdiff1d(frames[far & ~key[frames]], anchors)
        picks = np.linspace(0, len(on_the_way) - 1, between + 2)[1:-1].round().astype(int)
        chosen += [*anchors, *(on_the_way[picks] if len(on_the_way) else [])]
    return sorted({int(row) for row in chosen})


def _next(demonstration: LabelledEpisode) -> NDArray[np.int64]:
    """(T,) the keypose that each frame is on its way to, the last one also when it has been reached."""
    keyposes = demonstration.episode.keyposes
    assert keyposes is not None
    return np.minimum(keyposes.next, len(keyposes.gripper_open) - 1)


def _keyframes(following: Array) -> NDArray[np.bool_]:
    return np.append(False, following[1:] != following[:-1])


def track_of(demonstration: LabelledEpisode, head: Head) -> dict[str, Array]:
    """All of an episode's frames: `pack.TRACKS`."""
    episode = demonstration.episode
    assert episode.tool_poses_world is not None
    following = _next(demonstration)
    times = [seen.time_s for seen in episode.observations] if head == "chunk" else range(len(following))
    is_open = _in_force(demonstration, head)
    return {
        "tool": episode.tool_poses_world,
        "open": is_open,
        "keypose": following,
        "time_s": np.array(times, float),
        "asked": _asked(demonstration),
    }


def _asked(demonstration: LabelledEpisode) -> NDArray[np.bool_]:
    """(T,) True at the first frame and where a keypose was just reached: then a policy would be asked."""
    assert demonstration.episode.keyposes is not None
    asked = _keyframes(demonstration.episode.keyposes.next)
    asked[:1] = True
    return asked


def _in_force(demonstration: LabelledEpisode, head: Head) -> NDArray[np.bool_]:
    """(T,) the gripper's command in force at each frame.

    A keypose includes the wait for the gripper: its command counts once that is over. Chunks wait themselves, and their
    commands begin where the label's events are.
    """
    episode, first = demonstration.episode, demonstration.labels[0]
    if head != "chunk":
        return np.array([_commanded(demonstration, int(phase)) for phase in _next(demonstration)])
    is_open = np.full(len(episode.observations), _commanded(demonstration, 0))
    for waypoint, state in first.path.events:
        if state is not Gripper.UNKNOWN:
            is_open[first.frames[waypoint] :] = state is Gripper.OPEN
    return is_open


def moments(
    demonstration: LabelledEpisode, rows: list[int], config: ActorConfig, number: int, families: list[str]
) -> Iterator[tuple[dict[str, Any], dict[str, Array]]]:
    """Of each row what is known, and what the cameras saw."""
    episode = demonstration.episode
    assert episode.keyposes is not None and episode.tool_poses_world is not None and episode.gripper is not None
    keyposes = episode.keyposes
    following, asked = _next(demonstration), _asked(demonstration)
    is_open = _in_force(demonstration, config.head)
    if demonstration.task not in families:
        families.append(demonstration.task)
    starts = [part.first for part in episode.parts] if not episode.instructions else []
    began = part_began = 0
    for offset, row in enumerate(rows):
        since = max((start for start in starts if start <= row), default=0)
        if since != part_began:
            began, part_began = offset, since
        phase = int(following[row])
        known = {
            "path": demonstration.labels[row].path,
            "episode": number,
            "frame": row,
            "first": offset - began,  # back to the first row of what it does, until the rows are counted
            "key": bool(asked[row]),
            "phase": phase,
            "family": families.index(demonstration.task),
            "tool": episode.tool_poses_world[row],
            "gripper": float(episode.gripper[row]),
            "open": bool(is_open[row]),
            "target": keyposes.tool_poses_world[phase],
            "target_open": bool(keyposes.gripper_open[phase]),
            "touches": np.nan if keyposes.touches is None else float(keyposes.touches[phase]),
            "last": phase == len(keyposes.gripper_open) - 1,
        }
        seen, lenses = _seen(demonstration, row, config)
        yield known | lenses, seen


def lacking(demonstration: LabelledEpisode, config: ActorConfig) -> str:
    """Return which of the policy's needs an episode's images do not meet; "" if they meet all.

    A label set keeps a camera of an episode only if it has an image of every frame, so the first frame tells.
    """
    views = demonstration.episode.observations[0].views
    for name in config.cameras:
        if name not in views:
            return f"the demonstrations have no view {name!r}; there are: {', '.join(views)}"
        if config.needs_depth and (views[name].depth_m is None or views[name].camera is None):
            what = "depth" if views[name].depth_m is None else "calibration"
            others = "`image` and `monolithic` do without"
            return f"view {name!r} has no {what}, which the {config.family} policy needs; {others}"
    return ""


def _seen(demonstration: LabelledEpisode, row: int, config: ActorConfig) -> tuple[dict[str, Array], dict[str, Array]]:
    """The images of the policy's cameras, and their calibration."""
    views = demonstration.episode.observations[row].views
    images: dict[str, Array] = {}
    lenses: dict[str, Array] = {}
    for name in config.cameras:
        view, camera = views[name], views[name].camera
        images[f"rgb_{name}"] = view.rgb
        if config.needs_depth and view.depth_m is not None:
            images[f"depth_{name}"] = (view.depth_m / DEPTH_UNIT_M).round().clip(0, 65535).astype(np.uint16)
        lenses[f"intrinsics_{name}"] = np.full((3, 3), np.nan) if camera is None else camera.intrinsics
        lenses[f"world_from_camera_{name}"] = np.full((4, 4), np.nan) if camera is None else camera.world_from_camera
    return images, lenses


def _commanded(demonstration: LabelledEpisode, phase: int) -> bool:
    """What the gripper was told when the keypose before this phase was reached."""
    episode = demonstration.episode
    assert episode.keyposes is not None and episode.gripper is not None
    return bool(episode.keyposes.gripper_open[phase - 1]) if phase else bool(episode.gripper[0] > HALF_OPEN)
