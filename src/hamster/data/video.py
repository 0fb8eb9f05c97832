"""Video files: frames by number, read lazily (`hamster.data.video_writer` writes them).

Decoded with PyAV, so AV1 works, too (OpenCV's wheels return no frames of it, without a word). A frame's number is its
rank by presentation time, so a variable frame rate is no matter; a phone's rotation is applied.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import av
import av.error
import numpy as np
from av.video.reformatter import VideoReformatter
from numpy.typing import NDArray

Rgb = NDArray[np.uint8]
MAX_PIXELS = 50_000_000  # of one frame
MAX_FRAMES = 5_000_000
# Playlists (HLS, concat …) make FFmpeg open other files and addresses: only containers of frames are let in.
_OPTIONS = {
    "protocol_whitelist": "file",
    "format_whitelist": "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,mpeg,mpegts,ogg,flv,gif",
}
_WORTH_A_SEEK = 8  # frames; up to there it is quicker to decode what lies between


class VideoFile:
    """The frames of one file, by number. Opened at the first look at one; picklable; every process opens its own.

    Attributes:
        file: the path.
        size: (width, height) of the upright frames, pixels.
        fps: frames per second on average.
        times_s: (T,) float64, when each frame is shown, from the first frame's 0 on.
        start_s: when the first frame is shown by the file's own clock: not 0 where frames before it were dropped.

    Raises:
        ValueError: in one line with the file's name, if it is no video, is cut off, or its frames are too large.
        OSError: if there is no such file or it may not be read.
    """

    def __init__(self, file: str | Path) -> None:
        self.file = Path(file)
        status = self.file.stat()
        index = _index(str(self.file), status.st_size, status.st_mtime_ns)
        self.size, self.fps, self.times_s, self.start_s = index.size, index.fps, index.times_s, index.start_s
        self._index = index
        self._cursor: _Cursor | None = None

    def __len__(self) -> int:
        return len(self._index.pts)

    def __iter__(self) -> Iterator[Rgb]:
        """All frames in order."""
        return self.frames(range(len(self)))

    def frame(self, number: int) -> Rgb:
        """(H, W, 3) uint8. The frame after the one asked for last costs one decoding, any other a seek more.

        Raises:
            IndexError: if there is no such frame.
            ValueError: with the file's name and the frame's number, if it cannot be decoded.
        """
        return self._read(number)

    def frames(self, numbers: Iterable[int]) -> Iterator[Rgb]:
        """The frames with these numbers, in the order asked for: give them sorted, and none is decoded twice."""
        for number in numbers:
            yield self.frame(number)

    def small_frame(self, number: int, side_px: int) -> Rgb:
        """A frame as above, shrunk until its longer side has at most `side_px`.

        Much quicker than to shrink it afterwards: its colours are converted when it is small already.
        """
        return self._read(number, side_px)

    def close(self) -> None:
        """Lets go of the file; the next look opens it again."""
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None

    def _read(self, number: int, side_px: int | None = None) -> Rgb:
        number = range(len(self))[number]
        if self._cursor is None:
            self._cursor = _Cursor(self.file, self._index.pts, self._index.keys)
        return self._cursor.read(number, side_px)

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self.file}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["file"])  # type: ignore[misc]


@dataclass(frozen=True, eq=False)
class _Index:
    """pts: (T,) in the stream's units, ascending; keys: (K,) numbers of the frames that decoding can start from."""

    pts: NDArray[np.int64]
    keys: NDArray[np.intp]
    times_s: NDArray[np.float64]
    start_s: float
    fps: float
    size: tuple[int, int]


@lru_cache(maxsize=64)  # a file of LeRobot's holds many episodes, and each of them asks
def _index(file: str, size_bytes: int, mtime_ns: int) -> _Index:
    """Goes through the file without decoding more than one frame; a file that changed is gone through again."""
    del size_bytes, mtime_ns
    with _opened(Path(file)) as (container, stream):
        stamps, keys = _timestamps(container, stream, Path(file).name)
        base = float(stream.time_base)
        average = float(stream.average_rate or 1)
    pts = np.unique(np.array(stamps, np.int64))
    times_s = (pts - pts[0]) * base
    if len(pts) != len(stamps) or not times_s[-1] < 1e8:
        raise ValueError(f"{Path(file).name}: its timestamps are damaged")
    fps = (len(pts) - 1) / float(times_s[-1]) if len(pts) > 1 else average
    cursor = _Cursor(Path(file), pts, np.zeros(0, np.intp))
    try:
        height, width, _ = cursor.read(0).shape
    finally:
        cursor.close()
    return _Index(pts, np.searchsorted(pts, np.sort(keys)), times_s, float(pts[0]) * base, fps, (width, height))


def _timestamps(container: Any, stream: Any, name: str) -> tuple[list[int], list[int]]:
    """When each frame is shown, and those of the key frames, as the packets say, in the stream's units."""
    stamps: list[int] = []
    keys: list[int] = []
    for packet in container.demux(stream):
        if not packet.size or packet.is_discard:
            continue
        stamp = packet.dts if packet.pts is None else packet.pts
        if packet.is_corrupt or stamp is None:
            raise ValueError(f"{name} is cut off or damaged at frame {len(stamps)} of {_declared(stream) or '?'}")
        stamps.append(stamp)
        if packet.is_keyframe:
            keys.append(stamp)
        if len(stamps) > MAX_FRAMES:
            raise ValueError(f"{name} has more than {MAX_FRAMES:,} frames; cut it into several files")
    if len(stamps) < _declared(stream) or not stamps:
        raise ValueError(f"{name} is cut off: frame {len(stamps)} of {_declared(stream)} is missing")
    return stamps, keys


def _declared(stream: Any) -> int:
    """How many frames the file's table has. The table after edits is the true one; PyAV before 16 does not show it."""
    return len(stream.index_entries) if hasattr(stream, "index_entries") else int(stream.frames)


@contextmanager
def _opened(file: Path) -> Iterator[tuple[Any, Any]]:
    """A container and its first video stream; whatever FFmpeg finds wrong inside becomes a ValueError."""
    try:
        with av.open(str(file), options=_OPTIONS, metadata_errors="replace") as container:
            if not container.streams.video:
                raise ValueError(f"{file.name} has no video in it")
            stream: Any = container.streams.video[0]
            # A stream that no decoder knows has no size.
            width, height = getattr(stream, "width", 0), getattr(stream, "height", 0)
            if not 0 < width * height <= MAX_PIXELS:
                raise ValueError(f"{file.name}: frames of {width} x {height} pixels are not read")
            stream.codec_context.thread_count = 1  # other cores have other videos
            yield container, stream
    except (av.error.FFmpegError, RuntimeError) as error:
        raise ValueError(f"{file.name} is not a video, is cut off or damaged: {_reason(error)}") from None


def _reason(error: Exception) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split())[:120]


class _Cursor:
    """An open file and the number of the frame that would be decoded next."""

    def __init__(self, file: Path, pts: NDArray[np.int64], keys: NDArray[np.intp]) -> None:
        self.file, self.pts, self.keys, self.next = file, pts, keys, 0
        self._stack = ExitStack()
        self._container, self._stream = self._stack.enter_context(_opened(file))
        self._decoded = self._container.decode(self._stream)
        self._to_rgb = VideoReformatter()
        self._last: tuple[int, av.VideoFrame] | None = None

    def read(self, number: int, side_px: int | None = None) -> Rgb:
        try:
            if self._last is None or self._last[0] != number:
                self._last = number, self._find(number)
            return self._upright(self._last[1], side_px)  # the last frame in another size is not decoded again
        except (av.error.FFmpegError, RuntimeError, StopIteration) as error:
            self.next, self._last = len(self.pts), None  # what comes next has to seek
            why = "missing" if isinstance(error, StopIteration) else _reason(error)
            raise ValueError(f"{self.file.name}: frame {number} of {len(self.pts)} cannot be decoded: {why}") from None

    def close(self) -> None:
        self._stack.close()

    def _find(self, number: int) -> av.VideoFrame:
        before = self.keys[: np.searchsorted(self.keys, number, "right")]
        if number < self.next or (len(before) and before[-1] > self.next + _WORTH_A_SEEK):
            self._seek(int(self.pts[number]))
        frame = self._forward_to(number)
        if _stamp(frame) != self.pts[number]:  # the seek went too far, as in files with a wrong table of key frames
            self._seek(int(self.pts[0]))
            frame = self._forward_to(number)
        if frame.is_corrupt or _stamp(frame) != self.pts[number]:
            raise RuntimeError("damaged")
        self.next = number + 1
        return frame

    def _forward_to(self, number: int) -> av.VideoFrame:
        frame = next(self._decoded)
        while _stamp(frame) < self.pts[number]:
            frame = next(self._decoded)
        return frame

    def _seek(self, pts: int) -> None:
        self._container.seek(pts, stream=self._stream)
        self._decoded = self._container.decode(self._stream)

    def _upright(self, frame: av.VideoFrame, side_px: int | None) -> Rgb:
        scale = min(1.0, (side_px or MAX_PIXELS) / max(frame.width, frame.height))
        width, height = (max(1, round(side * scale)) for side in (frame.width, frame.height))
        small = self._to_rgb.reformat(frame, width, height, format="rgb24", interpolation="AREA")
        rgb: Rgb = np.asarray(small.to_ndarray(), np.uint8)
        turns = round(frame.rotation / 90) % 4  # counter-clockwise, like numpy's
        return np.ascontiguousarray(np.rot90(rgb, turns)) if turns else rgb


def _stamp(frame: av.VideoFrame) -> int:
    stamp = frame.dts if frame.pts is None else frame.pts
    if stamp is None:
        raise RuntimeError("it has no time stamp")
    return int(stamp)
