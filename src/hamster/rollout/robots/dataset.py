"""Record a run on a robot as a LeRobotDataset: raw frames on the disk while it runs, the dataset at its end."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import Observation, View
from hamster.extras import extra
from hamster.geometry import quaternion_from_matrix
from hamster.rollout.robots.result import ControlStep

Array = NDArray[np.float64]


class SpooledFrames(Sequence[Observation]):
    """Observations whose images lie in files of raw frames, one per camera; read one at a time.

    Args:
        folder: of the files.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._without_images: list[Observation] = []  # the views have cameras, and arrays of no size
        self._kinds: dict[str, tuple[tuple[int, ...], np.dtype[Any]]] = {}  # of the frames in each file
        self._files: dict[str, IO[bytes]] = {}

    def append(self, observation: Observation, time_s: float) -> None:
        """Add an observation.

        Raises:
            ValueError: if an image has another size than those before.
            OSError: if it cannot be written.
        """
        for name, view in observation.views.items():
            self._write(f"{name}.rgb", view.rgb)
            if view.depth_m is not None:
                self._write(f"{name}.depth", view.depth_m)
        views = {name: self._emptied(view) for name, view in observation.views.items()}
        self._without_images.append(replace(observation, views=views, time_s=time_s))

    def close(self) -> None:
        """Close the files for writing."""
        for file in self._files.values():
            file.close()

    def __len__(self) -> int:
        return len(self._without_images)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"frame {index} of {len(self)}")
        index %= len(self)
        record = self._without_images[index]
        views = {}
        for name, view in record.views.items():
            depth_m = None if view.depth_m is None else self._read(f"{name}.depth", index)
            views[name] = View(self._read(f"{name}.rgb", index), depth_m, view.camera)
        return replace(record, views=views)

    @staticmethod
    def _emptied(view: View) -> View:
        depth_m = None if view.depth_m is None else np.zeros((0, 0), np.float32)
        return View(np.zeros((0, 0, 3), np.uint8), depth_m, view.camera)

    def _write(self, name: str, frame: NDArray[Any]) -> None:
        kind = frame.shape, frame.dtype
        if name not in self._files:
            self._kinds[name], self._files[name] = kind, (self._folder / name).open("wb")
        if self._kinds[name] != kind:
            raise ValueError(f"{name} is {frame.shape} {frame.dtype}; the frames before are {self._kinds[name]}")
        self._files[name].write(np.ascontiguousarray(frame).tobytes())

    def _read(self, name: str, index: int) -> NDArray[Any]:
        shape, dtype = self._kinds[name]
        count = int(np.prod(shape))
        with (self._folder / name).open("rb") as file:
            frame = np.fromfile(file, dtype, count, offset=index * count * dtype.itemsize)
        return frame.reshape(shape)


class DatasetRecorder:
    """Writes the control steps of a run as a LeRobotDataset of one episode.

    A row is an observation and the command that was sent upon it. The planner's path is at the row from which on it
    was in force. Needs the extra `data`.

    Args:
        folder: of the dataset; its parent exists.
        instruction: of the task.
    """

    def __init__(self, folder: Path, instruction: str) -> None:
        with extra("data"):
            import pyarrow  # noqa: F401  # to be missed before the robot moves, not after
        self._folder, self._instruction = folder, instruction
        self._spool = folder.with_name(f".{folder.name}.frames")
        self._spool.mkdir()
        self._frames = SpooledFrames(self._spool)
        self._first_s: float | None = None
        self._last_s = -np.inf
        self._states: list[Array] = []
        self._actions: list[Array] = []
        self._traces: list[list[str]] = []
        self._path_number = -1

    def write(self, step: ControlStep) -> None:
        """Add a control step, unless its observation was recorded before."""
        from hamster.data.lerobot import trace_content

        captured_s = step.newest.captured_s
        if captured_s <= self._last_s:
            return
        if self._first_s is None:
            self._first_s = captured_s
        observation = step.newest.observation
        self._frames.append(observation, captured_s - self._first_s)
        self._last_s = captured_s
        opening = 1.0 if observation.gripper is None else observation.gripper
        self._states.append(_row(np.asarray(observation.tool_pose_world), opening))
        self._actions.append(_row(step.tool_pose_world, float(step.gripper_open)))
        traces = []
        if step.path is not None and step.path.number != self._path_number:
            self._path_number = step.path.number
            traces = [trace_content(step.path.path, self._instruction)]
        self._traces.append(traces)

    def close(self) -> None:
        """Write the dataset, if anything was recorded, and remove the raw frames."""
        from hamster.label.export.clips import Clip, survey_clips
        from hamster.label.export.lerobot import write_clips

        self._frames.close()
        if len(self._frames):
            clip = Clip(
                self._frames, next(iter(self._frames[0].views)), self._traces, [self._instruction] * len(self._frames),
                (), np.stack(self._states), np.stack(self._actions),
            )  # fmt: skip
            part = self._folder.with_name(f".{self._folder.name}.part")
            part.mkdir()
            write_clips(part, survey_clips([clip]), [clip])
            part.rename(self._folder)
        shutil.rmtree(self._spool)


def _row(pose: Array, opening: float) -> Array:
    """Return position, quaternion (w, x, y, z) and opening, (8,)."""
    return np.array([*pose[:3, 3], *quaternion_from_matrix(pose[:3, :3]), opening])
