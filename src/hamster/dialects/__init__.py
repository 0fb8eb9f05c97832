"""Dialects: the text formats in which models print paths; rendering, parsing, and grammars for decoding."""

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
"""In place of a dialect's name: the only one that parses the text, if others do not disagree."""
WAYPOINTS = 16  # in a constrained answer; people's and robots' paths have two to ten
Frame: TypeAlias = Literal["relative", "image's pixels", "scaled image's pixels", "patches"]
"""What the coordinates of a dialect refer to."""
_BEFORE, _AFTER = 40, 200  # characters around the beginning of an answer that say whose it is
_PLACE = re.compile(r"at character ([0-9]+)")


@dataclass(frozen=True)
class Dialect:
    """A text format of paths: `read(render(path)).path()` is the path, up to quantisation and unsupported fields.

    Attributes:
        render: from a path to text; ValueError if this dialect cannot express it.
        read: from text to a path, or to an `Answer` where there may be boxes or points on several images; PlanError,
            with the raw text, if it is not exactly one answer.
        resolution: smallest representable steps along x and y, relative, for an image of that size.
        grammar: from image size and largest number of waypoints to a regular expression of the answers.
        place: a point as text for a prompt, in the dialect's axis order and scale.
        closing: the text that ends an answer.
        refusal: the answer where the requested object is not in view.
        frame: the unit of the coordinates, which the model must be able to see.
        says_gripper, says_depth: whether the format has a field for these.
        prompt: a prompt for answers in it, with a placeholder `{instruction}`; "" for one with an example of an
            answer, which only built-in dialects have.
    """

    render: Callable[[Path2D, Size | None], str]
    read: Callable[[str, Size | None], Answer | Path2D]
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
        """True if the coordinates are pixels, so that `render` and `read` need the image's size."""
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
        raise TypeError("it is not a hamster.dialects.Dialect")
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
        dialect: one of `DIALECTS`, or `AUTO`: the only one that fits.
        image_size: width and height of the original image, for the dialects that count pixels.

    Raises:
        NotInViewError: if the answer is that the requested object is not in the image.
        PlanError: if the text is not exactly one path; the message names the fault and its character.
        ValueError: if there is no such dialect, or it counts pixels and the size is missing.

    Example:
        >>> parse("<ans>[(0.25, 0.32), <action>Close Gripper</action>, (0.74, 0.21)]</ans>").uv.tolist()
        [[0.25, 0.32], [0.74, 0.21]]
    """
    return read(text, dialect, image_size).path()


def parse_points(points: object, dialect: str = "robopoint", image_size: Size | None = None) -> Path2D:
    """Return the path through lists of numbers in a dialect's axis order and scale, without its text form.

    Args:
        points: lists of numbers, as decoded from JSON.
        dialect: one of `DIALECTS`.
        image_size: width and height in pixels, for dialects that count pixels.

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
    """Return everything in a model's answer: as `parse`, but boxes and points on several images are allowed.

    Args:
        text: the answer, with whatever the model printed around it.
        dialect: one of `DIALECTS`, or `AUTO`.
        image_size: width and height in pixels, for dialects that count pixels.
    """
    phrase = PHRASE if dialect == AUTO else refusal(dialect)
    try:
        answer = answer_only(text)
        if refuses(answer, phrase):
            reason = f"no points at character {len(text)}: the model answers that the requested object is not in view"
            raise NotInViewError(reason)
        chosen = _marked(text, answer) if dialect == AUTO else dialect
        if chosen is None:
            return replace(_the_only_reading(answer, image_size), text=text)
        return replace(_answer(chosen, _dialect(chosen).read(answer, image_size), text), text=text)
    except PlanError as error:
        raise type(error)(error.reason, text) from None


def _answer(dialect: str, value: Answer | Path2D, text: str) -> Answer:
    """Return what a dialect read as an answer; ValueError if it is neither an answer nor a path."""
    if isinstance(value, Path2D):
        return answer_of(value, text)
    if not isinstance(value, Answer) or not isinstance(value.text, str):
        raise ValueError(f"read() of the dialect {dialect!r} must return a hamster.Path2D or an Answer(text, points)")
    if not value.points and not value.boxes:
        raise ValueError(f"read() of the dialect {dialect!r} returned no point: raise hamster.PlanError(reason, text)")
    return value


def _marked(text: str, answer: str) -> str | None:
    """Return the dialect whose answers alone look like this, if there is one; `answer` is the rest of the text."""
    start = len(answer) - len(answer.lstrip())  # of the answer; its tag is just before it
    for name, text_format in FORMATS.items():
        if text_format.own and re.search(rf"(?:{text_format.own})", text[max(0, start - _BEFORE) : start + _AFTER]):
            return name
    return None


def render(path: Path2D, dialect: str = "hamster", image_size: Size | None = None) -> str:
    """Return the path as a model would print it, without the score and what else `unsupported_fields` names.

    Args:
        path: to write.
        dialect: one of `DIALECTS`.
        image_size: width and height in pixels, for dialects that count pixels.

    Raises:
        ValueError: if the dialect cannot express it (too many waypoints, a state that becomes unknown), counts pixels
            and the size is missing, or there is no such dialect.

    Example:
        >>> from hamster.path import Gripper
        >>> path = Path2D([[0.25, 0.32], [0.74, 0.21]], [Gripper.CLOSED, Gripper.CLOSED])
        >>> render(path)
        '<ans>[(0.25, 0.32), <action>Close Gripper</action>, (0.74, 0.21)]</ans>'
        >>> render(path, "molmo")
        '<points x1="25.0" y1="32.0" x2="74.0" y2="21.0" alt="path">path</points>'
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
        waypoints: the largest number of waypoints.
        refusals: whether to allow a refusal instead; only for models that were trained to refuse.

    Raises:
        ValueError: as `parse`.
    """
    path = _dialect(dialect).grammar(image_size, waypoints)
    return f"(?:{path}|{quoted(refusal(dialect))})" if refusals else path


def close_truncated(text: str, pattern: str, closing: str) -> str | None:
    """Return a truncated answer, closed after its last complete waypoint; None if there is none.

    Args:
        text: the truncated answer.
        pattern: the grammar that constrained it.
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
            readings[name] = _answer(name, dialect.read(text, size), text)
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
