"""Choose the camera for the paths where none is given.

Calibrated before uncalibrated, one that stands in the scene before one on the hand, and then the one in which the tool
is in view for longest; among equals the first that the source lists. A camera without a picture, or whose picture stays
the same while the tool moves, is only taken where there is no other.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hamster.data import Episode, View
from hamster.data.lazy import evenly_spaced, without_image
from hamster.geometry import Camera, inverse
from hamster.label.frozen import is_frozen
from hamster.label.nothing_shown import colour_name, in_view, is_one_colour
from hamster.registry import closest

Array = NDArray[np.float64]
PROBES = 8  # frames that are looked at
ABOUT_AS_LONG = 0.05  # of the episode: not worth another camera than the source's first
MOVES_M = 0.02  # the tool moves, and a camera that keeps its place on it by this is fixed to it
CHANGED = 24  # of 255: more than a video's noise
MOSTLY = 0.6  # of the pixels change: the camera moves, not what it sees
MOVES_AS_A_WHOLE = (
    "its image moves as that of a camera on the hand, though its recorded pose is constant: it was assumed to be on "
    "the hand, and where a path was projected, that pose to be right; give world_from_camera per frame"
)
NAMED_FOR_THE_HAND = (
    "its name says that it is on the hand, though its recorded pose is constant: it was assumed to be on the hand, and "
    "where a path was projected, that pose to be right"
)
_ON_HAND = re.compile(
    r"(?:^|[\W_\d])(?:wrist|hand|in_?hand|eye_?in_?hand|gripper|ee|eef|end_?effector|palm|finger|tool)(?:$|[\W_\d])"
    r"|wrist|eye_?in_?hand"
)


@dataclass(frozen=True)
class Choice:
    """The camera that was taken.

    Attributes:
        name: of a view.
        projects: whether it is calibrated, and the tool's poses are known.
        note: which it is and of which, "" where it is the first, or the only one, or was requested.
        colour: of all its images, if they are of one colour each: it shows nothing; else "".
        is_frozen: its image does not change while the tool moves.
        assumed: what was taken for true where its name, pose and images contradict one another; else "".
    """

    name: str
    projects: bool
    note: str = ""
    colour: str = ""
    is_frozen: bool = False
    assumed: str = ""


@dataclass(frozen=True, eq=False)
class _Candidate:
    """What is known of a camera from the frames that were looked at: (frame, view), in order."""

    name: str
    views: Sequence[tuple[int, View]]

    @property
    def cameras(self) -> list[tuple[int, Camera]]:
        return [(frame, view.camera) for frame, view in self.views if view.camera is not None]

    @property
    def has_picture(self) -> bool:
        return any(not is_one_colour(view.rgb) for _, view in self.views)


def choose_camera(episode: Episode, requested: str | None = None) -> Choice:
    """Return the camera for the paths of an episode; `requested` is its name, which may be short or LeRobot's long one.

    Raises:
        ValueError: if there is no such camera, or none at all, or an image cannot be read.
    """
    if not len(episode.observations):
        raise ValueError("an episode without frames")
    candidates = _candidates(episode)
    names = [candidate.name for candidate in candidates]
    if not candidates:
        raise ValueError("no camera has an image of any frame")
    if requested is not None:
        name = named(requested, names)
        return _choice(next(c for c in candidates if c.name == name), episode)
    if len(candidates) == 1:
        return _choice(candidates[0], episode)
    longest = {c.name: _share_in_view(c, episode) for c in candidates}
    order = sorted(range(len(candidates)), key=lambda i: _rank(candidates[i], episode, i, longest))
    best = candidates[order[0]]
    if order[0] == 0:
        return _choice(best, episode)
    kind = "calibrated" if best.cameras else "not calibrated"
    place = "on the hand" if _on_hand(best, episode)[0] else "in the scene"
    return _choice(best, episode, f"camera {best.name} ({kind}, {place}) of {', '.join(names)}")


def named(requested: str, names: Sequence[str]) -> str:
    """Return the one view that a name means: itself, LeRobot's feature, or its last words (`front` for `cam_front`).

    Raises:
        ValueError: if it means none, or several.
    """
    short = re.sub(r"\W", "_", re.sub(r"^(?:observation\.)?(?:images?\.|videos?\.)?", "", requested))
    for wish in (requested, short):
        if wish in names:
            return wish
    meant = [name for name in names if name.endswith(f"_{short}")] or [
        name for name in names if short in re.split(r"[\W_]+", name)
    ]
    if len(meant) == 1:
        return meant[0]
    near = closest(short, names)
    hint = f"it may be any of {', '.join(meant)}" if meant else f"did you mean {near!r}?" if near else ""
    raise ValueError(f"no camera {requested!r}; there are {', '.join(names) or 'none'}" + (f"; {hint}" if hint else ""))


def _candidates(episode: Episode) -> list[_Candidate]:
    """Return the cameras with their views in a few frames: in the first alone where there is nothing to choose from."""
    observations = episode.observations
    total = len(observations)
    first = observations[0]
    several = len(first.views) != 1 or episode.tool_poses_world is not None
    several = several or is_one_colour(next(iter(first.views.values())).rgb)
    probes = evenly_spaced(total, PROBES) if several else [0]
    views_by_name: dict[str, list[tuple[int, View]]] = {}
    for frame in probes:
        for name, view in (first if frame == 0 else observations[frame]).views.items():
            views_by_name.setdefault(name, []).append((frame, view))
    return [_Candidate(name, views) for name, views in views_by_name.items()]


def _choice(candidate: _Candidate, episode: Episode, note: str = "") -> Choice:
    projects = episode.tool_poses_world is not None and bool(candidate.cameras)
    colour = "" if candidate.has_picture else colour_name(candidate.views[0][1].rgb)
    _, assumed = _on_hand(candidate, episode)
    return Choice(candidate.name, projects, note, colour, _is_frozen(candidate, episode), assumed)


def _rank(candidate: _Candidate, episode: Episode, place: int, longest: Mapping[str, float]) -> tuple[object, ...]:
    """Return a sort key: the smaller, the better."""
    best = max(longest.values())
    in_view_as_long = longest[candidate.name] >= best - ABOUT_AS_LONG
    return (
        not candidate.has_picture,
        _is_frozen(candidate, episode),
        not candidate.cameras,
        _on_hand(candidate, episode)[0],
        0.0 if in_view_as_long else best - longest[candidate.name],
        place,
    )


def _is_frozen(candidate: _Candidate, episode: Episode) -> bool:
    poses = episode.tool_poses_world
    if poses is None or len(candidate.views) < 2:
        return False
    tools_m = poses[[frame for frame, _ in candidate.views], :3, 3]
    views = [view for _, view in candidate.views]
    return is_frozen([view.rgb for view in views], tools_m, [view.camera for view in views])


def _share_in_view(candidate: _Candidate, episode: Episode) -> float:
    """Return the share of frames with an image and the tool in it; 0 for an uncalibrated camera."""
    total = len(episode.observations)
    without = without_image(episode.observations, candidate.name)
    pictured = 1 - len(without) / total
    cameras, poses = candidate.cameras, episode.tool_poses_world
    if not cameras or poses is None:
        return pictured if poses is None else 0.0
    if _stands_still([camera for _, camera in cameras]):
        frames = [i for i in range(total) if i not in without]
        inside = in_view(poses[frames, :3, 3], [cameras[0][1]] * len(frames))
        return float(inside.sum()) / total
    frames = [frame for frame, _ in cameras]
    return pictured * float(in_view(poses[frames, :3, 3], [camera for _, camera in cameras]).mean())


def _on_hand(candidate: _Candidate, episode: Episode) -> tuple[int, str]:
    """Return how surely a camera is on the hand, 0 to 2, and what was assumed for that.

    By its motion where that is known, else by its name, else by its images. A pose that is constant proves nothing:
    that of a camera on the hand may have been recorded relative to the hand, or once.
    """
    cameras, poses = candidate.cameras, episode.tool_poses_world
    says_hand = _ON_HAND.search(candidate.name.lower()) is not None
    if poses is not None and len(cameras) > 1:
        tools = poses[[frame for frame, _ in cameras]]
        if np.ptp(tools[:, :3, 3], axis=0).max() > MOVES_M:
            if _stands_still([camera for _, camera in cameras]):
                if _all_changes([view.rgb for _, view in candidate.views]):
                    return 2, f"camera {candidate.name}: {MOVES_AS_A_WHOLE}"
                return (1, f"camera {candidate.name}: {NAMED_FOR_THE_HAND}") if says_hand else (0, "")
            on_tool = np.stack([inverse(t) @ c.world_from_camera for t, (_, c) in zip(tools, cameras, strict=True)])
            return (2 if np.ptp(on_tool[:, :3, 3], axis=0).max() < MOVES_M else 0), ""
    if says_hand or (not cameras and _all_changes([view.rgb for _, view in candidate.views])):
        return 2, ""
    return 0, ""


def _stands_still(cameras: Sequence[Camera]) -> bool:
    poses = np.stack([camera.world_from_camera for camera in cameras])
    return bool(np.ptp(poses, axis=0).max() < 0.01)


def _all_changes(images: Sequence[NDArray[np.uint8]]) -> bool:
    """Return whether most pixels differ from what they are as a rule: everything moves."""
    if len(images) < 3 or len({image.shape for image in images}) > 1:
        return False
    small = np.stack([image[::4, ::4] for image in images]).astype(np.int16)
    differs = np.abs(small - np.median(small, axis=0)).max(-1) > CHANGED
    return float(np.median(differs.mean((1, 2)))) > MOSTLY
