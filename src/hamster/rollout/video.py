"""The video of a rollout: the front camera with the current path drawn, as an mp4 (H.264)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.path import Path2D
from hamster.path.draw import draw

Rgb = NDArray[np.uint8]
LINE_WEIGHT = 1.8  # of the published line width, which is made for models and is thin for people
CODECS = ("libx264", "libopenh264", "mpeg4")  # the first that this PyAV was built with


@dataclass(frozen=True, eq=False)
class Video:
    """Frames of the front camera, and the path in use at each.

    Attributes:
        frames: (T, H, W, 3) uint8.
        path_index: (T,) into `paths`, -1 where there was no path.
        fps: frames per second for real time.
        paths: of the rollout, in order.
    """

    frames: NDArray[np.uint8]
    path_index: NDArray[np.int64]
    fps: float
    paths: tuple[Path2D, ...] = ()

    def drawn(self, width_px: int | None = None) -> list[Rgb]:
        """Return the frames (H, W, 3), each with the path in use; `width_px` scales them, None keeps their size."""
        pictures = []
        for frame, index in zip(self.frames, self.path_index, strict=True):
            picture = frame if width_px is None else scaled(frame, width_px)
            pictures.append(picture if index < 0 else draw(picture, self.paths[index], weight=LINE_WEIGHT))
        return pictures

    def save(self, file: Path | str, width_px: int | None = None) -> Path:
        """Write the frames, with the path drawn on each, as an mp4.

        Args:
            file: ends in .mp4; folders on the way are created.
            width_px: width of the video; None: that of the camera.

        Returns:
            The file.

        Raises:
            ValueError: if there are no frames (the rollout recorded none, `video_every=0`), or for another ending.
        """
        file = Path(file)
        if file.suffix.lower() != ".mp4":
            raise ValueError(f"a video is written as .mp4, not as {file.name!r}")
        if not len(self.frames):
            raise ValueError("this rollout recorded no frames: run it with video_every > 0")
        file.parent.mkdir(parents=True, exist_ok=True)
        encode(file, self.drawn(width_px), self.fps)
        return file


def scaled(rgb: Rgb, width_px: int) -> Rgb:
    """Return an image (H, W, 3) scaled to a width; its proportions stay."""
    height, width = rgb.shape[:2]
    size = (width_px, max(1, round(height * width_px / width)))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.LANCZOS))


def encode(file: Path, frames: Sequence[Rgb], fps: float) -> None:
    """Write an mp4; the file appears when it is complete.

    Args:
        file: to write.
        frames: (H, W, 3) uint8 each, of one size; an odd side, which few players read, gains a row or column.
        fps: frames per second.
    """
    temporary = file.with_name(f".{file.name}.tmp")
    try:
        _encode(temporary, frames, fps)
        temporary.replace(file)
    finally:
        temporary.unlink(missing_ok=True)


def _encode(file: Path, frames: Sequence[Rgb], fps: float) -> None:
    import av  # only needed to save a video

    with av.open(str(file), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = cast(av.VideoStream, container.add_stream(_codec(), rate=max(1, round(fps))))
        height, width = frames[0].shape[:2]
        is_odd = bool(height % 2 or width % 2)
        stream.height, stream.width = height + height % 2, width + width % 2
        stream.pix_fmt, stream.thread_count = "yuv420p", 1
        stream.options = {"preset": "veryfast", "crf": "26"}
        for frame in frames:
            even = np.pad(frame, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge") if is_odd else frame
            for packet in stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)


@lru_cache(maxsize=1)
def _codec() -> str:
    import av

    for name in CODECS:
        if name in av.codecs_available:
            return name
    raise RuntimeError(f"this PyAV can write none of {', '.join(CODECS)}; install av from its official wheels")
