"""Fine-tunings that a page starts: one at a time, in a process of its own, beside whatever the robot does."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from hamster.serving.log import log
from hamster.studio.board import Board
from hamster.studio.errors import conflict, invalid
from hamster.studio.examples import Examples
from hamster.studio.models import Models
from hamster.studio.state import FineTuningState, State
from hamster.studio.taught_planner import KEPT, KNOWN, RECORD, Recipe

PLANNERS = "planners"
FEWEST_EXAMPLES = 10
COMMAND = (sys.executable, "-m", "hamster.studio.taught_planner")
POLL_S = 0.5
END_S = 5.0
MOST_POINTS = 120
_OUTPUT = "output.log"
_NAME = re.compile(r"taught-(\d{1,9})$")


class FineTunings:
    """The fine-tunings of a folder, each a folder as `hamster train planner` writes it. May be used from any thread.

    Args:
        board: to show them on.
        examples: that are kept, in whose folder they are.
        models: that get the new planners.
    """

    def __init__(self, board: Board, examples: Examples, models: Models) -> None:
        self._board, self._examples, self._models = board, examples, models
        self._folder = examples.folder / PLANNERS
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._is_cancelled = False

    def restore(self) -> None:
        """Offer the planners that are done, and show the newest fine-tuning if it was interrupted."""
        for folder in self._all():
            try:
                recipe = Recipe.read(folder)
            except ValueError as error:
                log.warning("%s", error)
                continue
            if recipe.end == "done":
                self._offer(folder)
            if recipe.end != "cancelled":
                words = "" if recipe.end else "The studio ended before it was done: continue it, or start another one."
                status = "done" if recipe.end else "interrupted"
                self._board.update(fine_tuning=_progress(folder, recipe, status, words))

    def start(self, planner: str, steps: int) -> None:
        """Fine-tune a planner on all examples that are kept now.

        Args:
            planner: the nano planner, or one that was made of it.
            steps: optimiser steps.

        Raises:
            StudioError: if there are too few examples, it is no such planner, or one is being fine-tuned already.
        """
        if (n_examples := len(self._examples)) < FEWEST_EXAMPLES:
            raise conflict(
                "too_few_examples",
                f"a fine-tuning needs at least {FEWEST_EXAMPLES} kept examples, and there are {n_examples}: "
                f"keep {FEWEST_EXAMPLES - n_examples} more",
            )
        base = self._base(planner)
        with self._lock:
            self._check_idle()
            number = max((_number(folder) for folder in self._all()), default=0) + 1
            folder = self._folder / f"{_stem(planner)}-taught-{number}"
            Recipe(base, str(self._examples.folder.resolve()), steps).write(folder)
            self._launch(folder)

    def resume(self) -> None:
        """Go on with the fine-tuning that was interrupted; StudioError if there is none."""
        with self._lock:
            self._check_idle()
            state = self._board.state.fine_tuning
            if state is None or state.status not in ("interrupted", "failed"):
                raise conflict("nothing_to_continue", "there is no fine-tuning to continue")
            self._launch(self._folder / state.name)

    def cancel(self) -> None:
        """End the fine-tuning; nothing happens if there is none."""
        with self._lock:
            if self._process is not None:
                self._is_cancelled = True
                _end(self._process)

    def close(self) -> None:
        """End the process; what it has saved is gone on with when it is continued."""
        with self._lock:
            if self._process is not None:
                _end(self._process)

    def _all(self) -> Iterator[Path]:
        """Yield the folders of fine-tunings, the oldest first."""
        yield from sorted((file.parent for file in self._folder.glob(f"*/{RECORD}")), key=_number)

    def _check_idle(self) -> None:
        if self._process is not None:
            raise conflict("fine_tuning", "a planner is being fine-tuned: wait for it, or cancel it")

    def _base(self, planner: str) -> str:
        """Return the folder of the checkpoint to start from; StudioError if the planner has none of this kind."""
        from hamster.planner.load import find_planner

        if planner not in (names := self._board.state.choices.planners):
            raise invalid(f"there is no planner {planner!r} here; there are {', '.join(names) or 'none'}")
        try:
            folder = find_planner(self._models.place(planner))
            kind = json.loads((folder / "config.json").read_text("utf-8")).get("model_type")
        except (ValueError, OSError, AttributeError):
            kind = None
        if kind != "hamster_nano":
            raise invalid(f"{planner} cannot be fine-tuned here: choose nano, or a planner that was made of it")
        return str(folder.resolve())

    def _launch(self, folder: Path) -> None:
        recipe = Recipe.read(folder)
        self._is_cancelled = False
        with (folder / _OUTPUT).open("wb") as output:
            # A session of its own, so that its own processes end with it.
            self._process = subprocess.Popen(  # noqa: S603  # this interpreter, a module of this package
                [*COMMAND, str(folder)], stdin=subprocess.PIPE, stdout=output, stderr=output, start_new_session=True
            )
        self._board.update(fine_tuning=_progress(folder, recipe, "labelling"))
        threading.Thread(target=self._watch, args=(folder, recipe, self._process), daemon=True).start()

    def _watch(self, folder: Path, recipe: Recipe, process: subprocess.Popen[bytes]) -> None:
        """Show the progress until the process ends, and how it ended."""
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(POLL_S)
                break
            state = _progress(folder, recipe, "training" if (folder / "model").is_dir() else "labelling")
            if state != self._board.state.fine_tuning:
                self._board.update(fine_tuning=state)
        assert process.stdin is not None
        process.stdin.close()
        with self._lock:
            end = "done" if process.returncode == 0 else "cancelled" if self._is_cancelled else ""
            if end:
                replace(recipe, end=end).write(folder)
            if end == "done":
                self._offer(folder)
            words = "" if end else _reason(folder, process.returncode)
            self._board.update(fine_tuning=_progress(folder, recipe, end or "failed", words))
            self._process = None

    def _offer(self, folder: Path) -> None:
        """Add a planner to the choices."""
        self._models.add(folder.name, str(folder / "model"))

        def offered(state: State) -> State:
            planners = tuple(dict.fromkeys([*state.choices.planners, folder.name]))
            return replace(state, choices=replace(state.choices, planners=planners))

        self._board.change(offered)


def _number(folder: Path) -> int:
    match = _NAME.search(folder.name)
    return int(match[1]) if match else 0


def _stem(planner: str) -> str:
    """Return how the names of the planners begin that are made of a planner."""
    stem = _NAME.sub("", Path(planner).name).strip("-")
    return re.sub(r"[^A-Za-z0-9_-]", "-", stem) or "planner"


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process and its children."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(END_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _reason(folder: Path, returncode: int) -> str:
    """Return why a process ended too early, in words."""
    if returncode < 0:
        name = signal.Signals(-returncode).name
        return f"Its process was killed ({name}); what it had saved is there: continue it, or start another one."
    lines = (folder / _OUTPUT).read_text("utf-8", "replace").split("\n")
    last = next((line.strip() for line in reversed(lines) if line.strip()), "it says nothing")
    return f"It failed: {last[:400]}"


def _progress(folder: Path, recipe: Recipe, status: Any, message: str = "") -> FineTuningState:
    """Read how far a fine-tuning is from its logs."""
    train, held_out = (_lines(folder / f"{group}.jsonl") for group in ("train", "held_out"))
    step = int(train[-1]["step"]) if train else 0
    step_s = float(train[-1]["elapsed_s"]) / (step - 1) if step > 1 else None  # a line's time is that before its step
    every = len(train) // MOST_POINTS + 1
    return FineTuningState(
        name=folder.name,
        status=status,
        message=message,
        step=step,
        steps=recipe.steps,
        seconds_left=round(step_s * (recipe.steps - step), 1) if status == "training" and step_s is not None else None,
        loss=tuple((int(line["step"]), float(line["answer"])) for line in train[::every] if "answer" in line),
        kept=_curve(held_out, f"{KEPT}/path", "path"),
        known=_curve(held_out, f"{KNOWN}/path"),
    )


def _curve(lines: list[dict[str, Any]], *names: str) -> tuple[tuple[int, float], ...]:
    """Return steps and values of the first of these metrics that a line has."""
    named = [(line["step"], next((line[name] for name in names if name in line), None)) for line in lines]
    return tuple((int(step), float(value)) for step, value in named if value is not None)


def _lines(file: Path) -> list[dict[str, Any]]:
    """Read a log whose last line may be half written; of steps that were done twice, the newest."""
    by_step = {}
    with suppress(OSError):
        for line in file.read_text("utf-8").split("\n"):
            with suppress(ValueError, KeyError, TypeError):
                values = json.loads(line)
                by_step[values["step"]] = values
    return [by_step[step] for step in sorted(by_step)]
