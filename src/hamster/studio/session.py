"""What people do on the page, and the one state that follows from it. Whoever opens the page sees the same.

A request is checked, changes the state and returns at once. What takes time goes on in a thread of `jobs.Jobs`, and the
pages see it come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from hamster.path import Path2D, PlanError
from hamster.planner.base import validate_instruction
from hamster.studio import path_edits
from hamster.studio.board import Board
from hamster.studio.errors import StudioError, conflict, invalid, no_simulator
from hamster.studio.examples import Examples
from hamster.studio.finetuning import FineTunings
from hamster.studio.jobs import Jobs, check_ready
from hamster.studio.limits import StudioLimits
from hamster.studio.models import ORACLE, Models
from hamster.studio.pictures import Frames, Pictures
from hamster.studio.scenery import Scenery
from hamster.studio.state import (
    UV,
    ArmName,
    ArmState,
    Choices,
    ComparisonState,
    PictureKind,
    PlanState,
    RunState,
    State,
)
from hamster.studio.work import Work

CLOSE_S = 3.0


class Session:
    """The state, and all that changes it. Methods may be called from any thread, and raise StudioError.

    Args:
        models: planners and policy.
        examples: where drawings are kept.
        suites: names of simulated suites to choose from; () for a studio of pictures alone.
        pictures: that were opened at the start, or None.
        limits: on what a page can ask for.
        is_paced: whether the robot moves at its own speed; False as fast as it is computed, for tests.
    """

    def __init__(
        self,
        models: Models,
        examples: Examples,
        suites: Sequence[str] = (),
        pictures: Pictures | None = None,
        limits: StudioLimits | None = None,
        is_paced: bool = True,
    ) -> None:
        self.limits = limits or StudioLimits()
        self._examples = examples
        planners = tuple(name for name in models.planner_names if suites or name != ORACLE)
        choices = Choices(planners, tuple(suites), models.policy_name)
        self.board = Board(State(choices, kept=len(examples), kept_in=str(examples.folder)))
        self._jobs = Jobs(self.board)
        self._scenery = Scenery(self.board, pictures, self.limits.uploads)
        self._fine_tunings = FineTunings(self.board, examples, models)
        self._fine_tunings.restore()
        self._work = Work(self.board, self._jobs, self._scenery, models, is_paced)

    # Scenes and pictures

    def start(self, suite: str = "", family: str = "", seed: int = 0) -> None:
        """Open the first scene, or without a suite the first picture, and load the models meanwhile."""
        if suite:
            self._jobs.submit(self._jobs.simulator, self._scenery.open_scene, suite, family, seed)
        else:
            self._jobs.submit(self._jobs.simulator, self._scenery.show_picture, "picture", 0)
        self._jobs.planner.submit(self._work.preload, bool(suite))

    def new_scene(self, suite: str, family: str, seed: int) -> None:
        """Make another scene; the path that is drawn on the present one is dropped."""
        if suite not in (suites := self.board.state.choices.suites):
            raise invalid(f"there is no suite {suite!r} here; there are {', '.join(suites) or 'none'}")
        self._jobs.begin("loading", note="setting up the scene")
        self._jobs.submit(self._jobs.simulator, self._scenery.open_scene, suite, family, seed)

    def reset(self) -> None:
        """Put everything back to where it was at the start of the scene; the path stays."""
        self._check_simulated()
        self._jobs.begin("loading", note="resetting the scene")
        self._jobs.submit(self._jobs.simulator, self._scenery.reopen_scene)

    def show_picture(self, kind: PictureKind, index: int) -> None:
        """Show one of the pictures, or the simulator again."""
        if kind == "simulator" and self.board.state.task is None:
            raise no_simulator()
        if kind != "simulator":
            self._scenery.check_picture(kind, index)
        self._jobs.begin("loading", note="changing the picture")
        if kind == "simulator":
            self._jobs.submit(self._jobs.simulator, self._scenery.show_scene)
        else:
            self._jobs.submit(self._jobs.simulator, self._scenery.show_picture, kind, index)

    def upload(self, data: bytes, name: str) -> None:
        """Show a picture that a page sent; StudioError (400) if it is none."""
        check_ready(self.board.state)  # before it is decoded
        index = self._scenery.add_upload(data, name)
        self._jobs.begin("loading", note="reading the picture")
        self._jobs.submit(self._jobs.simulator, self._scenery.show_picture, "upload", index)

    def new_video_file(self) -> Path:
        """Return where a video can be stored that a page sends; StudioError (409) if something goes on."""
        check_ready(self.board.state)  # before it is received
        return self._scenery.new_video_file()

    def show_video(self, file: Path, name: str) -> None:
        """Show the first frame of a video that a page sent; StudioError (400) if it is none.

        Args:
            file: where `new_video_file` said; belongs to the session from now on.
            name: for people.
        """
        try:
            video = Frames(file, " ".join(name.split())[:80])
            self._jobs.begin("loading", note="reading the video")
        except (ValueError, StudioError) as error:
            file.unlink()
            raise error if isinstance(error, StudioError) else invalid(str(error)) from None
        self._jobs.submit(self._jobs.simulator, self._scenery.show_video, video)

    def move(self, name: str, uv: UV) -> None:
        """Move a thing in the simulator, also while the robot moves."""
        self._check_simulated()
        if (run := self._work.present_run) is not None:
            run.move(name, uv)
        elif (state := self.board.state).status == "comparing":
            check_ready(state)  # all of these runs begin alike
        else:
            self._jobs.submit_beside(self._scenery.move, name, uv)

    # The path

    def plan(self, planner: str, instruction: str, may_refuse: bool = True, alternatives: bool = False) -> None:
        """Ask a planner for the path of an instruction.

        Args:
            planner: one of the choices.
            instruction: in plain English.
            may_refuse: False for its guess where it would say that nothing of the kind is in view.
            alternatives: whether several answers are drawn.
        """
        request = PlanState(self._checked_planner(planner), _checked(instruction))
        if planner == ORACLE:
            self._check_simulated()

        def begun(state: State) -> State:
            return replace(path_edits.with_path(state), plan=request, run=None, instruction=request.instruction)

        self._jobs.begin("planning", begun)
        thread = self._jobs.simulator if planner == ORACLE else self._jobs.planner
        self._jobs.submit(thread, self._work.plan, request, may_refuse, alternatives)

    def choose(self, index: int) -> int:
        """Take one of the planner's answers as the path; return its version."""
        return self._change_path(lambda state: path_edits.with_answer(state, index))

    def draw(self, uv: Sequence[UV], version: int) -> int:
        """Make a stroke the path, or its continuation; see `path_edits.with_stroke`.

        Args:
            uv: (u, v) relative to the image, as a pointer recorded them.
            version: of the path that the page shows.

        Returns:
            The version of the new path.
        """
        tool_uv, most = self._scenery.tool_uv, self.limits.waypoints
        return self._change_path(lambda state: path_edits.with_stroke(state, uv, tool_uv, most), version)

    def edit(self, path: Path2D | None, version: int) -> int:
        """Replace the path by one that was changed by hand, or clear it.

        Args:
            path: or None.
            version: of the path that the page shows.

        Returns:
            The version of the new path.
        """
        if path is not None:
            path_edits.checked(path, self.limits.waypoints)
        return self._change_path(lambda state: path_edits.with_edited_path(state, path), version)

    def keep(self, instruction: str) -> bool:
        """Keep the path as an example, with its picture; return False if that is done already."""
        words, state = _checked(instruction), self.board.state
        if state.path is None or state.origin is None:
            raise _no_path()
        is_new = self._examples.keep(self._work.path_image, words, state.path, state.origin)
        self.board.update(kept=len(self._examples), is_path_kept=True, instruction=words)
        return is_new

    def export(self) -> Iterator[bytes]:
        """Return the kept examples as a zip archive, in parts; StudioError if there are none, or too much of them."""
        return self._examples.archive(self.limits.export_bytes)

    def fine_tune(self, planner: str, steps: int) -> None:
        """Fine-tune a planner on the kept examples; see `FineTunings.start`."""
        self._fine_tunings.start(planner, steps)

    def continue_fine_tuning(self) -> None:
        """Go on with the fine-tuning that was interrupted."""
        self._fine_tunings.resume()

    def cancel_fine_tuning(self) -> None:
        """End the fine-tuning; the planners that there are stay."""
        self._fine_tunings.cancel()

    # The robot

    def run(self, instruction: str = "", replan_with: str = "") -> None:
        """Let the robot follow the path.

        Args:
            instruction: what the path carries out; "" for the task of the scene.
            replan_with: the planner that is asked for another path when something has been moved; "" for none.
        """
        self._check_simulated()
        state = self.board.state
        if state.path is None:
            raise _no_path()
        planner = self._checked_planner(replan_with) if replan_with else ""
        words = _checked(instruction or (state.task.instruction if state.task else ""))
        self._jobs.begin("running", lambda state: replace(state, instruction=words, run=RunState()))
        self._jobs.submit(self._jobs.simulator, self._work.carry_out, state.path, words, planner)

    def compare(self, planner: str, instruction: str = "") -> None:
        """Run from the start of the scene along the expert's path, the planner's, the one on the page, and without one.

        Args:
            planner: one of the choices; "" or the expert for none.
            instruction: for all of them; "" for the task of the scene.
        """
        self._check_simulated()
        state, is_planned = self.board.state, planner not in ("", ORACLE)
        words = _checked(instruction or (state.task.instruction if state.task else ""))
        names: list[tuple[ArmName, bool]] = [
            ("oracle", ORACLE in state.choices.planners and self._scenery.simulator.has_expert),
            ("planner", is_planned),
            ("page", state.path is not None),
            ("none", True),
        ]
        name = self._checked_planner(planner) if is_planned else ""
        arms = tuple(ArmState(name) for name, is_there in names if is_there)
        comparison = ComparisonState(self.board.state.number, words, name, arms)
        self._jobs.begin("comparing", lambda state: replace(state, instruction=words, comparison=comparison))
        self._jobs.submit(self._jobs.simulator, self._work.compare, comparison, state.path)

    def comparison_image(self, index: int) -> bytes:
        """Return the end of a run of the comparison as JPEG; StudioError if there is none."""
        try:
            return self._work.comparison_images[index]
        except KeyError:
            raise StudioError(404, "no_such_run", f"there is no run {index} that has ended") from None

    def stop(self) -> None:
        """Stop the robot, or the planner; nothing happens if neither is at work."""
        self._jobs.request_stop()

    def close(self, timeout_s: float = CLOSE_S) -> bool:
        """Stop everything, and free the scene; return whether all has ended within the time."""
        self._fine_tunings.close()
        return self._jobs.close(self._scenery.close, timeout_s)

    def _change_path(self, change: Callable[[State], State], version: int | None = None) -> int:
        """Change the path by hand; StudioError (409) if something goes on, or it has changed since that version."""

        def changed(state: State) -> State:
            check_ready(state)
            if version not in (None, state.path_version):
                raise conflict("path_changed", "the path has been changed from another page: look at it first")
            return replace(change(state), problem="")

        version_now = self.board.change(changed).path_version
        self._work.path_image = self._scenery.image  # not before: a change that is refused leaves the path as it is
        return version_now

    def _check_simulated(self) -> None:
        if not self._scenery.is_simulated:
            raise no_simulator()

    def _checked_planner(self, name: str) -> str:
        if name not in (names := self.board.state.choices.planners):
            raise invalid(f"there is no planner {name!r} here; there are {', '.join(names) or 'none'}")
        return name


def _no_path() -> StudioError:
    return conflict("no_path", "there is no path yet: type an instruction, or draw one")


def _checked(instruction: str) -> str:
    try:
        return validate_instruction(instruction)
    except PlanError as error:
        raise invalid(error.reason) from None
