"""One run: the closed loop on the simulator's thread, with everything that happens shown as it happens."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from hamster.path import Path2D
from hamster.rollout import rollout
from hamster.rollout.environment import Environment
from hamster.rollout.interfaces import PolicyLike
from hamster.studio.board import Board
from hamster.studio.live import LiveEnvironment, LivePlanner, LivePolicy, RunStoppedByUserError, is_near
from hamster.studio.planning import CancelledError
from hamster.studio.simulator import Simulator, jpeg
from hamster.studio.state import UV, KeyposeState, RunState
from hamster.studio.words import ENDINGS, ending

FRAME_S = 1 / 15
"""Seconds between two images of a run, as long as rendering keeps up."""
HELD_M = 0.01
"""Within which a policy that repeats where the robot is only holds still."""
_SAME_M = 1e-6


class Run:
    """Carries a path out.

    Args:
        simulator: of the scene; this must be its thread.
        board: to show it on.
        policy: that follows the path.
        stop: set to end it.
        is_paced: see `LiveEnvironment`.
    """

    def __init__(
        self, simulator: Simulator, board: Board, policy: PolicyLike, stop: threading.Event, is_paced: bool = True
    ) -> None:
        self._simulator, self._board, self._stop, self._is_paced = simulator, board, stop, is_paced
        self._policy = LivePolicy(policy, self._commanded)
        self._moves: SimpleQueue[tuple[str, UV]] = SimpleQueue()
        self._is_moved = False  # anything, since the run began
        self._ahead: list[NDArray[np.float64]] = []  # commanded poses that are not reached yet
        self._last: tuple[NDArray[np.float64], bool] | None = None  # keypose, and its gripper
        self._seconds, self._shown_s = 0.0, 0.0

    def move(self, name: str, uv: UV) -> None:
        """Move a thing before the next step; may be called from any thread."""
        self._moves.put((name, uv))

    def carry_out(self, path: Path2D | None, instruction: str, replan: Callable[[], Path2D] | None) -> None:
        """Run until the end, which is shown on the board.

        Args:
            path: to follow; None for a robot that has only the instruction.
            instruction: what is to be done.
            replan: asks a planner for another path, after things have been moved; None keeps the path.
        """
        simulator = self._simulator
        done_before = set(simulator.done())
        env = LiveEnvironment(
            simulator.env, instruction, self._stop, self._make_moves, self._after_step, self._is_paced
        )
        planner = None if path is None else LivePlanner(path, replan, lambda: self._is_moved)
        try:
            result = rollout(
                cast(Environment, env),
                planner,
                self._policy,
                replan_every=0 if replan is None else 1,
                video_every=0,
                **simulator.end_conditions,
            )
            outcome, message = str(result.outcome), result.message
        except (RunStoppedByUserError, CancelledError):
            outcome, message = "stopped", ""
            self._change_run(outcome=outcome, message=ENDINGS[outcome])  # before anything that takes time
        done = tuple(fact for fact in simulator.done() if fact not in done_before)
        self._change_run(
            seconds=round(self._seconds, 2), outcome=outcome, message=ending(outcome, message, done), done=done
        )

    def _make_moves(self) -> None:
        while True:
            try:
                name, uv = self._moves.get_nowait()
            except Empty:
                return
            try:
                self._simulator.move(name, uv)
                self._is_moved = True
            except ValueError as error:
                self._board.update(problem=f"It stays where it is: {error}.")

    def _commanded(self, poses: NDArray[np.float64], gripper_open: NDArray[np.bool_]) -> None:
        """Note the keyposes that the policy has just commanded: all before them are behind the robot."""
        new = []
        self._ahead = []
        for pose, is_open in zip(poses, gripper_open.tolist(), strict=True):
            if self._last is not None and is_near(pose, self._last[0], HELD_M) and is_open == self._last[1]:
                continue  # it holds still: that is no keypose of its own
            self._last = pose, is_open
            self._ahead.append(pose)
            new.append(KeyposeState(self._simulator.project(pose), is_open))
        self._change_run(new)

    def _after_step(self, pose_world: NDArray[np.float64]) -> None:
        self._seconds += self._simulator.env.dt_s
        if self._ahead and is_near(pose_world, self._ahead[0], _SAME_M):
            del self._ahead[0]
            self._change_run()
        if self._stop.is_set():
            return  # without an image, which would hold up the end
        now_s = time.monotonic()
        if now_s - self._shown_s >= FRAME_S:
            self._shown_s = now_s
            self._board.show(jpeg(self._simulator.shown_image()))
            self._board.update(things=self._simulator.things())
            self._change_run(seconds=round(self._seconds, 2))

    def _change_run(self, new_keyposes: Sequence[KeyposeState] = (), **changes: Any) -> None:
        """Change the record of the run; all keyposes are reached but those that the robot is on its way to."""
        run = self._board.state.run or RunState()
        keyposes = (*run.keyposes, *new_keyposes)
        n_reached = len(keyposes) - len(self._ahead)
        ticked = tuple(replace(keypose, is_reached=i < n_reached) for i, keypose in enumerate(keyposes))
        self._board.update(run=replace(run, keyposes=ticked, **changes))
