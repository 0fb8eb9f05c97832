"""Point tracking from frame to frame: pyramidal Lucas-Kanade by default, or another `PointTracker`."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.label.tracking.opencv import opencv

Array = NDArray[np.float64]
WINDOW_PX = 11
LEVELS = 3  # of halvings: steps of 30 pixels, a quarter of a small frame, are found
RETURN_PX = 1.0  # a point that, followed there and back, ends farther from its start is lost


class PointTracker(Protocol):
    """Follows points through a stretch of video. TAPNext or BootsTAPIR fit behind this; `name`, `version` go on record.

    `stretch_s` is how long a stretch it likes to get: what drifts wants to be set anew often.
    """

    name: str
    version: str
    stretch_s: float

    def __call__(self, rgb: NDArray[np.uint8], px: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Track points through a clip; see `PointTracker`.

        Args:
            rgb: (T, H, W, 3) frames in order.
            px: (N, 2) points in the first frame, in pixels, x right, y down.

        Returns:
            (T, N, 2) where they are in each frame, and (T, N) whether that is known there.
        """


class LucasKanade:
    """Pyramidal Lucas-Kanade (Bouguet, 2001) with a check there and back; a point once lost stays lost."""

    name = "lucas-kanade"
    stretch_s = 0.5

    def __init__(self) -> None:
        self.version = str(opencv().__version__)

    def __call__(self, rgb: NDArray[np.uint8], px: Array) -> tuple[Array, NDArray[np.bool_]]:
        """Track points through a clip; see `PointTracker`."""
        cv2 = opencv()
        options = {"winSize": (WINDOW_PX, WINDOW_PX), "maxLevel": LEVELS}
        tracked_px = np.repeat(px[None].astype(np.float32), len(rgb), 0)
        known = np.ones(tracked_px.shape[:2], bool)
        last = cv2.cvtColor(rgb[0], cv2.COLOR_RGB2GRAY)
        for t in range(1, len(rgb) if len(px) else 0):
            now = cv2.cvtColor(rgb[t], cv2.COLOR_RGB2GRAY)
            next_px, status, _ = cv2.calcOpticalFlowPyrLK(last, now, tracked_px[t - 1], None, **options)
            back, again, _ = cv2.calcOpticalFlowPyrLK(now, last, next_px, None, **options)
            near = np.linalg.norm(back - tracked_px[t - 1], axis=-1) < RETURN_PX
            known[t] = known[t - 1] & near & (status[:, 0] == 1) & (again[:, 0] == 1)
            tracked_px[t] = np.where(known[t][:, None], next_px, tracked_px[t - 1])
            last = now
        return tracked_px.astype(np.float64), known
