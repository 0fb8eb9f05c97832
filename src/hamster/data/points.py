"""Conversations about images, in LLaVA's JSON: RoboPoint's points and boxes, visual question answering."""

from __future__ import annotations

import hashlib
import json
import mmap
import re
from array import array
from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from hamster.data.inputs import FilePart, Inputs
from hamster.data.records import Conversation, Provenance, Unreadable
from hamster.data.text import inside

MAX_BYTES = 16 << 20  # of one conversation
_EVERY = 64  # conversations per entry of the index
_TOKEN = re.compile(rb'"(?:[^"\\]++|\\.)*+"|[\[\]{}"]', re.DOTALL)
_ROLES = {"human": "user", "user": "user", "gpt": "assistant", "assistant": "assistant", "system": "system"}
_IMAGE = "<image>"


@dataclass(frozen=True)
class Points:
    """The conversations of a JSON array or of JSON lines: a `hamster.data.Source`.

    The file, possibly gigabytes, is gone through once, for where every 64th conversation begins; nothing else of it
    stays in memory. A file that is cut off has, after its last whole conversation, one that cannot be read.

    Attributes:
        file: the JSON.
        images: the folder that the conversations' image files are relative to; the JSON's own by default.

    Raises:
        ValueError: if there is no such file, or it holds no conversation.
    """

    file: Path
    images: Path | None = None
    per_shard: int = 1000
    _starts: array[int] = field(init=False, repr=False, compare=False)
    _length: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", Path(self.file))
        object.__setattr__(self, "images", self.file.parent if self.images is None else Path(self.images))
        if not self.file.is_file():
            raise ValueError(f"no file {str(self.file)!r}; say points:JSON with conversations as RoboPoint has them")
        starts, length = array("q"), 0
        with _mapped(self.file) as data:
            for length, (start, _) in enumerate(_elements(data), 1):
                if length % _EVERY == 1:
                    starts.append(start)
        if not length:
            raise ValueError(f"{self.file} holds no conversations: a JSON array of them, or one on each line")
        object.__setattr__(self, "_starts", starts)
        object.__setattr__(self, "_length", length)

    @property
    def uri(self) -> str:
        """points:JSON."""
        return f"points:{self.file}"

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> Conversation | Unreadable:
        index = range(len(self))[index]
        try:
            return self._conversation(self.text(index), index)
        except (ValueError, OSError, RecursionError) as error:
            return Unreadable(f"{self.file.name}#{index}", str(error) or "nested too deeply")

    def inputs(self, index: int) -> Inputs:
        """Return the text of the conversation, and where its image is; the image itself stays where it is."""
        try:
            image = self._image(json.loads(self.text(index)))
        except (ValueError, OSError, AttributeError, RecursionError) as error:
            image = str(error)
        name = f"{self.file.name}#{index}"
        return Inputs(name, [self.part(index)], json.dumps([name, image]))

    def text(self, index: int) -> bytes:
        """Return the JSON of one conversation, as it stands in the file; ValueError if the file breaks off there."""
        return self.part(index).read()

    def part(self, index: int) -> FilePart:
        """Return where that text is; ValueError as for `text`."""
        with (
            _mapped(self.file) as data,
            closing(_elements(data, self._starts[index // _EVERY])) as elements,  # which holds on to the data
        ):
            start, end = next(islice(elements, index % _EVERY, None), (0, -1))
        if end < 0:
            raise ValueError("the file is cut off or damaged here")
        if end - start > MAX_BYTES:
            raise ValueError(f"a conversation of {(end - start) >> 20} MiB; at most {MAX_BYTES >> 20} MiB are read")
        return FilePart(self.file, start, end)

    def _conversation(self, text: bytes, index: int) -> Conversation:
        try:
            row = json.loads(text)
        except ValueError as error:
            raise ValueError(f"not JSON: {error}") from None
        if not isinstance(row, dict):
            raise ValueError('a conversation is {"image": …, "conversations": […]}')
        name = str(row.get("id", row.get("question_id", index)))
        digest = hashlib.sha256(text).hexdigest()
        provenance = Provenance(self.uri, f"{self.file.name}#{index}", digest, extra={"id": name})
        return Conversation(self._image(row), _turns(row), provenance)

    def _image(self, row: dict[str, Any]) -> str:
        image = row.get("image", row.get("images")) or ""
        if isinstance(image, list):
            if len(image) > 1:
                raise ValueError(f"{len(image)} images; only conversations about one are read")
            image = image[0] if image else ""
        if not isinstance(image, str):
            raise ValueError("the image is not the name of a file")
        if not image:
            return ""
        folder = self.images or self.file.parent
        if not (file := inside(folder, image)).is_file():
            raise ValueError(f"no image {image!r} in {folder}")
        return str(file)


def _mapped(file: Path) -> mmap.mmap:
    if file.stat().st_size == 0:
        raise ValueError(f"{file} is empty")
    with file.open("rb") as stream:
        return mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)


def _elements(data: mmap.mmap, start: int | None = None) -> Generator[tuple[int, int], None, None]:
    """Yield where the elements of an array, or the lines, begin and end; an end of -1 if the file breaks off there.

    Args:
        data: the file.
        start: of an element, to go on from there; the first if None.
    """
    first = re.search(rb"[^\s\xef\xbb\xbf]", data)
    if first is None:
        return
    if first[0] == b"[":
        yield from _of_array(data, first.end() if start is None else start)
    else:
        yield from _of_lines(data, first.start() if start is None else start)


def _of_lines(data: mmap.mmap, at: int) -> Generator[tuple[int, int], None, None]:
    while at < len(data):
        end = data.find(b"\n", at)
        end = len(data) if end < 0 else end
        if end - at > MAX_BYTES or data[at:end].strip():
            yield at, end
        at = end + 1


def _of_array(data: mmap.mmap, at: int) -> Generator[tuple[int, int], None, None]:
    """Yield where the elements of an array begin and end; only brackets outside of strings count."""
    depth = start = 0
    for token in _TOKEN.finditer(data, at):
        mark = token[0][:1] if token.end() - token.start() == 1 else b""
        if mark in (b"{", b"["):
            if depth == 0:
                start = token.start()
            depth += 1
        elif mark in (b"}", b"]"):
            depth -= 1
            if depth < 0:
                return
            if depth == 0:
                yield start, token.end()
        elif mark == b'"':  # a string without an end
            break
    yield start if depth else len(data), -1


def _turns(row: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """Return the turns, role and text, from LLaVA's `conversations` or from `messages`."""
    messages = row.get("conversations", row.get("messages"))
    if not isinstance(messages, list) or not messages:
        raise ValueError("no `conversations`: [{from, value}, …] (or `messages`: [{role, content}, …])")
    turns = tuple(_turn(message) for message in messages)
    if not any(role == "assistant" for role, _ in turns):
        raise ValueError("a question without an answer")
    return turns


def _turn(message: Any) -> tuple[str, str]:
    if not isinstance(message, dict):
        raise ValueError("a turn is {from, value} or {role, content}")
    role, text = message.get("from", message.get("role")), message.get("value", message.get("content"))
    if not isinstance(role, str) or role not in _ROLES:
        raise ValueError(f"unknown role {role!r}; there are {', '.join(_ROLES)}")
    if isinstance(text, list):
        text = "".join(_part(part) for part in text)
    if not isinstance(text, str):
        raise ValueError(f"what the {role} says is not text")
    return _ROLES[role], text


def _part(part: Any) -> str:
    """Return a part of a message: text, or the place of an image."""
    if isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str):
        return str(part["text"])
    if isinstance(part, dict) and part.get("type") in ("image", "image_url"):
        return _IMAGE + "\n"
    raise ValueError("a part of a message is {type: text, text} or {type: image}")
