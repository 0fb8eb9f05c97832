"""Calibrate a camera of a source from its episodes: the recorded tool against where it is in the images."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from hamster.data import Episode, Source, Unreadable
from hamster.data.lazy import evenly_spaced
from hamster.geometry import Camera
from hamster.geometry.calibration import CameraFit, UndeterminedCameraError, fit_camera
from hamster.label.image_points import ImagePoints, find_marker, read_clicks, track_points

Array = NDArray[np.float64]
METHODS = ("marker", "tracked", "keypoints")
MAX_PICTURES = 12
TOLERANCE = {"tracked": 0.05}
"""In widths of the image, by method: a tracked tip is the end of a silhouette, not a point. 0.02 for others."""


@dataclass(frozen=True, eq=False)
class CalibrationOptions:
    """How a camera is calibrated.

    Attributes:
        points: "marker", "tracked", "keypoints" (that the source stores), or a JSON file with clicked points.
        intrinsics: (3, 3) in pixels; those of the source if None.
        fit_focal: fit the focal length instead.
        offset_tool_m: of the point in the tool's frame.
        fit_offset: fit that offset, too.
        marker: family of markers; `marker_id`, which one.
        seed: of RANSAC.
    """

    points: str
    intrinsics: Array | None = None
    fit_focal: bool = False
    offset_tool_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    fit_offset: bool = False
    marker: str = "apriltag_36h11"
    marker_id: int | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Calibration:
    """A calibrated camera.

    Attributes:
        camera: its name.
        fit: the camera, residuals, inliers, uncertainty.
        episodes: number of episodes with points.
        pictures: frames (H, W, 3) with the points and the projected tool, and captions.
    """

    camera: str
    fit: CameraFit
    episodes: int
    pictures: Sequence[tuple[NDArray[np.uint8], str]]

    def __str__(self) -> str:
        fit, width = self.fit, self.fit.camera.width
        counts = f"{int(fit.inliers.sum())} of {len(fit.inliers)} points agree, of {self.episodes} episodes"
        return (
            f"{self.camera}: reprojection error {fit.median_px:.2f} px (median; {fit.median_px / width:.2%} of the "
            f"width); projections around the motion are known to {fit.uncertainty:.2%} of the width; {counts}"
        )

    def entry(self) -> dict[str, Any]:
        """Return the camera's entry in meta/cameras.json."""
        camera = self.fit.camera
        return {
            "convention": "opencv",
            "width": camera.width,
            "height": camera.height,
            "intrinsics": camera.intrinsics.tolist(),
            "world_from_camera": camera.world_from_camera.tolist(),
        }


@dataclass
class _Sightings:
    """Points of all episodes, flat, and the frames that are shown in the pictures."""

    poses: list[Array] = field(default_factory=list)
    uv: list[Array] = field(default_factory=list)
    shown: list[tuple[NDArray[np.uint8], str]] = field(default_factory=list)
    at: list[tuple[int, int]] = field(default_factory=list)  # of each picture: the index of its point, of its episode


def calibrate(
    source: Source,
    camera: str | None,
    options: CalibrationOptions,
    episodes: int = 6,
    leave_out: Callable[[str, str], None] = lambda name, reason: None,
) -> Calibration:
    """Calibrate one camera that stands still.

    Args:
        source: of episodes with a recorded tool.
        camera: by name; the only one if None.
        options: which points, and what is known of the camera.
        episodes: at most, spread over the source; those with clicked points if there are any.
        leave_out: called with name and reason for each episode that has no points.

    Raises:
        UndeterminedCameraError: if the points do not determine the camera.
        ValueError: if there is no such camera, the tool was not recorded, or no episode has points.
    """
    first = _first_episode(source, leave_out)
    name = _camera_name(first, camera)
    height, width = _image(first, name).shape[:2]
    clicks = {} if options.points in METHODS else read_clicks(Path(options.points), name, (width, height))
    spread = evenly_spaced(len(source), episodes)
    sightings, used = _Sightings(), 0
    for index in sorted(clicks) if clicks else spread:
        try:
            episode = _episode(source, index)
            points = clicks[index] if clicks else _points(source, index, episode, name, options)
            used += _add(sightings, episode, name, points, index, -(-MAX_PICTURES // len(clicks or spread)))
        except (ValueError, OSError, IndexError) as error:
            leave_out(f"episode {index}", str(error))
    if not used:
        raise ValueError(f"no episode shows where the tool is in the images of camera {name}")
    poses, uv = np.concatenate(sightings.poses), np.concatenate(sightings.uv)
    fit = fit_camera(
        poses, uv * [width, height], (width, height), _intrinsics(first, name, options), options.offset_tool_m,
        options.fit_offset, TOLERANCE.get(options.points, 0.02), options.seed,
    )  # fmt: skip
    return Calibration(name, fit, used, _pictures(sightings, fit, poses, uv * [width, height]))


def _first_episode(source: Source, leave_out: Callable[[str, str], None]) -> Episode:
    for index in range(len(source)):
        try:
            return _episode(source, index)
        except ValueError as error:
            leave_out(f"episode {index}", str(error))
    raise ValueError(f"{source.uri} has no episode with a recorded tool")


def _episode(source: Source, index: int) -> Episode:
    item = source[index]
    if isinstance(item, Unreadable):
        raise ValueError(f"{item.file}: {item.reason}")
    if not isinstance(item, Episode):
        raise ValueError("it is no episode of a robot")
    if item.tool_poses_world is None:
        hint = "; name the robot, --robot NAME, to compute them from its joints" if item.joints is not None else ""
        raise ValueError(f"the tool's poses were not recorded{hint}")
    return item


def _camera_name(episode: Episode, camera: str | None) -> str:
    names = list(episode.observations[0].views)
    if camera is None and len(names) == 1:
        return names[0]
    if camera not in names:
        raise ValueError(f"no camera {camera!r}; say --camera with one of {', '.join(names)}")
    return camera


def _image(episode: Episode, camera: str) -> NDArray[np.uint8]:
    return episode.observations[0].views[camera].rgb


def _intrinsics(episode: Episode, camera: str, options: CalibrationOptions) -> Array | None:
    if options.fit_focal:
        return None
    if options.intrinsics is not None:
        return options.intrinsics
    known: Camera | None = episode.observations[0].views[camera].camera
    if known is None:
        raise ValueError(
            f"the intrinsics of camera {camera} are not known: give them, --intrinsics FX FY CX CY, or --fit-focal"
        )
    return known.intrinsics


def _points(source: Any, index: int, episode: Episode, camera: str, options: CalibrationOptions) -> ImagePoints:
    if options.points == "tracked":
        return track_points(episode, camera)
    if options.points == "marker":
        return find_marker(episode, camera, options.marker, options.marker_id)
    stored: Mapping[str, Array] = source.keypoints_uv(index) if hasattr(source, "keypoints_uv") else {}
    if camera not in stored:
        raise ValueError(f"it has no keypoints of camera {camera}; say --points tracked, marker, or a file of clicks")
    uv = stored[camera]
    inside = np.flatnonzero(np.isfinite(uv).all(1) & (uv > 0).all(1) & (uv < 1).all(1))
    return ImagePoints(inside, uv[inside])


def _add(
    sightings: _Sightings, episode: Episode, camera: str, points: ImagePoints, index: int, max_pictures: int
) -> bool:
    """Add an episode's points with a known tool pose; return whether there are any."""
    tool = episode.tool_poses_world
    assert tool is not None
    if len(points.frames) and points.frames.max() >= len(tool):
        raise ValueError(f"frame {points.frames.max()} does not exist: it has {len(tool)}")
    known = np.isfinite(tool[points.frames]).all((1, 2))
    if not known.any():
        raise ValueError("the tool is not seen in any of its images")
    before = sum(map(len, sightings.uv))
    frames, uv = points.frames[known], points.uv[known]
    sightings.poses.append(tool[frames])
    sightings.uv.append(uv)
    for i in evenly_spaced(len(frames), max_pictures):
        if view := episode.observations[int(frames[i])].views.get(camera):
            sightings.shown.append((view.rgb, f"episode {index}, frame {frames[i]}"))
            sightings.at.append((before + i, len(sightings.uv) - 1))
    return True


def _pictures(sightings: _Sightings, fit: CameraFit, poses: Array, px: Array) -> list[tuple[NDArray[np.uint8], str]]:
    """Return frames with the projected way in red, that frame's tool in a ring, and the seen point in green."""
    projected, depth_m = fit.camera.project(poses[:, :3, :3] @ fit.offset_tool_m + poses[:, :3, 3])
    starts = np.cumsum([0, *map(len, sightings.uv)])
    out = []
    for (rgb, caption), (i, episode) in zip(sightings.shown, sightings.at, strict=True):
        image = Image.fromarray(rgb)
        pen, radius = ImageDraw.Draw(image), max(3.0, rgb.shape[1] / 60)
        way = slice(starts[episode], starts[episode + 1])
        ahead = projected[way][depth_m[way] > 0]
        if len(ahead) > 1:
            pen.line([tuple(at) for at in ahead.tolist()], fill="red", width=max(1, rgb.shape[1] // 320))
        for (x, y), colour in ((projected[i].tolist(), "red"), (px[i].tolist(), "lime")):
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), outline=colour, width=2)
        out.append((np.asarray(image), f"{caption}: {fit.residuals_px[i]:.1f} px"))
    return out


__all__ = ["Calibration", "CalibrationOptions", "UndeterminedCameraError", "calibrate"]
