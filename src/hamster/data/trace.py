"""Published paths: images with answers about them, by models or people, in any dialect."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from hamster.data.images import FORMATS, FORMATS_TEXT, read_image
from hamster.data.inputs import Inputs
from hamster.data.points import Points
from hamster.data.records import AnnotatedImage, Annotation, Provenance, Unreadable, View
from hamster.data.text import inside
from hamster.dialects import AUTO, DIALECTS, Size, parse, parse_points
from hamster.path import Gripper, Path2D

TEXTS = ("text", "answer", "response", "output")
INSTRUCTIONS = ("instruction", "prompt", "question", "task")
_ORIENTATION = 0x0112  # EXIF; from 5 on, width and height are exchanged
_GRIPPER = {"open": Gripper.OPEN, "close": Gripper.CLOSED, "closed": Gripper.CLOSED}


@dataclass(frozen=True)
class Trace:
    """The paths of a JSON array or of JSON lines: a `hamster.data.Source` of annotated images.

    A record has an `image` (a file, relative to the JSON's folder), an `instruction` (or `prompt`, `question`, `task`)
    and the path: as `text` (or `answer`, `response`, `output`) in a `dialect` of `hamster.dialects`; or as
    `points`, lists of numbers in the order and scale of the `dialect` (0 to 1 if it names none), perhaps with as many
    `gripper` states ("open", "close" or null: no change); or as `path`, the record that `hamster plan` writes.
    `image_size` is that of the image which the model saw, where it is not this one.

    Attributes:
        file: the JSON.
        dialect: of the records that name none; by default the only one that can be meant.

    Raises:
        ValueError: if there is no such file, or it holds no record.
    """

    file: Path
    dialect: str = AUTO
    per_shard: int = 64
    _rows: Points = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", Path(self.file))
        if not self.file.is_file():
            raise ValueError(f"no file {str(self.file)!r}; say trace:JSON with records of image, instruction and text")
        _known(self.dialect)
        try:
            object.__setattr__(self, "_rows", Points(self.file))
        except ValueError:
            raise ValueError(f"{self.file} holds no paths: a JSON array of records, or one on each line") from None

    @property
    def uri(self) -> str:
        """trace:JSON."""
        return f"trace:{self.file}"

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> AnnotatedImage | Unreadable:
        index = range(len(self))[index]
        try:
            return self._annotated(self._rows.text(index), index)
        except (ValueError, OSError, RecursionError) as error:
            return Unreadable(f"{self.file.name}#{index}", str(error) or "nested too deeply")

    def inputs(self, index: int) -> Inputs:
        """Return the text of the record, and its image."""
        index = range(len(self))[index]
        name, text = f"{self.file.name}#{index}", self._rows.part(index)
        try:
            images = [self._image(_record(text.read()))]
        except (ValueError, OSError, RecursionError):
            images = []
        return Inputs(name, [text, *images], json.dumps([name, self.dialect, *(image.name for image in images)]))

    def _annotated(self, text: bytes, index: int) -> AnnotatedImage:
        record = _record(text)
        instruction = _first(record, INSTRUCTIONS)
        image = self._image(record)
        dialect = self._dialect(record)
        path = _path(record, dialect, _size(record, image))
        rgb = read_image(image)
        extra = {"dialect": dialect, "image": image.name, "image_sha256": _sha256(image)}
        name, digest = f"{self.file.name}#{index}", hashlib.sha256(text).hexdigest()
        licence = str(record.get("licence") or record.get("license") or "")
        provenance = Provenance(self.uri, name, digest, licence, extra)
        return AnnotatedImage(View(rgb), [Annotation(instruction, path, "trace")], provenance)

    def _dialect(self, record: Mapping[str, Any]) -> str:
        """Return what the record says; a `convention` may also be a remark in words, which names no dialect."""
        if isinstance(named := record.get("dialect"), str):
            return _known(named)
        remark = _plain(str(record.get("convention", "")))
        return DIALECTS.canonical(remark) if remark in DIALECTS else _known(self.dialect)

    def _image(self, record: Mapping[str, Any]) -> Path:
        image = record.get("image")
        if not isinstance(image, str) or not image:
            raise ValueError("no image: the name of a file under `image`")
        if not (file := inside(self.file.parent, image)).is_file():
            raise ValueError(f"no image {image[:80]!r} in {self.file.parent}")
        return file


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _record(text: bytes) -> dict[str, Any]:
    try:
        record = json.loads(text)
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(record, dict):
        raise ValueError('a record is {"image": …, "instruction": …, "text": …, "dialect": …}')
    return record


def _path(record: Mapping[str, Any], dialect: str, size: Size) -> Path2D:
    if isinstance(record.get("path"), dict):
        return Path2D.from_json(record["path"])
    if (points := record.get("points")) is not None:
        return _with_gripper(parse_points(points, dialect, size), record.get("gripper"))
    if text := _first(record, TEXTS):
        return parse(text, dialect, size)
    raise ValueError(f"no path: a text under one of {', '.join(TEXTS)}, or `points`, or `path`")


def _with_gripper(path: Path2D, states: Any) -> Path2D:
    if states is None:
        return path
    if not isinstance(states, list) or len(states) != len(path):
        raise ValueError(f"`gripper` must have one state for each of the {len(path)} points")
    gripper_states = [Gripper.UNKNOWN]
    for state in states:
        if state is not None and not (isinstance(state, str) and state in _GRIPPER):
            raise ValueError(f"the gripper's state is {', '.join(_GRIPPER)} or null, not {str(state)[:20]!r}")
        gripper_states.append(gripper_states[-1] if state is None else _GRIPPER[state])
    return replace(path, gripper=np.array(gripper_states[1:], np.int8))


def _size(record: Mapping[str, Any], image: Path) -> Size:
    """Return the size of the image that the model was given, before anything scales it down."""
    stated_size = record.get("image_size", [record.get("width"), record.get("height")])
    if isinstance(stated_size, list) and len(stated_size) == 2 and all(type(side) is int for side in stated_size):
        return stated_size[0], stated_size[1]
    try:
        with Image.open(image, formats=FORMATS) as header:
            width, height = header.size
            turned = header.getexif().get(_ORIENTATION, 1) >= 5
    except (OSError, SyntaxError, ValueError, EOFError, TypeError, Image.DecompressionBombError):
        raise ValueError(f"{image.name} is not a {FORMATS_TEXT} image, or damaged") from None
    return (height, width) if turned else (width, height)


def _first(record: Mapping[str, Any], names: tuple[str, ...]) -> str:
    return next((value for name in names if isinstance(value := record.get(name), str) and value.strip()), "")


def _plain(name: str) -> str:
    return name.strip().lower().replace("_", "-")


def _known(dialect: str) -> str:
    if (plain := _plain(dialect)) != AUTO and plain not in DIALECTS:
        raise ValueError(f"unknown dialect {dialect[:40]!r}; there are {', '.join((AUTO, *DIALECTS))}")
    return DIALECTS.canonical(plain)
