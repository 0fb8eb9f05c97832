"""Regular expressions of well-formed answers, for constrained decoding: made of what the readers are made of.

They keep to what llguidance, XGrammar and Python read alike: classes of digits are [0-9], repetitions are bounded.
"""

from __future__ import annotations

import re
from string import Formatter

from hamster.dialects.size import Size
from hamster.dialects.text_format import TextFormat

_SPECIAL = re.compile(r"[\\.^$*+?{}\[\]()|]")
_ACTION = "(?:Close Gripper|Open Gripper)"
_METRES = r"(?:0\.00[1-9]|0\.0[1-9][0-9]|0\.[1-9][0-9]{2}|[1-9][0-9]?\.[0-9]{3})"


def grammar_of(text_format: TextFormat, size: Size | None, waypoints: int) -> str:
    """Return a regular expression of what a text format prints for paths of 1 to `waypoints` waypoints.

    `size` is the image's, for formats that count pixels.

    Args:
        text_format: of the answers.
        size: width and height of the image in pixels, for formats that count pixels.
        waypoints: the largest number of waypoints.
    """
    forms = [
        _answers(text_format, size, waypoints, deep) for deep in ([False, True] if text_format.says_depth else [False])
    ]
    return f"(?:{'|'.join(forms)})"


def quoted(text: str) -> str:
    """Return the expression that matches just this text."""
    return _SPECIAL.sub(lambda match: "\\" + match[0], text)


def up_to(top: int, width: int = 1) -> str:
    """Return an expression of the whole numbers from 0 to `top`, with leading zeros up to `width` digits."""
    last = str(top)
    shorter = [_any(length, width) for length in range(width, len(last))]
    return f"(?:{'|'.join([*shorter, *_no_more(last.zfill(width), width)])})"


def _any(length: int, width: int) -> str:
    first = "[0-9]" if length == width else "[1-9]"
    return first + (f"[0-9]{{{length - 1}}}" if length > 1 else "")


def _no_more(last: str, width: int) -> list[str]:
    """Return expressions of the numbers with as many digits as `last` and not above it, by their first lower digit."""
    lower = []
    for i, digit in enumerate(last):
        least = 1 if i == 0 and len(last) > width else 0
        if int(digit) > least:
            rest = len(last) - i - 1
            lower.append(f"{last[:i]}[{least}-{int(digit) - 1}]" + (f"[0-9]{{{rest}}}" if rest else ""))
    return [*lower, last]


def _number(text_format: TextFormat, extent: float) -> str:
    top = int(text_format.top or extent)
    if text_format.digits.endswith("f"):
        decimals = int(text_format.digits[1])
        return f"(?:{up_to(top - 1)}\\.[0-9]{{{decimals}}}|{top}\\.{'0' * decimals})"
    return up_to(top, int(text_format.digits[:-1] or 1))


def _answers(text_format: TextFormat, size: Size | None, waypoints: int, deep: bool) -> str:
    items = [_filled(text_format.item, _fields(text_format, size, i, deep)) for i in range(waypoints)]
    between = quoted(text_format.between)
    if waypoints > 1 and len(set(items)) == 1:
        listed = f"{items[0]}(?:{between}{items[0]}){{0,{waypoints - 1}}}"
    else:  # every item says its number
        listed = items[-1]
        for item in items[-2::-1]:
            listed = f"{item}(?:{between}{listed})?"
    return _filled(text_format.frame, {"": listed})


def _fields(text_format: TextFormat, size: Size | None, k: int, deep: bool) -> dict[str, str]:
    """Return an expression for each name that an item may hold."""
    x, y = (_number(text_format, extent) for extent in text_format.extent(size))
    return {
        "x": x, "y": y, "d": f", {_METRES}" if deep else "",
        "depth": f', "{text_format.depth_key}": {_METRES}' if deep else "",
        "n": "3" if deep else "2", "k": str(k), "i": str(k + 1),
        "gripper": "(?:none|close|open)", "label": f"(?:{k + 1}|{_ACTION})",
        "tag": f"(?:, <action>{_ACTION}</action>)?", "word": "(?: close gripper| open gripper)?",
    }  # fmt: skip


def _filled(template: str, fields: dict[str, str]) -> str:
    parts = Formatter().parse(template)
    return "".join(quoted(text) + ("" if name is None else fields[name]) for text, name, _, _ in parts)
