"""Shared parts of the strict parsers: a cursor over the text, one <ans> block, and checks of its content."""

from __future__ import annotations

import re
from typing import NoReturn

import numpy as np

from hamster.dialects.marks import excerpt
from hamster.path.error import PlanError
from hamster.path.path import Gripper, Path2D

MAX_POINTS = 100  # a path has two to ten; a thousand are a model that repeats itself
MAX_CHARACTERS = 1 << 20
_SPACE = re.compile(r"[ \t\r\n]*")


class Scanner:
    """A cursor over `text[at:end]` that skips white space and fails with the place where it stands."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at, self.end = self._answer()

    def fail(self, what: str, at: int | None = None) -> NoReturn:
        """Raise a PlanError that names the character (counted from 0)."""
        raise PlanError(f"{what} at character {self.at if at is None else at}", self.text)

    def skip_space(self) -> None:
        """Move past ASCII white space."""
        hit = _SPACE.match(self.text, self.at, self.end)
        self.at = hit.end() if hit else self.at

    def accept(self, literal: str) -> bool:
        """Move past white space and, if it comes next, this literal."""
        self.skip_space()
        if not self.text.startswith(literal, self.at, self.end):
            return False
        self.at += len(literal)
        return True

    def expect(self, literal: str) -> None:
        """Move past a literal that has to come next."""
        if not self.accept(literal):
            self.fail(f"expected {literal!r}, found {self.next_excerpt()}")

    def match(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        """Move past white space and, if it comes next, this pattern."""
        self.skip_space()
        hit = pattern.match(self.text, self.at, self.end)
        if hit:
            self.at = hit.end()
        return hit

    def next_excerpt(self) -> str:
        """Return an excerpt of what comes next, for messages."""
        return excerpt(self.text, self.at, self.end)

    def _answer(self) -> tuple[int, int]:
        """Return start and end of the text between the only <ans> and its </ans>; text around them is allowed."""
        if len(self.text) > MAX_CHARACTERS:
            self.fail(f"the answer is longer than {MAX_CHARACTERS} characters", MAX_CHARACTERS)
        start = self.text.find("<ans>")
        close = self.text.find("</ans>")
        if start < 0:
            self.fail("no <ans> tag" + (" before </ans>" if close >= 0 else ""), max(close, 0))
        again = self.text.find("<ans>", start + 5)
        if 0 <= close < start:
            self.fail("</ans> before any <ans>", close)
        if close < 0:
            self.fail(f"cut off: <ans> at character {start} is never closed; the text ends", len(self.text))
        if again >= 0:
            self.fail(f"a second <ans>, after the one at character {start}: which answer is meant?", again)
        if (extra := self.text.find("</ans>", close + 6)) >= 0:
            self.fail("a second </ans>", extra)
        return start + 5, close


class Waypoints:
    """Collects points and actions.

    The state is unknown before the first action, and an action belongs to the point before it.
    """

    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._uv: list[tuple[float, float]] = []
        self._gripper: list[Gripper] = []
        self._acted = False

    def point(self, u: float, v: float, at: int) -> None:
        """Add a point that starts at character `at`.

        Args:
            u, v: relative image coordinates.
            at: the character where the point begins.
        """
        if len(self._uv) == MAX_POINTS:
            self._scanner.fail(f"more than {MAX_POINTS} points", at)
        self._uv.append((u, v))
        self._gripper.append(self._gripper[-1] if self._gripper else Gripper.UNKNOWN)
        self._acted = False

    def act(self, state: Gripper, at: int) -> None:
        """Set the state from the last point on."""
        if not self._uv:
            self._scanner.fail("a gripper action before any point", at)
        if self._acted:
            self._scanner.fail(f"a second gripper action for point {len(self._uv)}", at)
        self._gripper[-1] = state
        self._acted = True

    def path(self) -> Path2D:
        """Return the path of everything collected; fail if that is nothing."""
        if not self._uv:
            self._scanner.fail("the answer has no points")
        return Path2D(np.array(self._uv), np.array(self._gripper, np.int8))


def sayable_events(path: Path2D) -> dict[int, Gripper]:
    """Return the gripper events by waypoint; ValueError if no dialect can express this path."""
    if len(path) > MAX_POINTS:
        raise ValueError(f"{len(path)} waypoints are more than the {MAX_POINTS} that are read back: simplify first")
    events = dict(path.events)
    if Gripper.UNKNOWN in events.values():
        raise ValueError("the gripper's state becomes unknown after it was known; there are no words for that")
    return events
