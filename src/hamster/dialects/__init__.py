"""Text and paths: what the models that draw paths print, and how it is read."""

from __future__ import annotations

import json
import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

from hamster.dialects import compact, hamster, nano_tokens
from hamster.dialects.answer import Answer, Box, Point, answer_of
from hamster.dialects.envelope import answer_only
from hamster.dialects.formats import FORMATS
from hamster.dialects.marks import NothingFoundError
from hamster.dialects.not_in_view import PHRASE, refuses
from hamster.dialects.regex import grammar_of, quoted
from hamster.dialects.size import ScaledSize, Size, SizeNeededError, image_itself, smart_resize
from hamster.dialects.text_format import TextFormat
from hamster.path.error import NotInViewError, PlanError
from hamster.path.path import Path2D
from hamster.registry import Registry

__all__ = [
    "AUTO", "DIALECTS", "Answer", "Box", "Dialect", "Frame", "Point", "ScaledSize", "Size", "SizeNeededError",
    "close_truncated", "grammar", "parse", "parse_points", "read", "refusal", "register_dialect", "render",
    "smart_resize", "unsupported_fields",
]  # fmt: skip

AUTO = "auto"
"""In place of a dialect's name: the only dialect that can be meant."""
WAYPOINTS = 16  # in a constrained answer; people's and robots' paths have two to ten
Frame: TypeAlias = Literal["relative", "image's pixels", "scaled image's pixels", "patches"]
"""What the coordinates of a dialect refer to."""
_BEFORE, _AFTER = 40, 200  # characters around the beginning of an answer that say whose it is
_PLACE = re.compile(r"at character ([0-9]+)")


@dataclass(frozen=True)
class Dialect:
    """One way of writing a path: `read(render(path)).path()` is the path, up to quantisation and what is not said.

    Attributes:
        render: ValueError if the path cannot be said in this dialect.
        read: PlanError, with the raw text, if the text is not exactly one answer.
        step: distance of neighbouring places along x and y, relative, for an image of that size.
        grammar: a regular expression of the answers with so many waypoints at most.
        place: a point as it is said in a question: the coordinates in the dialect's order and scale.
        closing: what ends an answer.
        refusal: what is answered where there is nothing to point at.
        frame: in what the coordinates count; who does not see what they count in cannot mean them.
        says_gripper, says_depth: whether these survive.
        prompt: what to ask so that a model answers in it, with a place for `{instruction}`; "" for an example of an
            answer, which only built-in dialects have.
    """

    render: Callable[[Path2D, Size | None], str]
    read: Callable[[str, Size | None], Answer]
    resolution: Callable[[Size | None], tuple[float, float]]
    grammar: Callable[[Size | None, int], str]
    place: Callable[[tuple[float, float], Size | None], str]
    closing: str
    refusal: str = PHRASE
    frame: Frame = "relative"
    says_gripper: bool = True
    says_depth: bool = False
    prompt: str = ""

    @property
    def needs_size(self) -> bool:
        """Whether it counts pixels, so that `render` and `read` must know the image's size."""
        return self.frame.endswith("pixels")


_FRAMES: dict[object, Frame] = {
    None: "relative", image_itself: "image's pixels", smart_resize: "scaled image's pixels"
}  # fmt: skip
# HAMSTER's own text has a reader of its own, which is stricter; for a grammar it is a text format like others.
_HAMSTER = TextFormat(("list",), "({x}, {y}){tag}", "<ans>[{}]</ans>", digits=".2f", tag="ans", tagged=True)


def _from_text_format(text_format: TextFormat) -> Dialect:
    refusal = f"<{text_format.tag}>{PHRASE}</{text_format.tag}>" if text_format.tagged else PHRASE
    return Dialect(
        text_format.render, text_format.read, text_format.resolution,
        lambda size, waypoints: grammar_of(text_format, size, waypoints),
        lambda uv, size: "({}, {})".format(*text_format.place(uv, size)),
        text_format.frame.format("\0").partition("\0")[2], refusal, _FRAMES[text_format.resize],
        text_format.says_gripper, text_format.says_depth,
    )  # fmt: skip


_BUILT_IN: dict[str, Dialect | str] = {
    "hamster": replace(
        _from_text_format(_HAMSTER),
        render=lambda path, _: hamster.render(path),
        read=lambda text, _: answer_of(hamster.parse(text), text),
    ),
    "nano-tokens": Dialect(
        lambda path, _: nano_tokens.render(path),
        lambda text, _: answer_of(nano_tokens.parse(text), text),
        lambda _: (1 / nano_tokens.LEVELS, 1 / nano_tokens.LEVELS),
        lambda _, waypoints: nano_tokens.grammar(waypoints),
        lambda uv, _: nano_tokens.place(*uv),
        "</ans>", "<ans></ans>", "patches",
    ),
    "compact": Dialect(
        lambda path, _: compact.render(path),
        lambda text, _: answer_of(compact.parse(text), text),
        lambda _: (1 / compact.LEVELS, 1 / compact.LEVELS),
        lambda _, waypoints: compact.grammar(waypoints),
        lambda uv, _: compact.place(*uv),
        ".", says_depth=True,
    ),
    **{name: _from_text_format(text_format) for name, text_format in FORMATS.items()},
}  # fmt: skip


def _checked(value: object) -> Dialect:
    if not isinstance(value, Dialect):
        raise TypeError("it is no hamster.dialects.Dialect")
    return value


DIALECTS: Registry[Dialect] = Registry(
    "dialect", "hamster.dialects", _BUILT_IN, _checked, aliases={"nano": "nano-tokens"}
)
"""The dialects by name; docs/dialects.md shows an example of each. `register_dialect("mine", Dialect(…))` adds one."""
register_dialect = DIALECTS.register
"""Add a dialect under a name: `register_dialect("mine", Dialect(…))`."""


def parse(text: str, dialect: str = "hamster", image_size: Size | None = None) -> Path2D:
    """Return the path that a model's answer describes.

    Args:
        text: the answer, with whatever the model printed around it.
        dialect: one of `DIALECTS`, or `AUTO`: the only one that can be meant.
        image_size: width and height of the original image, for the dialects that count pixels.

    Raises:
        NotInViewError: if it says that what was asked for is not in the image.
        PlanError: if the text is anything else but exactly one path; says what is wrong at which character.
        ValueError: if there is no such dialect, or it counts pixels and the size is missing.
    """
    return read(text, dialect, image_size).path()


def parse_points(points: object, dialect: str = "robopoint", image_size: Size | None = None) -> Path2D:
    """Return the path through lists of numbers in a dialect's axis order and scale, without its text form.

    Raises:
        ValueError: as `parse`; `AUTO` and the dialects of tuples stand for relative coordinates, x first.
    """
    text_format = FORMATS.get(dialect, FORMATS["robopoint"])
    return (
        replace(text_format, forms=("list",), tag="", tagged=False, after="")
        .read(json.dumps(points), image_size)
        .path()
    )


def read(text: str, dialect: str = "hamster", image_size: Size | None = None) -> Answer:
    """Return everything in a model's answer: as `parse`, but boxes and points on several images are allowed."""
    phrase = PHRASE if dialect == AUTO else refusal(dialect)
    try:
        answer = answer_only(text)
        if refuses(answer, phrase):
            reason = f"no points at character {len(text)}: the model says that what it was asked for is not in view"
            raise NotInViewError(reason)
        chosen = _marked(text, answer) if dialect == AUTO else dialect
        if chosen is None:
            return replace(_the_only_reading(answer, image_size), text=text)
        return replace(_dialect(chosen).read(answer, image_size), text=text)
    except PlanError as error:
        raise type(error)(error.reason, text) from None


def _marked(text: str, answer: str) -> str | None:
    """Return the dialect whose answers alone look like this, if there is one; `answer` is the rest of the text."""
    start = len(answer) - len(answer.lstrip())  # of the answer; its tag is just before it
    for name, text_format in FORMATS.items():
        if text_format.own and re.search(rf"(?:{text_format.own})", text[max(0, start - _BEFORE) : start + _AFTER]):
            return name
    return None


def render(path: Path2D, dialect: str = "hamster", image_size: Size | None = None) -> str:
    """Return the path as a model would print it, without the score and what else `unsupported_fields` names.

    Raises:
        ValueError: if the dialect cannot say it (too many waypoints, a state that becomes unknown), counts pixels and
            the size is missing, or there is no such dialect.
    """
    return _dialect(dialect).render(path, image_size)


def refusal(dialect: str = "hamster") -> str:
    """Return the answer that means "not in view" in a dialect; `parse` raises NotInViewError on it."""
    return _dialect(dialect).refusal


def grammar(
    dialect: str = "hamster", image_size: Size | None = None, waypoints: int = WAYPOINTS, refusals: bool = False
) -> str:
    """Return a regular expression for constrained decoding that matches every answer of `render`.

    Args:
        dialect: one of `DIALECTS`.
        image_size: as in `parse`.
        waypoints: at most so many.
        refusals: whether the model may refuse instead; only who was taught when to should be let.

    Raises:
        ValueError: as `parse`.
    """
    path = _dialect(dialect).grammar(image_size, waypoints)
    return f"(?:{path}|{quoted(refusal(dialect))})" if refusals else path


def close_truncated(text: str, pattern: str, closing: str) -> str | None:
    """Return a truncated answer, closed after its last complete waypoint; None if there is none.

    Args:
        text: what came before the cut.
        pattern: the grammar that it kept to.
        closing: the dialect's.
    """
    whole = re.compile(pattern)
    return next((closed for end in range(len(text), 0, -1) if whole.fullmatch(closed := text[:end] + closing)), None)


def unsupported_fields(path: Path2D, dialect: str) -> list[str]:
    """Return what of this path the dialect cannot express."""
    chosen = _dialect(dialect)
    events = 0 if chosen.says_gripper else len(path.events)
    unsupported = [f"{events} gripper event(s)"] if events else []
    return unsupported + (["the depth"] if path.depth_m is not None and not chosen.says_depth else [])


def _the_only_reading(text: str, size: Size | None) -> Answer:
    """Return the answer if all dialects that parse the text agree on it; else raise a PlanError that names them."""
    readings: dict[str, Answer | None] = {}
    complaints: dict[str, str] = {}
    for name, dialect in DIALECTS.items():
        try:
            readings[name] = dialect.read(text, size)
        except SizeNeededError:
            readings[name] = None
        except NothingFoundError:
            pass
        except ValueError as error:
            complaints[name] = str(error)
    if not readings:
        raise PlanError(f"no dialect reads this text; {_likeliest(complaints, text)}", text)
    answers = [answer for answer in readings.values() if answer is not None]
    if len(answers) == len(readings) and len({answer.meaning for answer in answers}) == 1:
        return answers[0]
    unsized = ", ".join(name for name, answer in readings.items() if answer is None)
    sized = f" ({unsized} with --image-size)" if unsized else ""
    raise PlanError(f"this could be {' or '.join(readings)}: name the dialect, --from one of them{sized}", text)


def _likeliest(complaints: dict[str, str], text: str) -> str:
    """Return the error of the dialect that got farthest; those with an <ans> tag count only if it is there."""
    others = [name for name in complaints if "<ans>" in text or name not in ("hamster", "nano-tokens")]
    if not others:
        return f"no points, up to character {len(text)}"
    best = max(others, key=lambda name: int((_PLACE.findall(complaints[name]) or [-1])[-1]))
    return f"{best} says: {complaints[best]}"


def _dialect(name: str) -> Dialect:
    if name not in DIALECTS:
        raise ValueError(f"unknown dialect {name!r}; there are {', '.join(DIALECTS)}")
    return DIALECTS.get(name)


_FORMER_NAMES = {"lost": "unsupported_fields", "closed": "close_truncated"}


def __getattr__(name: str) -> Any:
    """Return what had another name before version 0.2; until version 0.3."""
    if name not in _FORMER_NAMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    warnings.warn(f"hamster.dialects.{name} is now {_FORMER_NAMES[name]}", DeprecationWarning, stacklevel=2)
    return globals()[_FORMER_NAMES[name]]
