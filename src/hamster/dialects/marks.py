"""What the forms of text yield: numbers with their places, before anybody says what they mean."""

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
        event: what the gripper does at this point, None where nothing is said.
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
        """Equal for two marks that say the same."""
        return self.kind, tuple(n.value for n in self.numbers), self.event, self.image


Group = list[Mark]
"""The marks of one answer."""


def fail(text: str, what: str, at: int) -> NoReturn:
    """Raise a PlanError that names the character (counted from 0)."""
    raise PlanError(f"{what} at character {at}", text)


def excerpt(text: str, at: int, end: int) -> str:
    """Return the text at a place, shortened, for messages."""
    rest = text[at : min(end, at + 12)].partition(FILLER)[0]
    return repr(rest) if rest else "the end of the answer"


def event_of(label: str) -> Gripper | None:
    """Return the gripper's action that a label spells out, if it does."""
    words = label.lower().split()
    return STATES.get(words[0]) if len(words) == 2 and words[1] == "gripper" else None


def join(groups: list[Group], marks: Group, connected: bool) -> None:
    """Add marks to the last group if they are connected to it, else as a new one."""
    if connected and groups:
        groups[-1].extend(marks)
    else:
        groups.append(list(marks))
