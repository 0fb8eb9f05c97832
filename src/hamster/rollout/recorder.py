"""Records a rollout while it happens."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from hamster.path import Path2D, PlanError
from hamster.rollout.environment import Environment, checked_image
from hamster.rollout.planned_path import PlannedPath
from hamster.rollout.replanning import PlannerAnswer
from hamster.rollout.result import UNMEASURED, Outcome, Rollout
from hamster.rollout.video import Video

T = TypeVar("T")


class RolloutRecorder:
    """Collects the content of a `Rollout` while it runs.

    Args:
        env: to record.
        video_every: control steps per frame of the video; 0 records no video.
    """

    def __init__(self, env: Environment, video_every: int) -> None:
        self._env, self._video_every = env, video_every
        self._frames: list[NDArray[np.uint8]] = []
        self._path_index: list[int] = []
        self.paths: list[Path2D] = []
        self.path_steps: list[int] = []
        self.raw_texts: list[str] = []
        self.planner_s: list[float] = []
        self.policy_s: list[float] = []
        self.n_steps = 0
        self.n_keyposes = 0
        self.n_kept_paths = 0

    @property
    def path(self) -> Path2D | None:
        """The path in use; None before the first."""
        return self.paths[-1] if self.paths else None

    def record_answer(self, answer: PlannerAnswer) -> None:
        """Record the text and the latency of an answer of the planner, whether or not its path is followed."""
        self.planner_s.append(answer.planner_s)
        if isinstance(answer.planned, PlannedPath | PlanError):
            self.raw_texts.append(answer.planned.raw_text)

    def record_path(self, path: Path2D, image_step: int) -> None:
        """Record a path that the policy follows from now on, and the control step of the image it was drawn on."""
        self.paths.append(path)
        self.path_steps.append(image_step)

    def record_first_frame(self) -> None:
        """Record the first frame, once there is a path to draw on it."""
        if self._video_every and not self._frames:
            self._record_frame()

    def step(self) -> None:
        """Count a control step and record a frame every `video_every` of them."""
        self.n_steps += 1
        if self._video_every and self.n_steps % self._video_every == 0:
            self._record_frame()

    def _record_frame(self) -> None:
        self._frames.append(checked_image(self._env))
        self._path_index.append(len(self.paths) - 1)

    def end(self, outcome: Outcome, error: Exception | None = None) -> Rollout:
        """Return the record; the last frame of the video shows the end."""
        is_broken = outcome in UNMEASURED  # there may be no camera any more
        if self._video_every and not is_broken and (not self._frames or self.n_steps % self._video_every):
            self._record_frame()
        return Rollout(
            instruction=self._env.instruction,
            outcome=outcome,
            message="" if error is None else str(error),
            n_steps=self.n_steps,
            n_keyposes=self.n_keyposes,
            paths=tuple(self.paths),
            raw_texts=tuple(self.raw_texts),
            planner_s=tuple(self.planner_s),
            policy_s=tuple(self.policy_s),
            path_steps=tuple(self.path_steps),
            n_kept_paths=self.n_kept_paths,
            video=self._video(),
        )

    def _video(self) -> Video:
        frames = np.stack(self._frames) if self._frames else np.zeros((0, 1, 1, 3), np.uint8)
        fps = 1.0 / (self._env.dt_s * max(1, self._video_every))
        return Video(frames, np.array(self._path_index, np.int64), fps, tuple(self.paths))


def timed(seconds: list[float], function: Callable[[], T]) -> T:
    """Call a function and append its duration to `seconds`, also when it raises."""
    start = time.perf_counter()
    try:
        return function()
    finally:
        seconds.append(time.perf_counter() - start)
