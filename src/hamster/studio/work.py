"""What takes time: planning, and the robot's motion. Each goes on in one of the threads of `jobs.Jobs`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hamster.path import Path2D, PlanError
from hamster.serving.log import log
from hamster.studio import path_edits
from hamster.studio.board import Board
from hamster.studio.jobs import Jobs
from hamster.studio.models import ORACLE, Models
from hamster.studio.planning import CancelledError, ask, with_alternatives, without_refusals
from hamster.studio.run import Run
from hamster.studio.scenery import Scenery
from hamster.studio.simulator import jpeg
from hamster.studio.state import ArmState, ComparisonState, PlanState, RunState, State
from hamster.studio.words import ENDINGS, ending


class Work:
    """Asks planners and moves the robot, and shows on the board what comes of it.

    Attributes:
        path_image: (H, W, 3) that the present path is drawn on.
        present_run: the run, while the robot moves.
        comparison_images: by the index of an arm, how the scene was at the end of its run, as JPEG.

    Args:
        board, jobs, scenery, models: of the session.
        is_paced: see `LiveEnvironment`.
    """

    def __init__(self, board: Board, jobs: Jobs, scenery: Scenery, models: Models, is_paced: bool) -> None:
        self._board, self._jobs, self._scenery, self._models = board, jobs, scenery, models
        self._is_paced = is_paced
        self.path_image: NDArray[np.uint8] = scenery.image
        self.present_run: Run | None = None
        self.comparison_images: dict[int, bytes] = {}

    def preload(self, is_simulated: bool) -> None:
        """Load the models that the first requests will need; what is wrong with them is said when they are used."""
        loads: list[Callable[[], object]] = [self._models.policy] if is_simulated else []
        name = next((name for name in self._board.state.choices.planners if name != ORACLE), None)
        if name is not None:
            loads.insert(0, lambda: self._models.planner(name))
        for load in loads:
            try:
                load()
            except Exception:
                log.debug("preloading failed", exc_info=True)

    def plan(self, request: PlanState, may_refuse: bool, alternatives: bool) -> None:
        """Ask a planner, and take its first answer over as the path; arguments as of `Session.plan`."""
        try:
            answer = self._ask(request, may_refuse, alternatives)
        except CancelledError:
            self._board.update(plan=None, problem="The planner was stopped before it had an answer.")
            return
        except Exception:
            self._board.update(plan=None)
            raise
        self._take(answer)

    def _take(self, answer: PlanState) -> None:
        """Show an answer, and make its path the present one if it has any."""

        def taken(state: State) -> State:
            state = replace(state, plan=answer)
            return path_edits.with_answer(state, 0) if answer.paths else state

        self.path_image = self._scenery.image
        self._board.change(taken)

    def _ask(self, request: PlanState, may_refuse: bool = True, alternatives: bool = False) -> PlanState:
        is_oracle = request.planner == ORACLE
        with self._noted(f"loading {request.planner}"):
            planner = self._scenery.simulator.expert if is_oracle else self._models.planner(request.planner)
        planner = planner if may_refuse else without_refusals(planner)
        planner = with_alternatives(planner) if alternatives else planner

        def show(plan: PlanState) -> None:
            self._board.update(plan=plan)

        return ask(planner, self._scenery.image, request, show, self._jobs.stop.is_set)

    def carry_out(self, path: Path2D, instruction: str, planner: str) -> None:
        """Let the robot follow a path; arguments as of `Session.run`."""

        def replan() -> Path2D:
            self._scenery.publish()
            answer = self._ask(PlanState(planner, instruction))
            self._take(answer)
            if not answer.paths:
                raise PlanError(answer.problem, answer.raw_text)
            run = self._board.state.run or RunState()
            self._board.update(run=replace(run, replans=run.replans + 1))
            return answer.paths[0]

        try:
            with self._noted("loading the policy"):
                policy = self._models.policy()
            self.present_run = Run(self._scenery.simulator, self._board, policy, self._jobs.stop, self._is_paced)
            self.present_run.carry_out(path, instruction, replan if planner else None)
        except Exception:
            self._board.update(run=None)  # it has no end that could be shown
            raise
        finally:
            self.present_run = None
            self._scenery.publish()

    def compare(self, comparison: ComparisonState, path: Path2D | None) -> None:
        """Run the arms of a comparison one after the other, each from the start of the scene, as fast as it goes.

        Args:
            comparison: with the arms, none of which has run.
            path: on the page.
        """
        self.comparison_images = {}
        with self._noted("loading the policy"):
            policy = self._models.policy()
        try:
            for i, arm in enumerate(comparison.arms):
                self._scenery.reopen_scene()
                arm = self._with_path(arm, comparison, path)
                if arm.run is None and not self._jobs.stop.is_set():
                    self._show_arm(i, replace(arm, run=RunState()))
                    run = Run(self._scenery.simulator, self._board, policy, self._jobs.stop, is_paced=False)
                    run.carry_out(arm.path, comparison.instruction, None)
                    arm = replace(arm, run=self._board.state.run)
                self.comparison_images[i] = jpeg(self._scenery.simulator.shown_image())
                self._show_arm(i, arm)
                if self._jobs.stop.is_set():
                    return
        finally:
            self._scenery.reopen_scene()

    def _with_path(self, arm: ArmState, comparison: ComparisonState, path: Path2D | None) -> ArmState:
        """Return an arm with its path, or as one that has ended without any."""
        if arm.name in ("page", "none"):
            return replace(arm, path=path if arm.name == "page" else None)
        is_oracle = arm.name == "oracle"
        planner = self._scenery.simulator.expert if is_oracle else self._models.planner(comparison.planner)
        request = PlanState(ORACLE if is_oracle else comparison.planner, comparison.instruction)
        try:
            answer = ask(planner, self._scenery.image, request, lambda _: None, self._jobs.stop.is_set)
        except CancelledError:
            return replace(arm, run=RunState(outcome="stopped", message=ENDINGS["stopped"]))
        if not answer.paths:
            outcome = "not_in_view" if answer.is_refusal else "plan_error"
            return replace(arm, run=RunState(outcome=outcome, message=ending(outcome, answer.problem, ())))
        return replace(arm, path=answer.paths[0])

    def _show_arm(self, index: int, arm: ArmState) -> None:
        def shown(state: State) -> State:
            assert state.comparison is not None
            arms = tuple(arm if i == index else other for i, other in enumerate(state.comparison.arms))
            return replace(state, comparison=replace(state.comparison, arms=arms))

        self._board.change(shown)

    @contextmanager
    def _noted(self, note: str) -> Iterator[None]:
        """Say on the page what goes on in this block."""
        self._board.update(note=note)
        yield
        self._board.update(note="")
