"""Record a run on a robot: a LeRobotDataset, pictures of the paths, a Rerun recording; never in the way of the loop."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from PIL import Image

from hamster.extras import extra
from hamster.path.draw import draw
from hamster.rollout.robots.result import ControlStep

QUEUE = 64
"""Control steps that may wait to be recorded; more are dropped and counted."""


class StepSink(Protocol):
    """Something that writes control steps, as fast as it can."""

    def write(self, step: ControlStep) -> None:
        """Write one control step."""

    def close(self) -> None:
        """Finish what was written."""


class BackgroundRecorder:
    """Hands control steps to sinks in a thread, so that a slow disk delays no command.

    Args:
        sinks: in order; one that raises gets no more steps, and the log says so.
        log: called with the name of an event and its details.
    """

    def __init__(self, sinks: Sequence[StepSink], log: Callable[..., None]) -> None:
        self._sinks, self._log = list(sinks), log
        self._queue: queue.Queue[ControlStep | None] = queue.Queue(QUEUE)
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self._thread.start()
        self.n_dropped = 0

    def record(self, step: ControlStep) -> None:
        """Record a control step; drop it if too many are waiting."""
        try:
            self._queue.put_nowait(step)
        except queue.Full:
            self.n_dropped += 1

    def close(self) -> None:
        """Write what is waiting and finish the sinks."""
        self._queue.put(None)
        self._thread.join()
        if self.n_dropped:
            self._log("steps_not_recorded", number=self.n_dropped, reason="the disk is too slow")
        for sink in list(self._sinks):
            self._call(sink, sink.close)

    def _run(self) -> None:
        while (step := self._queue.get()) is not None:
            for sink in list(self._sinks):
                self._call(sink, sink.write, step)

    def _call(self, sink: StepSink, function: Callable[..., None], *arguments: Any) -> None:
        try:
            function(*arguments)
        except Exception as error:  # whatever a sink or its library raises: the robot goes on without it
            self._sinks.remove(sink)
            self._log("recording_failed", sink=type(sink).__name__, reason=f"{type(error).__name__}: {error}")


class PathPictures:
    """Writes a picture of every path on the image that it was drawn on: `path-000.png` and so on.

    Args:
        folder: that exists.
    """

    def __init__(self, folder: Path) -> None:
        self._folder, self._last = folder, -1

    def write(self, step: ControlStep) -> None:
        """Write a picture if the path is a new one."""
        if step.path is not None and step.path.number != self._last:
            self._last = step.path.number
            picture = Image.fromarray(draw(step.path.rgb, step.path.path))
            picture.save(self._folder / f"path-{self._last:03d}.png")

    def close(self) -> None:
        """Do nothing: every picture is complete."""


class RerunRecording:
    """Writes a recording for the Rerun viewer: images with the path, measured and commanded tip, gripper.

    Args:
        file: to write, `run.rrd`.

    Raises:
        NotInstalledError: if Rerun is not installed.
    """

    def __init__(self, file: Path) -> None:
        with extra("rerun"):
            import rerun as rr
        self._rr = rr
        self._stream = rr.RecordingStream("hamster")
        self._stream.save(file)
        self._first_s: float | None = None

    def write(self, step: ControlStep) -> None:
        """Log one control step at its time."""
        from hamster.label.rerun_log import log_view

        if self._first_s is None:
            self._first_s = step.newest.captured_s
        self._stream.set_time("time", duration=step.newest.captured_s - self._first_s)
        observation = step.newest.observation
        for number, (name, view) in enumerate(observation.views.items()):
            if number == 0 and step.path is not None:
                log_view(self._rr, self._stream, f"observation.images.{name}", view.rgb, step.path.path)
            else:
                self._stream.log(f"observation.images.{name}", self._rr.Image(view.rgb).compress(jpeg_quality=85))
        measured = np.asarray(observation.tool_pose_world)[:3, 3]
        for name, tip in (("measured_tip", measured), ("commanded_tip", step.tool_pose_world[:3, 3])):
            self._stream.log(f"world/{name}", self._rr.Points3D([tip], radii=0.005))
        self._stream.log("gripper_open", self._rr.Scalars(float(step.gripper_open)))

    def close(self) -> None:
        """Finish the file."""
        self._stream.disconnect()
