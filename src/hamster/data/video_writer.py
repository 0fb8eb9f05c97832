"""Write H.264 video reproducibly: the same frames give the same bytes."""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np

from hamster.data.video import Rgb

# What H.264 is written with: a key frame every other frame, so that any frame is near one.
ENCODER = {"preset": "veryfast", "crf": "20", "g": "2", "bf": "0", "flags": "+bitexact"}
# On images below SMALL_PX x264's look-ahead reads uninitialised memory: other bytes now and then.
NO_LOOKAHEAD = {"x264-params": "rc-lookahead=0:mbtree=0"}
SMALL_PX = 64
_WRITER_CODEC = "libx264"


class VideoWriter:
    """An H.264 mp4 that frames (H, W, 3) uint8 are added to. One thread and no dates: the same frames, the same bytes.

    Odd sizes keep the full chroma, which every decoder but few players read.

    Attributes:
        frames: added so far.
        size_bytes: of what is encoded so far.
    """

    def __init__(self, file: str | Path, fps: float) -> None:
        if not 0 < fps <= 1000:
            raise ValueError(f"a video needs 0 < fps <= 1000, got {fps}")
        self.file, self.frames, self.size_bytes = Path(file), 0, 0
        self._rate = Fraction(fps).limit_denominator(1001)
        options = {"movflags": "+faststart", "fflags": "+bitexact"}
        self._container = av.open(str(file), "w", format="mp4", options=options)
        self._stream: Any = None

    def add(self, rgb: Rgb, key: bool = False) -> None:
        """Add a frame (H, W, 3) uint8 of the size of the first one; `key` makes it one to start decoding from."""
        if self._stream is None:
            self._stream = self._open(rgb)
        if rgb.shape != (self._stream.height, self._stream.width, 3):
            raise ValueError(f"{self.file.name}: frame {self.frames} is {rgb.shape}, unlike the frames before it")
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), format="rgb24")
        frame.pts, frame.time_base = self.frames, 1 / self._rate
        if key:
            frame.pict_type = av.video.frame.PictureType.I
        self._mux(self._stream.encode(frame))
        self.frames += 1

    def close(self) -> None:
        """Complete the file."""
        if self._stream is not None:
            self._mux(self._stream.encode(None))
        self._container.close()

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def _mux(self, packets: Any) -> None:
        self.size_bytes += sum(packet.size for packet in packets)
        self._container.mux(packets)

    def _open(self, rgb: Rgb) -> Any:
        stream: Any = self._container.add_stream(_WRITER_CODEC, rate=self._rate)
        stream.height, stream.width = rgb.shape[:2]
        stream.pix_fmt = "yuv420p" if rgb.shape[0] % 2 == rgb.shape[1] % 2 == 0 else "yuv444p"
        stream.codec_context.time_base = 1 / self._rate
        stream.codec_context.thread_count = 1
        stream.options = ENCODER | (NO_LOOKAHEAD if min(rgb.shape[:2]) < SMALL_PX else {})
        return stream


def write_video(file: str | Path, frames: Iterable[Rgb], fps: float) -> int:
    """Write frames (H, W, 3) uint8 of one size as an H.264 mp4; return their number.

    Args:
        file: to write.
        frames: (H, W, 3) uint8 RGB.
        fps: frames per second.

    Raises:
        ValueError: if there is none, or their sizes differ.
    """
    with VideoWriter(file, fps) as writer:
        for rgb in frames:
            writer.add(rgb)
    if not writer.frames:
        Path(file).unlink(missing_ok=True)
        raise ValueError(f"no frames for {file}")
    return writer.frames
