"""Frames of a labelled demonstration: which to train on, and what is known at each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import HALF_OPEN
from hamster.data.estimated_depth import depth_estimator_of
from hamster.label.episodes import DEPTH_UNIT_M, LabelledEpisode
from hamster.path import Gripper, Path2D
from hamster.policy.config import ActionType, ActorConfig

Array = NDArray[Any]

# Frames between keyposes are kept up to half-way: nearer to its end, a motion might as well be over.
HALF_WAY, NEAR_M = 0.5, 0.03


def select_frames(demonstration: LabelledEpisode, action_type: ActionType, n_between: int) -> list[int]:
    """Return the frames to train on: the first, those at which a keypose was reached, and some between keyposes.

    Args:
        demonstration: with keyposes.
        action_type: for chunks, which may start anywhere, it is all frames.
        n_between: frames between two keyposes.
    """
    episode = demonstration.episode
    if action_type == "chunk":
        return list(range(len(episode.observations)))
    assert episode.keyposes is not None and episode.tool_poses_world is not None
    tool, is_call = episode.tool_poses_world[:, :3, 3], _policy_calls(demonstration)
    next_keypose = _next_keypose(demonstration)
    selected = []
    for index, keypose in enumerate(episode.keyposes.tool_poses_world[:, :3, 3]):
        frames = np.flatnonzero(next_keypose == index)
        distance = np.linalg.norm(tool[frames] - keypose, axis=-1)
        is_far = distance > max(NEAR_M, HALF_WAY * distance.max(initial=0))
        keyframes = frames[is_call[frames]][:1]
        between = np.setdiff1d(frames[is_far & ~is_call[frames]], keyframes)
        picks = np.linspace(0, len(between) - 1, n_between + 2)[1:-1].round().astype(int)
        selected += [*keyframes, *(between[picks] if len(between) else [])]
    return sorted({int(frame) for frame in selected})


def track(demonstration: LabelledEpisode, action_type: ActionType) -> dict[str, Array]:
    """Return what is known at all T frames of an episode, see `packed_dataset.TRACKS`."""
    episode = demonstration.episode
    assert episode.tool_poses_world is not None
    next_keypose = _next_keypose(demonstration)
    observations = episode.observations
    times = [observation.time_s for observation in observations] if action_type == "chunk" else range(len(next_keypose))
    return {
        "tool": episode.tool_poses_world,
        "open": _commands(demonstration, action_type),
        "keypose": next_keypose,
        "time_s": np.array(times, float),
        "policy_call": _policy_calls(demonstration),
    }


@dataclass(frozen=True, eq=False)
class FrameRecord:
    """One frame to train on.

    Attributes:
        path: from here to where its instruction ends.
        meta: values by the names of `packed_dataset.META`, and the calibration of each camera.
        images: by "rgb_NAME" and "depth_NAME".
    """

    path: Path2D
    meta: dict[str, Any]
    images: dict[str, Array]


def frame_records(
    demonstration: LabelledEpisode, frames: list[int], config: ActorConfig, number: int, families: list[str]
) -> Iterator[FrameRecord]:
    """Yield the records of some frames.

    Args:
        demonstration: with keyposes, and with what `missing_input` asks for.
        frames: ascending.
        config: names the cameras, and whether depth is needed.
        number: of the episode.
        families: names of task families; this one's is appended if it is new.
    """
    episode = demonstration.episode
    assert episode.keyposes is not None and episode.tool_poses_world is not None and episode.gripper is not None
    keyposes = episode.keyposes
    next_keypose, is_policy_call = _next_keypose(demonstration), _policy_calls(demonstration)
    is_open = _commands(demonstration, config.action_type)
    if demonstration.task not in families:
        families.append(demonstration.task)
    starts = [part.first for part in episode.parts] if not episode.instructions else []
    first_row = part_start = 0
    for row, frame in enumerate(frames):
        start = max((start for start in starts if start <= frame), default=0)
        if start != part_start:
            first_row, part_start = row, start
        phase = int(next_keypose[frame])
        images, calibration = _images(demonstration, frame, config)
        meta = {
            "episode": number,
            "frame": frame,
            "first": row - first_row,  # rows back to the first one of this instruction; made absolute by the packer
            "key": bool(is_policy_call[frame]),
            "phase": phase,
            "family": families.index(demonstration.task),
            "tool": episode.tool_poses_world[frame],
            "gripper": float(episode.gripper[frame]),
            "open": bool(is_open[frame]),
            "target": keyposes.tool_poses_world[phase],
            "target_open": bool(keyposes.gripper_open[phase]),
            "contact": np.nan if keyposes.touches is None else float(keyposes.touches[phase]),
            "last": phase == len(keyposes.gripper_open) - 1,
        }
        yield FrameRecord(demonstration.labels[frame].path, meta | calibration, images)


def missing_input(demonstration: LabelledEpisode, config: ActorConfig, estimated_depth: bool = False) -> str:
    """Return what an episode's images lack that the policy needs; "" if nothing.

    A label set keeps a camera of an episode only if it has an image of every frame, so the first frame tells.

    Args:
        demonstration: of a label set.
        config: names the cameras, and whether depth is needed.
        estimated_depth: whether depth that a model estimated is accepted.
    """
    estimator = depth_estimator_of(demonstration.episode.provenance)
    if config.needs_depth and estimator and not estimated_depth:
        return f"depth is estimated by {estimator}, not measured; to train on it all the same, say --estimated-depth"
    views = demonstration.episode.observations[0].views
    for name in config.cameras:
        if name not in views:
            return f"the demonstrations have no view {name!r}; there are: {', '.join(views)}"
        if config.needs_depth and (views[name].depth_m is None or views[name].camera is None):
            missing = "depth" if views[name].depth_m is None else "calibration"
            others = "`image` and `monolithic` do without"
            return f"view {name!r} has no {missing}, which the {config.type} policy needs; {others}"
    return ""


def _images(
    demonstration: LabelledEpisode, frame: int, config: ActorConfig
) -> tuple[dict[str, Array], dict[str, Array]]:
    """Return the images of the policy's cameras, and their calibration, NaN where there is none."""
    views = demonstration.episode.observations[frame].views
    images: dict[str, Array] = {}
    calibration: dict[str, Array] = {}
    for name in config.cameras:
        view, camera = views[name], views[name].camera
        images[f"rgb_{name}"] = view.rgb
        if config.needs_depth and view.depth_m is not None:
            images[f"depth_{name}"] = (view.depth_m / DEPTH_UNIT_M).round().clip(0, 65535).astype(np.uint16)
        pose = np.full((4, 4), np.nan) if camera is None else camera.world_from_camera
        calibration[f"intrinsics_{name}"] = np.full((3, 3), np.nan) if camera is None else camera.intrinsics
        calibration[f"world_from_camera_{name}"] = pose
    return images, calibration


def _next_keypose(demonstration: LabelledEpisode) -> NDArray[np.int64]:
    """Return the index (T,) of the keypose that each frame leads to; the last one also when it has been reached."""
    keyposes = demonstration.episode.keyposes
    assert keyposes is not None
    return np.minimum(keyposes.next, len(keyposes.gripper_open) - 1)


def _keyframes(next_keypose: Array) -> NDArray[np.bool_]:
    """Return (T,) True where a keypose was just reached."""
    return np.append(False, next_keypose[1:] != next_keypose[:-1])


def _policy_calls(demonstration: LabelledEpisode) -> NDArray[np.bool_]:
    """Return (T,) True at the first frame and where a keypose was just reached: then a policy would be called."""
    assert demonstration.episode.keyposes is not None
    is_call = _keyframes(demonstration.episode.keyposes.next)
    is_call[:1] = True
    return is_call


def _commands(demonstration: LabelledEpisode, action_type: ActionType) -> NDArray[np.bool_]:
    """Return the gripper command (T,) in force at each frame.

    A keypose includes the wait for the gripper: its command counts once that is over. Chunks wait themselves, and their
    commands begin where the label's events are.
    """
    episode, first = demonstration.episode, demonstration.labels[0]
    if action_type != "chunk":
        return np.array([_command_before(demonstration, int(phase)) for phase in _next_keypose(demonstration)])
    is_open = np.full(len(episode.observations), _command_before(demonstration, 0))
    for waypoint, state in first.path.events:
        if state is not Gripper.UNKNOWN:
            is_open[first.frames[waypoint] :] = state is Gripper.OPEN
    return is_open


def _command_before(demonstration: LabelledEpisode, phase: int) -> bool:
    """Return the gripper command at the keypose before this phase."""
    episode = demonstration.episode
    assert episode.keyposes is not None and episode.gripper is not None
    return bool(episode.keyposes.gripper_open[phase - 1]) if phase else bool(episode.gripper[0] > HALF_OPEN)
