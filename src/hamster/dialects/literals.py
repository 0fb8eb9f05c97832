"""JSON or Python literals in a model's text, parsed as leniently as possible without guessing a value.

Models print single quotes, tuples, trailing commas, escaped quotes and prose around it all. Nothing is evaluated: a
cursor goes over the text once, with a stack of open brackets. What turns out to be prose in brackets is passed over.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TypeAlias

from hamster.dialects.marks import STATES, Number, excerpt, fail
from hamster.path.path import Gripper

MAX_DEPTH = 32
MAX_TOKENS = 10_000
CLOSES = {"[": "]", "(": ")", "{": "}"}

_OPENING = re.compile(r"[\[({]")
_CLOSING = re.compile(r"[\])}]")
_TOKEN = re.compile(
    r"""(?P<space>(?:[ \t\r\n]|\\[nrt])++)
    |(?P<number>[+-]?(?:[0-9]++(?:\.[0-9]*+)?|\.[0-9]++)(?:e[+-]?[0-9]++)?(?![a-z0-9_.]))
    |(?P<odd>[+-]?(?:nan|inf|infinity)(?![a-z0-9_]))
    |(?P<string>"(?:[^"\\]|\\.)*+"|'(?:[^'\\]|\\.)*+'|\\"(?:[^"\\]|\\(?!").)*+\\")
    |(?P<word>(?:true|false|null|none)(?![a-z0-9_]))
    |<action>[ \t\r\n]*+(?P<action>open|close)[ \t\r\n]++gripper[ \t\r\n]*+</action>
    |(?P<mark>[\[\](){},:])""",
    re.VERBOSE | re.IGNORECASE | re.ASCII | re.DOTALL,
)


@dataclass(frozen=True)
class Text:
    """A string, or one of the words true, false, null and None."""

    value: str
    at: int


@dataclass(frozen=True)
class Action:
    """An <action> tag."""

    event: Gripper
    at: int


@dataclass(frozen=True)
class Pair:
    """A key and its value."""

    key: str
    value: Value


@dataclass
class Node:
    """What stands between an opening bracket and its closing one."""

    opening: str
    at: int
    end: int = 0
    items: list[Value | Pair] = field(default_factory=list)
    key: str | None = None  # read, and waiting for its value
    ready: bool = True  # for a value: at the beginning, and after a comma or a colon

    @property
    def numbers(self) -> tuple[Number, ...]:
        """The items, if all of them are numbers."""
        number_items = tuple(item for item in self.items if isinstance(item, Number))
        return number_items if len(number_items) == len(self.items) else ()


Value: TypeAlias = Number | Text | Action | Node


def regions(text: str, start: int, end: int) -> list[Node]:
    """Return the outermost brackets with literals between them.

    Args:
        text: the model's output.
        start, end: the characters to search.

    Raises:
        PlanError: if the text ends inside one, or one that has numbers goes on with what is no literal.
    """
    reader = _Reader(text, end)
    nodes = []
    at, left_open, deepest = start, 0, 0
    while opening := _OPENING.search(text, at, end):
        left_open -= min(left_open, len(_CLOSING.findall(text, at, opening.start())))
        node, at, opened = reader.region(opening.start())
        left_open += opened
        deepest = max(deepest, left_open) if left_open else 0
        if node is None:
            continue
        if deepest > 1 and reader.numbers > 1:  # [(x, 0.2), (0.3, 0.4)]: one point must not pass for both
            fail(text, "a point in a list that has something else in it, too,", node.at)
        nodes.append(node)
    return nodes


class _Reader:
    def __init__(self, text: str, end: int) -> None:
        self.text, self.end = text, end
        self.left = MAX_TOKENS
        self.numbers = 0  # of the region

    def region(self, start: int) -> tuple[Node | None, int, int]:
        """Return the region that begins here and its end; or None if it is prose, and the depth."""
        stack: list[Node] = []
        at, self.numbers = start, 0
        while True:
            token = _TOKEN.match(self.text, at, self.end)
            self._count(at)
            if token is None and (at == self.end or self.text[at] in "\"'"):
                where = stack[0].at if stack else start
                fail(self.text, f"cut off: the bracket at character {where} is never closed; the text ends", self.end)
            done = token and self._take(stack, token)
            if token is None or done is None:
                if self.numbers > 1 or (self.numbers and len(stack) > 1):
                    fail(self.text, f"expected a value, a comma or a bracket, found {self._found(at)}", at)
                return None, max(at, start + 1), len(stack)
            at = token.end()
            if isinstance(done, Node) and not stack:
                return done, at, 0

    def _count(self, at: int) -> None:
        self.left -= 1
        if self.left < 0:
            fail(self.text, f"more than {MAX_TOKENS} numbers, words and brackets", at)

    def _found(self, at: int) -> str:
        return excerpt(self.text, at, self.end)

    def _take(self, stack: list[Node], token: re.Match[str]) -> Node | bool | None:
        """Put a token where it belongs: the node that it closes, True for any other, None if it fits nowhere."""
        kind, raw, at = token.lastgroup, token.group(), token.start()
        if kind == "space":
            return True
        if kind == "mark":
            if raw in CLOSES:
                return self._open(stack, raw, at)
            return _separate(stack[-1], raw) if raw in ",:" else _close(stack, raw, token.end())
        if kind in ("number", "odd"):
            self.numbers += 1
            return _add(stack[-1], Number(float(raw), raw, at))
        if kind == "action":
            return _add(stack[-1], Action(STATES[token["action"].lower()], at))
        escaped = 2 if raw[0] == "\\" else 1 if kind == "string" else 0
        return _add(stack[-1], Text(raw[escaped : len(raw) - escaped], at))

    def _open(self, stack: list[Node], raw: str, at: int) -> bool | None:
        if len(stack) == MAX_DEPTH:
            fail(self.text, f"brackets nested deeper than {MAX_DEPTH}", at)
        node = Node(raw, at)
        if stack and not _add(stack[-1], node):
            return None
        stack.append(node)
        return True


def _add(node: Node, value: Value) -> bool | None:
    if not node.ready:
        return None
    node.items.append(value if node.key is None else Pair(node.key, value))
    node.key, node.ready = None, False
    return True


def _separate(node: Node, raw: str) -> bool | None:
    if node.ready:
        return None
    if raw == ":":
        key = node.items[-1]
        if node.opening != "{" or not isinstance(key, Text):
            return None
        node.items.pop()
        node.key = key.value
    node.ready = True
    return True


def _close(stack: list[Node], raw: str, end: int) -> Node | None:
    # A brace too many is seen in real answers, and harmless: it opens nothing that could be misread.
    while len(stack) > 1 and stack[-1].opening == "{" and raw == "]":
        stack.pop()
    node = stack[-1]
    if CLOSES[node.opening] != raw or node.key is not None:
        return None
    node.end = end
    return stack.pop()
