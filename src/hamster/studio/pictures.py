"""Still pictures to plan and draw on: those of a folder, frames of a video, uploads. A page knows them by number."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from hamster.data.images import MAX_SIDE_PX, decode_image, read_image
from hamster.data.sketch import PICTURES
from hamster.data.text import natural_key
from hamster.data.video import DamagedFrameError, VideoFile

Rgb = NDArray[np.uint8]
IMAGES, VIDEO = "images", "video"


class Pictures(Protocol):
    """A numbered collection of pictures."""

    def __len__(self) -> int:
        """Return how many there are."""

    def name(self, index: int) -> str:
        """Return a picture's name, for people."""

    def read(self, index: int) -> Rgb:
        """Return a picture (H, W, 3) uint8; ValueError if it cannot be read."""


@dataclass(frozen=True)
class Folder:
    """The PNG, JPEG and WebP files of a folder, by name; nothing else in it is ever read."""

    files: tuple[Path, ...]

    def __len__(self) -> int:
        return len(self.files)

    def name(self, index: int) -> str:
        """Return the file's name."""
        return self.files[index].name

    def read(self, index: int) -> Rgb:
        """Read the file."""
        return read_image(self.files[index])


class Frames:
    """The frames of a video.

    Args:
        file: the video.
        name: of it for people, if not the file's own.

    Raises:
        ValueError: in one line, if it is no video.
    """

    def __init__(self, file: Path, name: str = "") -> None:
        self._file, self._name = file, name or file.name
        try:
            self._video = VideoFile(file)
        except ValueError as error:
            raise ValueError(str(error).replace(file.name, self._name)) from None

    def __len__(self) -> int:
        return len(self._video)

    def name(self, index: int) -> str:
        """Return the file's name with the time of the frame."""
        return f"{self._name} at {self._video.times_s[index]:.2f} s"

    def read(self, index: int) -> Rgb:
        """Decode the frame, shrunk as pictures are."""
        try:
            return self._video.small_frame(index, MAX_SIDE_PX)
        except DamagedFrameError as error:
            raise ValueError(str(error).replace(self._file.name, self._name)) from None

    def delete(self) -> None:
        """Close and remove the file."""
        self._video.close()
        self._file.unlink(missing_ok=True)


class Uploads:
    """Pictures that a page sent, in memory, the newest ones.

    Args:
        most: how many.
    """

    def __init__(self, most: int) -> None:
        self._pictures: deque[tuple[str, Rgb]] = deque(maxlen=most)

    def __len__(self) -> int:
        return len(self._pictures)

    def add(self, data: bytes, name: str) -> int:
        """Decode a picture and add it; return its number.

        Args:
            data: PNG, JPEG or WebP.
            name: for people, never used as the name of a file.

        Raises:
            ValueError: in one line, if it is no such picture.
        """
        rgb = decode_image(data, f"the picture {name}".strip(), MAX_SIDE_PX)
        self._pictures.append((name or "upload", rgb))
        return len(self._pictures) - 1

    def name(self, index: int) -> str:
        """Return the name that came with it."""
        return self._pictures[index][0]

    def read(self, index: int) -> Rgb:
        """Return the picture."""
        return self._pictures[index][1]


def _open_folder(folder: Path) -> Folder:
    if not folder.is_dir():
        raise ValueError(f"no folder {str(folder)!r}; say {IMAGES}:DIR with a folder of pictures")
    files = (file for file in folder.iterdir() if file.suffix.lower() in PICTURES and file.is_file())
    pictures = tuple(sorted(files, key=lambda file: natural_key(file.name)))
    if not pictures:
        raise ValueError(f"no pictures in {folder}; need {', '.join(PICTURES)}")
    return Folder(pictures)


_OPENERS: dict[str, Callable[[Path], Pictures]] = {IMAGES: _open_folder, VIDEO: Frames}


def open_pictures(uri: str) -> Pictures | None:
    """Return the pictures of "images:DIR" or "video:FILE"; None for anything else.

    Raises:
        ValueError: if there are none.
        OSError: if the video cannot be opened.
    """
    kind, colon, place = uri.partition(":")
    return _OPENERS[kind](Path(place)) if colon and kind in _OPENERS else None
