"""The robot's own motion as a path on the image (HAMSTER, ICLR 2025, section 4.1.1), from any moment to the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hamster.geometry import Camera, apply, inverse
from hamster.label.gripper import gripper_events, with_start
from hamster.path import Gripper, Path2D
from hamster.path.simplify import EPSILON, kept_waypoints

Array = NDArray[np.float64]
NEAR_M = 0.01  # what is nearer, or behind the camera, is moved to this depth, from where it falls out of view
SAME_PLACE = 0.01  # of the image's sides: less than a tool's tip is wide
OCCLUSION_M = 0.05  # the tip works inside things: a surface this much nearer does not hide it


class Visibility(IntEnum):
    """Visibility of a waypoint in an image."""

    VISIBLE = 0
    OCCLUDED = 1
    OUT_OF_VIEW = 2


@dataclass(frozen=True, eq=False)
class Label:
    """A path with the visibility and the source frame of each waypoint.

    Attributes:
        path: simplified; waypoints out of view lie on the image's border; depths are those of the tool's tip.
        visible: (N,) uint8 of `Visibility`.
        frames: (N,) for each waypoint, the index of the tool pose that it shows.
    """

    path: Path2D
    visible: NDArray[np.uint8]
    frames: NDArray[np.intp]

    @property
    def shows(self) -> bool:
        """True if any waypoint is in the image."""
        return bool((self.visible != Visibility.OUT_OF_VIEW).any())

    def to_json(self) -> dict[str, Any]:
        """Return plain lists, visibility by name."""
        names = [Visibility(int(v)).name.lower() for v in self.visible]
        return {"path": self.path.to_json(), "visible": names, "frames": self.frames.tolist()}

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Label:
        """Return the label that `to_json` wrote."""
        visible = np.array([Visibility[name.upper()] for name in record["visible"]], np.uint8)
        return cls(Path2D.from_json(record["path"]), visible, np.array(record["frames"], np.intp))


def path_from_poses(
    tool_poses_world: ArrayLike,
    gripper: ArrayLike,
    camera: Camera,
    depth_m: NDArray[np.floating[Any]] | None = None,
    epsilon: float = EPSILON,
    tolerance_m: float = OCCLUSION_M,
) -> Label:
    """Project the tool's tip and mark where the gripper changes, and at the start that it is closed, if it is.

    So the policy need not see in the image whether an object is held: a redundant close does no harm.

    Args:
        tool_poses_world: (T >= 1, 4, 4), origin at the tool's tip (not at the flange).
        gripper: (T,) 1 open, 0 closed. With a measured opening that takes values in between, an event belongs to the
            frame at which the fingers start to move; with 0 and 1 alone, to the first frame of the new state.
        camera: of the image on which the path is drawn.
        depth_m: (H, W) that image's depth; 0 or NaN where unknown. Without it nothing counts as occluded.
        epsilon: of the simplification.
        tolerance_m: a waypoint is occluded if the surface seen in its pixel is nearer by more than this.

    Raises:
        ValueError: if the shapes do not fit, or a value is not finite.
    """
    poses, opening = _checked(tool_poses_world, gripper)
    events = with_start(gripper_events(opening), opening)
    return _label(_project_tips(poses[:, :3, 3], camera), events, (0, len(poses)), depth_m, epsilon, tolerance_m)


def project_paths_per_frame(
    tool_poses_world: ArrayLike,
    gripper: ArrayLike,
    cameras: Camera | Sequence[Camera],
    depths_m: Sequence[NDArray[np.floating[Any]] | None] | None = None,
    epsilon: float = EPSILON,
    tolerance_m: float = OCCLUSION_M,
) -> list[Label]:
    """Return for every frame the path from there to the end: replanning needs labels in mid-course too.

    Of what the gripper did before a frame only the state at that frame is part of its path. Arguments as in
    `path_from_poses`, but a camera that moves comes once per frame, and so does the depth. `Label.frames` counts from
    the start of the episode.

    Args:
        tool_poses_world: (T >= 1, 4, 4), metres, origin at the tool's tip.
        gripper: (T,) 1 open, 0 closed.
        cameras: one, or one per frame if it moves.
        depths_m: (H, W) per frame, metres, None where there is none.
        epsilon: of the simplification, relative to the image.
        tolerance_m: a waypoint is occluded if the surface seen in its pixel is nearer by more than this.
    """
    poses, opening = _checked(tool_poses_world, gripper)
    events = with_start(gripper_events(opening), opening)
    return paths_from_events(poses, events, cameras, depths_m, epsilon, tolerance_m)


def paths_from_events(
    tool_poses_world: Array,
    events: list[tuple[int, Gripper]],
    cameras: Camera | Sequence[Camera],
    depths_m: Sequence[NDArray[np.floating[Any]] | None] | None = None,
    epsilon: float = EPSILON,
    tolerance_m: float = OCCLUSION_M,
    span: tuple[int, int] | None = None,
) -> list[Label]:
    """Return paths as `project_paths_per_frame`, with gripper events from a better source than the signal.

    Args:
        events: (frame, new state), in order; a state from before the first frame has a frame below 0.
        span: paths from the first of these frames on alone, to the one before the last; all if None.
    """
    steps = len(tool_poses_world)
    first, stop = span or (0, steps)
    views = [cameras] * steps if isinstance(cameras, Camera) else list(cameras)
    depths = [None] * steps if depths_m is None else list(depths_m)
    if len(views) != steps or len(depths) != steps:
        raise ValueError(f"{steps} poses need as many cameras and depth images, got {len(views)} and {len(depths)}")
    labels: list[Label] = []
    for _, still in groupby(range(first, stop), key=lambda t: _identity(views[t])):
        frames = list(still)
        trajectory = _project_tips(
            tool_poses_world[:, :3, 3], views[frames[0]]
        )  # once, as long as the camera stands still
        labels += [_label(trajectory, events, (t, stop), depths[t], epsilon, tolerance_m) for t in frames]
    return labels


def _checked(tool_poses_world: ArrayLike, gripper: ArrayLike) -> tuple[Array, Array]:
    poses, opening = np.asarray(tool_poses_world, np.float64), np.asarray(gripper, np.float64)
    if poses.ndim != 3 or poses.shape[1:] != (4, 4) or len(poses) == 0 or opening.shape != poses.shape[:1]:
        raise ValueError(f"need poses (T >= 1, 4, 4) and a gripper (T,), got {poses.shape} and {opening.shape}")
    if not (np.isfinite(poses).all() and np.isfinite(opening).all()):
        raise ValueError("tool poses and gripper must be finite")
    return poses, opening


@dataclass(frozen=True, eq=False)
class ProjectedTrajectory:
    """The tip at each frame of an episode, as one camera sees it.

    Attributes:
        px: (T, 2); uv: (T, 2) the same relative to the image, and moved to its border from out of view.
        depth_m: (T,) at least `NEAR_M`.
        visible: (T,) uint8 of `Visibility`, whatever may stand before the tip.
    """

    camera: Camera
    px: Array
    uv: Array
    depth_m: Array
    visible: NDArray[np.uint8]


def _project_tips(tips_world: Array, camera: Camera) -> ProjectedTrajectory:
    tips = apply(inverse(camera.world_from_camera), tips_world)
    in_front = tips[:, 2] > NEAR_M
    tips[:, 2] = np.maximum(tips[:, 2], NEAR_M)
    px = ((tips / tips[:, 2:]) @ camera.intrinsics.T)[:, :2]
    inside = in_front & ((px >= 0) & (px < camera.size_px)).all(-1)
    visible = np.where(inside, Visibility.VISIBLE, Visibility.OUT_OF_VIEW).astype(np.uint8)
    return ProjectedTrajectory(camera, px, np.clip(px / camera.size_px, 0, 1), tips[:, 2], visible)


def _identity(camera: Camera) -> tuple[int, int, bytes, bytes]:
    """Return a key that is equal for cameras that see alike."""
    return camera.width, camera.height, camera.intrinsics.tobytes(), camera.world_from_camera.tobytes()


def _label(
    trajectory: ProjectedTrajectory,
    events: list[tuple[int, Gripper]],
    span: tuple[int, int],
    depth_m: NDArray[np.floating[Any]] | None,
    epsilon: float,
    tolerance_m: float,
) -> Label:
    """Return the path from the first frame of a span to the one before its end."""
    start, stop = span
    uv = trajectory.uv[start:stop]
    ahead = _at_the_ends(uv, [(frame - start, state) for frame, state in events if start <= frame < stop])
    kept, gripper = waypoints(uv, ahead, is_closed(events, start), epsilon)
    frames = kept + start
    visible = trajectory.visible[frames]
    if depth_m is not None:
        visible[(visible == Visibility.VISIBLE) & _hidden(trajectory, frames, depth_m, tolerance_m)] = (
            Visibility.OCCLUDED
        )
    return Label(Path2D(uv[kept], gripper, trajectory.depth_m[frames]), visible, frames)


def is_closed(events: Sequence[tuple[int, Gripper]], start: int) -> bool:
    """Return whether the last event before a frame closed the gripper."""
    earlier = [state for frame, state in events if frame < start]
    return bool(earlier) and earlier[-1] is Gripper.CLOSED


def waypoints(
    uv: Array, ahead: list[tuple[int, Gripper]], closed: bool, epsilon: float
) -> tuple[NDArray[np.intp], NDArray[np.int8]]:
    """Return which points (N, 2) become waypoints, and the gripper's state at each.

    Args:
        uv: where the tip goes from here on.
        ahead: (index into `uv`, new state), in order.
        closed: whether the gripper is closed at the start, which becomes an event there unless another one is there.
        epsilon: of the simplification.
    """
    if closed and not (ahead and ahead[0][0] == 0):
        ahead = [(0, Gripper.CLOSED), *ahead]
    gripper = np.full(len(uv), Gripper.UNKNOWN, np.int8)
    for i, state in ahead:
        gripper[i:] = state
    kept = kept_waypoints(uv, [i for i, _ in ahead], epsilon)
    return kept, gripper[kept]


def _at_the_ends(uv: Array, events: list[tuple[int, Gripper]]) -> list[tuple[int, Gripper]]:
    """Move an event before the tool leaves its start, or after it has reached its end, to that waypoint."""
    if events and np.abs(uv[: events[0][0] + 1] - uv[0]).max() < SAME_PLACE:
        events = [(0, events[0][1]), *events[1:]]
    if events and events[-1][0] > 0 and np.abs(uv[events[-1][0] :] - uv[-1]).max() < SAME_PLACE:
        events = [*events[:-1], (len(uv) - 1, events[-1][1])]
    return events


def _hidden(
    trajectory: ProjectedTrajectory, frames: NDArray[np.intp], depth_m: NDArray[np.floating[Any]], tolerance_m: float
) -> NDArray[np.bool_]:
    """Return whether the surface in a tip's pixel is nearer than the tip; where its depth is unknown, it is not."""
    camera = trajectory.camera
    if depth_m.shape != (camera.height, camera.width):
        raise ValueError(f"depth {depth_m.shape} does not fit the camera's {camera.height} x {camera.width} image")
    u, v = np.clip(trajectory.px[frames], 0, camera.size_px - 1).astype(int).T
    surface_m = np.nan_to_num(np.asarray(depth_m[v, u], np.float64), nan=0.0)
    return np.asarray((surface_m > 0) & (surface_m < trajectory.depth_m[frames] - tolerance_m))
