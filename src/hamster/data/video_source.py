"""Action-free video: hands or robots at work, recorded as images only."""

from __future__ import annotations

import glob
import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from hamster.data.annotations import Box, Notes, note_files, read_notes
from hamster.data.inputs import Inputs
from hamster.data.lazy import LazyObservations
from hamster.data.records import Episode, Observation, Provenance, Unreadable, View
from hamster.data.text import natural_key
from hamster.data.video import Rgb, VideoFile

SUFFIXES = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".gif")
CAMERA = "video"


@dataclass(frozen=True)
class Video:
    """The video files that a pattern names, an episode each: `**` goes down into folders, a folder means all below it.

    What a video shows is written beside it (see `hamster.data.annotations`), or else in its name.

    Raises:
        ValueError: if there is none.
    """

    pattern: str
    per_shard: int = 1
    _files: tuple[str, ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        pattern = str(Path(self.pattern) / "**") if Path(self.pattern).is_dir() else self.pattern
        files = {file for file in glob.glob(pattern, recursive=True) if _is_video(Path(file))}  # noqa: PTH207
        object.__setattr__(self, "_files", tuple(sorted(files, key=natural_key)))
        if not self._files:
            raise ValueError(f"{self.pattern} names no video; they end in {', '.join(SUFFIXES)}")

    @property
    def uri(self) -> str:
        """video:GLOB."""
        return f"video:{self.pattern}"

    def __len__(self) -> int:
        return len(self._files)

    def __getitem__(self, index: int) -> Episode | Unreadable:
        file = self._files[index]
        try:
            return read_video(file)
        except (ValueError, OSError) as error:
            return Unreadable(file, str(error))

    def inputs(self, index: int) -> Inputs:
        """Return the file, and where notes about it may be."""
        file = Path(self._files[index])
        return Inputs(file.name, [file, *note_files(file)], file.name)


def read_video(file: str | Path) -> Episode:
    """Return one file as an episode; its frames are decoded on access.

    `provenance.extra` holds `fps`, and what else was noted beside the video: `click` (frame, u, v), relative to
    what is left of the frame after `crop` (left, top, right, bottom), relative to the whole frame.

    Raises:
        ValueError: in one line, if it is no video, is cut off, or what stands beside it is damaged.
    """
    file = Path(file)
    video, notes = VideoFile(file), read_notes(file)
    if notes.click is not None and notes.click[0] >= len(video):
        raise ValueError(f"the click is on frame {notes.click[0]}, and {file.name} has {len(video)} frames")
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return Episode(
        instructions=notes.instructions,
        observations=_Frames(video, notes.crop),
        provenance=Provenance(f"video:{file}", file.name, digest, notes.licence, _extra(video, notes)),
    )


def _extra(video: VideoFile, notes: Notes) -> dict[str, object]:
    extra: dict[str, object] = {"fps": video.fps}
    if notes.click is not None:
        extra["click"] = notes.click
    if notes.crop is not None:
        extra["crop"] = notes.crop
    return extra


@dataclass(frozen=True, eq=False)
class _Frames(LazyObservations):
    """Frames of a file, cut to the part that is wanted; quickest to read in order."""

    video: VideoFile
    crop: Box | None

    def __len__(self) -> int:
        return len(self.video)

    def read(self, i: int) -> Observation:
        """Return one frame."""
        return Observation({CAMERA: View(self._cut(self.video.frame(i)))}, None, None, float(self.video.times_s[i]))

    def small(self, i: int, camera: str, side_px: int) -> Rgb:
        """Return a small image; see `SupportsThumbnails`."""
        left, top, right, bottom = self.crop or (0.0, 0.0, 1.0, 1.0)
        width, height = self.video.size
        part = max((right - left) * width, (bottom - top) * height) / max(width, height)
        return self._cut(self.video.small_frame(i, round(side_px / part)))

    def _cut(self, rgb: Rgb) -> Rgb:
        if self.crop is None:
            return rgb
        height, width = rgb.shape[:2]
        left, top, right, bottom = self.crop
        return rgb[round(top * height) : round(bottom * height), round(left * width) : round(right * width)]


def _is_video(file: Path) -> bool:
    return file.suffix.lower() in SUFFIXES and file.is_file()
