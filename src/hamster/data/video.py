"""Video files: frames by number, read lazily (`hamster.data.video_writer` writes them).

Decoded with PyAV, so AV1 works, too (OpenCV's wheels return no frames of it, without a word). A frame's number is its
rank by presentation time, so a variable frame rate is no matter; a phone's rotation is applied.

FFmpeg fills the parts of a frame that it cannot decode with grey, or with what was there before. Such a frame, and all
that were predicted from it, are damaged and never returned. It notices that in H.264 and MPEG-4, and nearly always in
AV1; in HEVC and VP9 most damage goes unnoticed, as there is no checksum.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
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
_GRAY_BITS = (10, 12, 14, 16)  # of FFmpeg's grey formats that hold more than 8
_WORTH_A_SEEK = 8  # frames; up to there it is quicker to decode what lies between


class DamagedFrameError(ValueError):
    """A frame that cannot be decoded, or only in part; its file may hold others that can be."""


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
        return len(self._index.order.pts)

    def __iter__(self) -> Iterator[Rgb]:
        """Return all frames in order."""
        return self.frames(range(len(self)))

    def frame(self, number: int) -> Rgb:
        """Return (H, W, 3) uint8. The frame after the one asked for last costs one decoding, any other a seek more.

        Raises:
            IndexError: if there is no such frame.
            DamagedFrameError: with the file's name and the frame's number, if it cannot be decoded in full.
        """
        return self._read(number)

    def frames(self, numbers: Iterable[int]) -> Iterator[Rgb]:
        """Yield the frames with these numbers, in the given order: give them sorted, and none is decoded twice."""
        for number in numbers:
            yield self.frame(number)

    def small_frame(self, number: int, side_px: int) -> Rgb:
        """Return a frame as above, shrunk until its longer side has at most `side_px`.

        Much quicker than to shrink it afterwards: its colours are converted when it is small already.
        """
        return self._read(number, side_px)

    @property
    def bits(self) -> int:
        """Bits of a pixel's value: 8 of colour video; 10 to 16 of grey video such as depth."""
        return self._index.bits

    def gray_frame(self, number: int) -> NDArray[np.uint16]:
        """Return a frame of grey video of more than 8 bits, (H, W) as stored: depth.

        Raises:
            ValueError: if the video has colours, or 8 bits.
            DamagedFrameError: if the frame cannot be decoded in full.
        """
        if self.bits <= 8:
            raise ValueError(f"{self.file.name} is colour video, or grey of 8 bits: shades, not metric depth")
        return self._opened_cursor().read_gray(range(len(self))[number])

    def close(self) -> None:
        """Release the file; the next access opens it again."""
        if self._cursor is not None:
            self._cursor.close()
            self._cursor = None

    def _read(self, number: int, side_px: int | None = None) -> Rgb:
        return self._opened_cursor().read(range(len(self))[number], side_px)

    def _opened_cursor(self) -> _Cursor:
        if self._cursor is None:
            self._cursor = _Cursor(self.file, self._index.order)
        return self._cursor

    def __getstate__(self) -> dict[str, Any]:
        return {"file": self.file}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__init__(state["file"])  # type: ignore[misc]


@dataclass(frozen=True, eq=False)
class _Order:
    """In which order frames are shown and decoded; a frame's number is its rank among those shown.

    Attributes:
        pts: (T,) when each is shown, in the stream's units, ascending.
        keys: (K,) numbers of the frames that decoding can start from.
        decoded_at: (T,) rank of each frame in the order of decoding.
        ahead: (T,) the last frame shown of those that are decoded no later than this one, which it may depend on.
    """

    pts: NDArray[np.int64]
    keys: NDArray[np.intp]
    decoded_at: NDArray[np.intp]
    ahead: NDArray[np.intp]

    @classmethod
    def of(cls, stamps: list[int], keys: list[int]) -> _Order:
        """Return the order of frames whose time stamps come as their packets do, and those of the key frames."""
        pts = np.unique(np.array(stamps, np.int64))
        numbers = np.searchsorted(pts, stamps)
        decoded_at, ahead = np.zeros(len(pts), np.intp), np.zeros(len(pts), np.intp)
        decoded_at[numbers], ahead[numbers] = np.arange(len(numbers)), np.maximum.accumulate(numbers)
        return cls(pts, np.searchsorted(pts, np.sort(keys)), decoded_at, ahead)

    def depends_on(self, number: int, other: int) -> bool:
        """Return whether a frame may have been predicted from another one, or is that one."""
        after = self.keys[np.searchsorted(self.keys, other, "right") :]
        return bool(self.decoded_at[number] >= self.decoded_at[other] and (not len(after) or number < after[0]))


@dataclass(frozen=True, eq=False)
class _Index:
    order: _Order
    times_s: NDArray[np.float64]
    start_s: float
    fps: float
    size: tuple[int, int]
    bits: int


@lru_cache(maxsize=64)  # a file of LeRobot's holds many episodes, and each of them asks
def _index(file: str, size_bytes: int, mtime_ns: int) -> _Index:
    """Go through the file without decoding more than one frame; a file that changed is gone through again."""
    del size_bytes, mtime_ns
    with _opened(Path(file)) as (container, stream):
        stamps, keys = _timestamps(container, stream, Path(file).name)
        base = float(stream.time_base)
        average = float(stream.average_rate or 1)
        bits = next((n for n in _GRAY_BITS if stream.pix_fmt == f"gray{n}le"), 8)
    order = _Order.of(stamps, keys)
    pts = order.pts
    times_s = (pts - pts[0]) * base
    if len(pts) != len(stamps) or not times_s[-1] < 1e8:
        raise ValueError(f"{Path(file).name}: its timestamps are damaged")
    fps = (len(pts) - 1) / float(times_s[-1]) if len(pts) > 1 else average
    return _Index(order, times_s, float(pts[0]) * base, fps, _size(Path(file), order), bits)


def _size(file: Path, order: _Order) -> tuple[int, int]:
    """Return width and height of the first frame that can be decoded."""
    cursor = _Cursor(file, order)
    try:
        for number in [0, *order.keys.tolist()]:
            with suppress(DamagedFrameError):
                height, width, _ = cursor.read(number).shape
                return width, height
        height, width, _ = cursor.read(0).shape  # which says what is wrong
        return width, height
    finally:
        cursor.close()


def _timestamps(container: Any, stream: Any, name: str) -> tuple[list[int], list[int]]:
    """Return when each frame is shown, and each key frame, by the packets, in the stream's units."""
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
    """Return the number of frames in the file's table, after edits; PyAV before 16 does not expose that one."""
    return len(stream.index_entries) if hasattr(stream, "index_entries") else int(stream.frames)


@contextmanager
def _opened(file: Path) -> Iterator[tuple[Any, Any]]:
    """Open a container and its first video stream; any error of FFmpeg becomes a ValueError."""
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

    def __init__(self, file: Path, order: _Order) -> None:
        self.file, self.order, self.pts, self.next = file, order, order.pts, 0
        self._stack = ExitStack()
        self._container, self._stream = self._stack.enter_context(_opened(file))
        self._decoded = self._container.decode(self._stream)
        self._waiting: deque[av.VideoFrame] = deque()  # decoded, and not asked for yet
        self._corrupt: list[int] = []  # since the last seek
        self._to_rgb = VideoReformatter()
        self._last: tuple[int, av.VideoFrame] | None = None

    def read(self, number: int, side_px: int | None = None) -> Rgb:
        return self._upright(self._frame(number), side_px)

    def read_gray(self, number: int) -> NDArray[np.uint16]:
        frame = self._frame(number)
        plane = frame.planes[0]
        rows = np.frombuffer(plane, "<u2").reshape(-1, plane.line_size // 2)
        return rows[: frame.height, : frame.width].astype(np.uint16)

    def _frame(self, number: int) -> av.VideoFrame:
        try:
            if self._last is None or self._last[0] != number:
                self._last = number, self._find(number)
            return self._last[1]  # the last frame in another size is not decoded again
        except (av.error.FFmpegError, RuntimeError, StopIteration) as error:
            self.next, self._last = len(self.pts), None  # what comes next has to seek
            why = "missing" if isinstance(error, StopIteration) else _reason(error)
            raise DamagedFrameError(
                f"{self.file.name}: frame {number} of {len(self.pts)} cannot be decoded: {why}"
            ) from None

    def close(self) -> None:
        self._stack.close()

    def _find(self, number: int) -> av.VideoFrame:
        keys = self.order.keys
        before = keys[: np.searchsorted(keys, number, "right")]
        if number < self.next or (len(before) and before[-1] > self.next + _WORTH_A_SEEK):
            self._seek(int(self.pts[number]))
        frame = self._forward_to(number)
        if _stamp(frame) != self.pts[number]:  # the seek went too far, as in files with a wrong table of key frames
            self._seek(int(self.pts[0]))
            frame = self._forward_to(number)
        self.next = number + 1
        self._look_ahead(number, frame)
        if frame.is_corrupt or _stamp(frame) != self.pts[number]:
            raise RuntimeError("damaged")
        if any(self.order.depends_on(number, corrupt) for corrupt in self._corrupt):
            raise RuntimeError("damaged, or predicted from a damaged frame")
        return frame

    def _forward_to(self, number: int) -> av.VideoFrame:
        frame = self._pull()
        while _stamp(frame) < self.pts[number]:
            frame = self._pull()
        return frame

    def _pull(self) -> av.VideoFrame:
        return self._waiting.popleft() if self._waiting else self._decode()

    def _decode(self) -> av.VideoFrame:
        frame: av.VideoFrame = next(self._decoded)
        if frame.is_corrupt:
            self._corrupt.append(int(np.searchsorted(self.pts, _stamp(frame))))
        return frame

    def _look_ahead(self, number: int, frame: av.VideoFrame) -> None:
        """Decode those frames shown later that a frame may have been predicted from."""
        last = self._waiting[-1] if self._waiting else frame
        try:
            while _stamp(last) < self.pts[self.order.ahead[number]]:
                last = self._decode()
                self._waiting.append(last)
        except (av.error.FFmpegError, RuntimeError, StopIteration):
            self.next = len(self.pts)  # of a frame decoded later than this one: what comes next has to seek

    def _seek(self, pts: int) -> None:
        self._container.seek(pts, stream=self._stream)
        self._decoded = self._container.decode(self._stream)
        self._waiting.clear()
        self._corrupt.clear()

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
