"""Where a point of the tool is in an episode's images: clicked, a marker, tracked, or stored as keypoints."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import Episode
from hamster.data.lazy import evenly_spaced
from hamster.data.text import decode_text
from hamster.label.tracking.opencv import opencv
from hamster.registry import closest

Array = NDArray[np.float64]
MAX_BYTES = 64 << 20
MARKERS = ("4x4_50", "5x5_50", "6x6_50", "apriltag_16h5", "apriltag_25h9", "apriltag_36h11", "aruco_original")
MAX_MARKER_FRAMES = 300  # of an episode, spread over it
CLICK_NAMES = ("camera", "episode", "frame", "px")
SURE = 0.5  # of the tracker's best score in the clip: less is a guess


@dataclass(frozen=True, eq=False)
class ImagePoints:
    """Sightings of one point in an episode.

    Attributes:
        frames: (N,) indices of observations.
        uv: (N, 2) relative to the image.
    """

    frames: NDArray[np.intp]
    uv: Array


def read_clicks(file: Path, camera: str, size: tuple[int, int]) -> dict[int, ImagePoints]:
    """Return clicked points by episode.

    Args:
        file: JSON, `[{"camera": "front", "episode": 0, "frame": 12, "px": [310.5, 220.0]}, …]`; pixels of the source's
            images. `camera` may be absent.
        camera: whose points are wanted.
        size: width and height of its images.

    Raises:
        ValueError: in one line, if the file is something else, or has no points of this camera.
    """
    if not file.is_file() or file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{file} is no file of at most {MAX_BYTES >> 20} MiB with clicked points")
    try:
        rows = json.loads(decode_text(file.read_bytes(), file.name))
    except (ValueError, RecursionError):
        raise ValueError(f"{file.name} is not JSON, or cut off") from None
    if not isinstance(rows, list):
        raise ValueError(f'{file.name} is no list of {{"episode": 0, "frame": 0, "px": [x, y]}}')
    clicked: dict[int, list[tuple[int, Array]]] = defaultdict(list)
    for i, row in enumerate(rows):
        episode, frame, px = _click(row, f"{file.name}, point {i}", size)
        if row.get("camera", camera) == camera:
            clicked[episode].append((frame, px))
    if not clicked:
        cameras = sorted({str(row["camera"]) for row in rows if "camera" in row})
        raise ValueError(f"{file.name} has no points of camera {camera}; it has some of {', '.join(cameras) or 'none'}")
    return {
        episode: ImagePoints(np.array([frame for frame, _ in points]), np.array([px for _, px in points]) / size)
        for episode, points in clicked.items()
    }


def _click(row: Any, where: str, size: tuple[int, int]) -> tuple[int, int, Array]:
    unknown = [name for name in row if name not in CLICK_NAMES] if isinstance(row, Mapping) else ["?"]
    if unknown:
        raise ValueError(f"{where}: known are {', '.join(CLICK_NAMES)}, got {unknown[0]!r}")
    episode, frame = row.get("episode", 0), row.get("frame")
    if any(isinstance(n, bool) or not isinstance(n, int) or n < 0 for n in (episode, frame)):
        raise ValueError(f"{where}: episode and frame are numbers from 0 on, got {episode!r} and {frame!r}")
    try:
        px = np.asarray(row.get("px"), np.float64)
    except (TypeError, ValueError):
        px = np.zeros(0)
    if px.shape != (2,) or not np.isfinite(px).all() or (px < 0).any() or (px > size).any():
        raise ValueError(f"{where}: px is [x, y] in an image of {size[0]} x {size[1]}, got {row.get('px')!r}")
    return episode, frame, px


def find_marker(episode: Episode, camera: str, family: str, marker_id: int | None = None) -> ImagePoints:
    """Return the centres of an ArUco or AprilTag marker in an episode's images.

    Args:
        episode: to look through.
        camera: by name.
        family: of `MARKERS`.
        marker_id: which marker of the family; if None, whichever is seen, unless there are several.

    Raises:
        ValueError: for an unknown family, or if several markers are seen and none is named.
    """
    cv2 = opencv()
    if family not in MARKERS:
        near = closest(family, list(MARKERS))
        raise ValueError(f"no markers {family!r}; " + (f"did you mean {near!r}?" if near else ", ".join(MARKERS)))
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f"DICT_{family.upper()}"))
    detector = cv2.aruco.ArucoDetector(dictionary)
    centres: dict[int, list[tuple[int, Array]]] = defaultdict(list)
    for t in evenly_spaced(len(episode.observations), MAX_MARKER_FRAMES):
        view = episode.observations[t].views.get(camera)
        if view is None:
            continue
        corners, ids, _ = detector.detectMarkers(cv2.cvtColor(view.rgb, cv2.COLOR_RGB2GRAY))
        for quad, number in zip(corners, [] if ids is None else ids.ravel().tolist(), strict=False):
            # OpenCV counts from the middle of the first pixel.
            centres[int(number)].append((t, (_crossing(quad.reshape(4, 2)) + 0.5) / view.rgb.shape[1::-1]))
    if marker_id is None and len(centres) > 1:
        raise ValueError(f"several markers are seen: {', '.join(map(str, sorted(centres)))}; say --marker-id")
    sightings = centres.get(marker_id, []) if marker_id is not None else next(iter(centres.values()), [])
    frames, uv = [t for t, _ in sightings], [centre for _, centre in sightings]
    return ImagePoints(np.array(frames, np.intp), np.array(uv).reshape(-1, 2))


def _crossing(corners: Array) -> Array:
    """Return where the diagonals (4 corners, 2) cross: the marker's middle, also in perspective."""
    a, b, c, d = corners.astype(np.float64)
    along = np.linalg.solve(np.stack([c - a, b - d], -1), b - a)
    return np.asarray(a + along[0] * (c - a))


def track_points(episode: Episode, camera: str) -> ImagePoints:
    """Return where the gripper's tip is seen, tracked by its motion in the images.

    Raises:
        ValueError: if the tip cannot be followed; says why.
    """
    from hamster.label.video import track_tip  # who clicks needs no tracker

    track = track_tip(episode, camera)
    if isinstance(track, str):
        raise ValueError(f"the gripper cannot be tracked: {track}")
    frames = np.flatnonzero(track.score > SURE * track.score.max())
    inside = ((track.uv[frames] > 0) & (track.uv[frames] < 1)).all(1)
    return ImagePoints(frames[inside], np.asarray(track.uv[frames[inside]], np.float64))
