"""Parsed points and boxes as raw numbers with their characters, before a dialect interprets them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NoReturn

from hamster.path.error import PlanError
from hamster.path.path import Gripper

FILLER = "\f"  # stands for what is no answer: white space that joins nothing, as no reader passes over it
MAX_MARKS = 1000  # boxes and points of all answers together; far more than any model means
STATES = {"open": Gripper.OPEN, "close": Gripper.CLOSED}
WORDS = {Gripper.OPEN: "Open Gripper", Gripper.CLOSED: "Close Gripper"}


class NothingFoundError(PlanError):
    """The text has nothing in the form that was looked for; it may be in another one."""


@dataclass(frozen=True)
class Number:
    """A number as it was printed, and the character where it begins."""

    value: float
    raw: str
    at: int


@dataclass(frozen=True)
class Mark:
    """A point (two numbers, or three with depth) or a box (four) in the dialect's own order and scale.

    Attributes:
        at: the character where it begins.
        event: what the gripper does at this point, None where the text does not give it.
        image: which of several images it lies on, "" where there is one.
    """

    kind: Literal["point", "box"]
    numbers: tuple[Number, ...]
    at: int
    label: str = ""
    event: Gripper | None = None
    image: str = ""

    @property
    def meaning(self) -> tuple[object, ...]:
        """A key that is equal for two marks with the same content."""
        return self.kind, tuple(n.value for n in self.numbers), self.event, self.image


Group = list[Mark]
"""The marks of one answer."""


def fail(text: str, what: str, at: int) -> NoReturn:
    """Raise a PlanError that names the character (counted from 0).

    Args:
        text: the model's output.
        what: the fault, in a few words.
        at: its character.
    """
    raise PlanError(f"{what} at character {at}", text)


def excerpt(text: str, at: int, end: int) -> str:
    """Return the text at a place, shortened, for messages.

    Args:
        text: the model's output.
        at: first character of the excerpt.
        end: last character that may be shown.
    """
    rest = text[at : min(end, at + 12)].partition(FILLER)[0]
    return repr(rest) if rest else "the end of the answer"


def event_of(label: str) -> Gripper | None:
    """Return the gripper's action that a label spells out, if it does."""
    words = label.lower().split()
    return STATES.get(words[0]) if len(words) == 2 and words[1] == "gripper" else None


def join(groups: list[Group], marks: Group, connected: bool) -> None:
    """Add marks to the last group if they are connected to it, else as a new one.

    Args:
        groups: of one answer each, changed in place.
        marks: to add.
        connected: whether they continue the last group.
    """
    if connected and groups:
        groups[-1].extend(marks)
    else:
        groups.append(list(marks))
