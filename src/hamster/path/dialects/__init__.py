"""Text and paths: what the models that draw paths print, and how it is read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hamster.path.dialects import hamster, nano
from hamster.path.path import Path

__all__ = ["DIALECTS", "Dialect", "parse", "render"]


@dataclass(frozen=True)
class Dialect:
    """One way of writing a path: `parse(render(path))` is the path, up to quantisation.

    Attributes:
        render: ValueError if the path cannot be said in this dialect.
        parse: PlanError, with the raw text, if the text is not exactly one path.
    """

    render: Callable[[Path], str]
    parse: Callable[[str], Path]


DIALECTS: dict[str, Dialect] = {
    "hamster": Dialect(hamster.render, hamster.parse),
    "nano": Dialect(nano.render, nano.parse),
}


def parse(text: str, dialect: str = "hamster") -> Path:
    """The path that a model's answer describes.

    Raises:
        PlanError: if the text is anything but exactly one path; says what is wrong at which character.
        ValueError: if there is no such dialect.
    """
    return _dialect(dialect).parse(text)


def render(path: Path, dialect: str = "hamster") -> str:
    """The path as a model would print it. Depth and score are not part of any dialect yet.

    Raises:
        ValueError: if the dialect cannot say it (too many waypoints, a state that becomes unknown), or there is no
            such dialect.
    """
    return _dialect(dialect).render(path)


def _dialect(name: str) -> Dialect:
    if name not in DIALECTS:
        raise ValueError(f"unknown dialect {name!r}; there are {', '.join(DIALECTS)}")
    return DIALECTS[name]
