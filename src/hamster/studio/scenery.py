"""What the page shows and paths are drawn on: the simulated scene, or one of the still pictures."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from numpy.typing import NDArray

from hamster.studio.board import Board
from hamster.studio.errors import invalid, no_simulator
from hamster.studio.path_edits import with_path
from hamster.studio.pictures import Frames, Pictures, Uploads
from hamster.studio.simulator import Simulator, jpeg
from hamster.studio.state import UV, PictureKind, PictureState, State


class Scenery:
    """Holds the scene and the pictures. What touches the scene belongs to the simulator's thread.

    Attributes:
        image: (H, W, 3) that a planner is given.
        tool_uv: place of the tool on it; None where that is not known.

    Args:
        board: to show them on.
        pictures: that were opened at the start, or None.
        uploads: most pictures that pages can send.
    """

    def __init__(self, board: Board, pictures: Pictures | None, uploads: int) -> None:
        self._board, self._uploads = board, Uploads(uploads)
        self._stills: dict[PictureKind, Pictures] = {"upload": self._uploads}
        if pictures is not None:
            self._stills["picture"] = pictures
        self._video: Frames | None = None  # that was uploaded
        self._video_folder: TemporaryDirectory[str] | None = None
        self._simulator: Simulator | None = None
        self._number = 0  # of pictures and scenes so far
        self.image: NDArray[np.uint8] = np.zeros((1, 1, 3), np.uint8)
        self.tool_uv: UV | None = None

    @property
    def simulator(self) -> Simulator:
        """The scene; StudioError if there is none."""
        if self._simulator is None:
            raise no_simulator()
        return self._simulator

    @property
    def is_simulated(self) -> bool:
        """Whether the page shows the simulator."""
        picture = self._board.state.picture
        return picture is not None and picture.kind == "simulator"

    def open_scene(self, suite: str, family: str, seed: int) -> None:
        """Make a scene and show it; the one before stays if there is no such scene (StudioError)."""
        simulator = Simulator(suite, family, seed)
        self.close_scene()
        self._simulator = simulator
        self.show_scene()

    def reopen_scene(self) -> None:
        """Make the same scene once more; the path stays."""
        task = self.simulator.task
        self.close_scene()
        self._simulator = Simulator(task.suite, task.family, task.seed)
        self.publish()
        self._board.update(run=None)

    def show_scene(self) -> None:
        """Show the simulator as a new picture, without a path."""
        self._number += 1
        self.publish()
        task = self.simulator.task
        self._board.change(lambda state: replace(_without_path(state), task=task, instruction=task.instruction))

    def publish(self) -> None:
        """Show the simulator as it is now."""
        self.image, self.tool_uv = self.simulator.image(), self.simulator.tool_uv()
        shown = self.simulator.shown_image()
        picture = PictureState("simulator", "simulator", self._number, shown.shape[1], shown.shape[0])
        self._board.show(jpeg(shown))
        self._board.update(picture=picture, things=self.simulator.things())

    def move(self, name: str, uv: UV) -> None:
        """Move a thing of the scene at rest; StudioError, in words, if that is impossible."""
        try:
            self.simulator.move(name, uv)
        except ValueError as error:
            raise invalid(f"it stays where it is: {error}") from None
        self.publish()

    def add_upload(self, data: bytes, name: str) -> int:
        """Add a picture that a page sent; return its number. StudioError if it is no picture."""
        try:
            return self._uploads.add(data, " ".join(name.split())[:80])
        except ValueError as error:
            raise invalid(str(error)) from None

    def new_video_file(self) -> Path:
        """Return where a video can be stored that a page sends."""
        if self._video_folder is None:
            self._video_folder = TemporaryDirectory(prefix="hamster-studio-")
        return Path(self._video_folder.name) / secrets.token_hex(8)

    def show_video(self, video: Frames) -> None:
        """Show the first frame of a video that a page sent, in place of the one before; ValueError if it is damaged."""
        if self._video is not None:
            self._video.delete()
        self._video = self._stills["video"] = video
        self.show_picture("video", 0)

    def check_picture(self, kind: PictureKind, index: int) -> None:
        """Raise StudioError unless there is a picture of that number."""
        count = len(self._stills.get(kind, ()))
        if not 0 <= index < count:
            raise invalid(f"there is no picture {index}; there are {count}")

    def show_picture(self, kind: PictureKind, index: int) -> None:
        """Show one of the still pictures; ValueError if it cannot be read."""
        pictures = self._stills[kind]
        self.image, self.tool_uv = pictures.read(index), None
        self._number += 1
        height, width, _ = self.image.shape
        picture = PictureState(kind, pictures.name(index), self._number, width, height, index, len(pictures))
        self._board.show(jpeg(self.image))
        self._board.change(lambda state: replace(_without_path(state), picture=picture, things=(), instruction=""))

    def close_scene(self) -> None:
        """Free the scene."""
        if self._simulator is not None:
            self._simulator.close()
            self._simulator = None

    def close(self) -> None:
        """Free the scene, and remove the video that was uploaded."""
        self.close_scene()
        if self._video_folder is not None:
            self._video_folder.cleanup()


def _without_path(state: State) -> State:
    return replace(with_path(state), plan=None, run=None, comparison=None)
