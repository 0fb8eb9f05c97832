"""Drawings over photographs, as pixels or as strokes."""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from dataclasses import astuple, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data.images import read_image
from hamster.data.inputs import Inputs
from hamster.data.records import Drawing, Provenance, Unreadable
from hamster.data.strokes import Strokes, of_json, read_strokes
from hamster.data.text import decode_text, inside, instruction_from_name, lines_of
from hamster.path import Path2D

Image = NDArray[np.uint8]
INDEX = "index.jsonl"
PICTURES = (".png", ".jpg", ".jpeg", ".webp")
STROKES = (".svg", ".json")
MAX_INDEX_BYTES = 256 << 20
MAX_SIBLINGS = 8
_CLEAN = re.compile(r"[ _.-](clean|raw|original|orig|photo|background|base|nodraw)$", re.IGNORECASE)
_DRAWN = re.compile(r"[ _.-](plain|circled?|arrows?|drawn|drawing|sketch|strokes?|annotated|overlay|v)$", re.IGNORECASE)
_NUMBER = re.compile(r"[ _.-]+(v?\d+|[a-z])$", re.IGNORECASE)


@dataclass(frozen=True)
class _Entry:
    """One drawing: the files of it, relative to the folder, and what the index says."""

    file: str
    instruction: str = ""
    clean: str = ""
    strokes: str = ""  # JSON
    scene: str = ""
    reason: str = ""  # why it cannot be read
    path: str = ""  # JSON


@dataclass(frozen=True)
class Sketch:
    """The drawings of a folder: a `hamster.data.Source`.

    They are the lines of its index.jsonl, {file, instruction} and optionally {clean, strokes, scene, path}; without
    one, all pictures, SVG and JSON files in it, whose names say what they show. A `path`, as `Path2D.to_json` returns
    it, is what the drawing means: nothing is read off the picture then, which need not be drawn on.

    A clean picture has the name of its drawing with `_clean` (`_raw`, `_original`, `_photo`) after it, or lies in a
    folder `clean`; a picture with the name of an SVG or JSON file is the one under its strokes. Other drawings of a
    scene are those with the same name up to a last number, as long as the pictures agree.

    Raises:
        ValueError: if there is no such folder, or nothing in it.
    """

    folder: Path
    per_shard: int = 64
    _entries: tuple[_Entry, ...] = field(init=False, repr=False, compare=False)
    _scenes: dict[str, tuple[int, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "folder", Path(self.folder))
        if not self.folder.is_dir():
            raise ValueError(f"no folder {str(self.folder)!r}; say sketch:DIR with a folder of drawings")
        index = self.folder / INDEX
        entries = _indexed(index) if index.is_file() else _named(self.folder)
        if not entries:
            raise ValueError(f"no drawings in {self.folder}; need {', '.join((*PICTURES, *STROKES))} or an {INDEX}")
        scenes = defaultdict(list)
        for i, entry in enumerate(entries):
            scenes[entry.scene].append(i)
        object.__setattr__(self, "_entries", tuple(entries))
        object.__setattr__(self, "_scenes", {scene: tuple(members) for scene, members in scenes.items()})

    @property
    def uri(self) -> str:
        """sketch:DIR."""
        return f"sketch:{self.folder}"

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, index: int) -> Drawing | Unreadable:
        index = range(len(self))[index]
        entry = self._entries[index]
        try:
            if entry.reason:
                raise ValueError(entry.reason)
            return self._drawing(entry, index)
        except (ValueError, OSError) as error:
            return Unreadable(entry.file, str(error))

    def inputs(self, index: int) -> Inputs:
        """Return the drawing, the clean picture, and the other drawings of the scene."""
        index = range(len(self))[index]
        entry, others = self._entries[index], [self._entries[i].file for i in self._members(index)]
        file = self.folder / entry.file
        under = [self.folder / entry.clean] if entry.clean else []
        if file.suffix.lower() in STROKES:  # which may name their picture
            under = sorted(f for f in file.parent.iterdir() if f.suffix.lower() in PICTURES)
        fields = astuple(entry)
        fields = fields if entry.path else fields[:-1]  # as before drawings could have one: old label sets go on
        facts = json.dumps([fields, others])
        return Inputs(entry.file, [file, *under, *(self.folder / other for other in others)], facts)

    def _members(self, index: int) -> list[int]:
        """Return the nearest other drawings of the scene, in order."""
        members = [i for i in self._scenes[self._entries[index].scene] if i != index]
        return sorted(sorted(members, key=lambda i: abs(i - index))[:MAX_SIBLINGS])

    def _drawing(self, entry: _Entry, index: int) -> Drawing:
        file = inside(self.folder, entry.file)
        path = Path2D.from_json(json.loads(entry.path)) if entry.path else None
        provenance = Provenance(self.uri, entry.file, hashlib.sha256(file.read_bytes()).hexdigest())
        if file.suffix.lower() in PICTURES:
            clean = read_image(inside(self.folder, entry.clean)) if entry.clean else None
            rgb = read_image(file)
            if clean is not None and clean.shape != rgb.shape:
                raise ValueError(f"{entry.clean} has another size than the drawing")
            lines = _relative(of_json(json.loads(entry.strokes)), rgb) if entry.strokes else ()
            others = () if clean is not None or lines or path is not None else self._siblings(index, rgb)
            return Drawing(rgb, entry.instruction, provenance, clean, others, lines, path)
        strokes = read_strokes(file)
        picture = str(Path(entry.file).parent / strokes.image) if strokes.image else entry.clean
        clean = read_image(inside(self.folder, picture)) if picture else None
        instruction = entry.instruction or strokes.instruction
        return Drawing(None, instruction, provenance, clean, (), _relative(strokes, clean), path)

    def _siblings(self, index: int, rgb: Image) -> tuple[Image, ...]:
        """Return the nearest other drawings of the scene that show the same picture."""
        siblings = []
        for i in self._members(index):
            try:
                other = read_image(inside(self.folder, self._entries[i].file))
            except (ValueError, OSError):  # which is reported in its own turn
                continue
            if _same_picture(rgb, other):
                siblings.append(other)
        return tuple(siblings)


def _same_picture(rgb: Image, other: Image) -> bool:
    if rgb.shape != other.shape:
        return False
    apart = np.abs(rgb[::4, ::4].astype(np.int16) - other[::4, ::4]).max(-1)
    return bool(np.median(apart) < 10 and (apart > 40).mean() < 0.25)


def _relative(strokes: Strokes, picture: Image | None) -> tuple[NDArray[np.float64], ...]:
    """Return lines relative to the picture: its frame in the file, else its pixels, unless they are relative already.

    Raises:
        ValueError: if they lie outside of all of these.
    """
    low = np.min([line.min(0) for line in strokes.lines], 0)
    high = np.max([line.max(0) for line in strokes.lines], 0)
    frame = strokes.frame
    if frame is None:
        sides = (1.0, 1.0) if high.max() <= 1 or picture is None else (picture.shape[1], picture.shape[0])
        frame = (0.0, 0.0, float(sides[0]), float(sides[1]))
    origin, size = np.array(frame[:2]), np.array(frame[2:])
    with np.errstate(all="ignore"):
        ends = np.concatenate([(low - origin) / size, (high - origin) / size])
    if not (ends.min() >= -0.1 and ends.max() <= 1.1):  # NaN fails, too
        raise ValueError("strokes outside of the picture: say `width` and `height` of the canvas")
    return tuple(np.clip((line - origin) / size, 0.0, 1.0) for line in strokes.lines)


def _indexed(index: Path) -> list[_Entry]:
    if index.stat().st_size > MAX_INDEX_BYTES:
        raise ValueError(f"{index} is larger than {MAX_INDEX_BYTES >> 20} MiB")
    lines = lines_of(decode_text(index.read_bytes(), index.name, "replace"))
    return [_entry(line, f"{index.name}:{n}") for n, line in enumerate(lines, 1) if line.strip()]


def _entry(line: str, place: str) -> _Entry:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:
        return _Entry(place, reason=f"not JSON: {error}")
    if not isinstance(row, dict) or not isinstance(row.get("file"), str):
        return _Entry(place, reason="no {file, instruction}")
    file = row["file"]
    if Path(file).suffix.lower() not in (*PICTURES, *STROKES):
        return _Entry(file, reason=f"not one of {', '.join((*PICTURES, *STROKES))}")
    words = _word(row, "instruction", "text", "prompt", "task", "caption") or instruction_of(file)
    strokes, path = (json.dumps(row[key]) if row.get(key) else "" for key in ("strokes", "path"))
    scene = _word(row, "scene") or scene_of(file)
    return _Entry(file, words, _word(row, "clean", "photo", "original", "background"), strokes, scene, path=path)


def _word(row: dict[str, Any], *keys: str) -> str:
    return next((row[key] for key in keys if isinstance(row.get(key), str)), "")


def _named(folder: Path) -> list[_Entry]:
    """Return what the names of the files say."""
    names = sorted(str(f.relative_to(folder)) for f in folder.rglob("*") if f.suffix.lower() in (*PICTURES, *STROKES))
    pictures = {str(Path(n).with_suffix("")): n for n in names if Path(n).suffix.lower() in PICTURES}
    clean = {_drawn_name(stem): name for stem, name in pictures.items() if _drawn_name(stem) != stem}
    strokes = {str(Path(n).with_suffix("")) for n in names if Path(n).suffix.lower() in STROKES}
    beside = {*clean.values(), *(name for stem, name in pictures.items() if stem in strokes)}
    entries = []
    for name in names:
        path = Path(name)
        stem = str(path.with_suffix(""))
        entry = _Entry(name, instruction_of(name), clean.get(stem, clean.get(scene_of(name), "")), "", scene_of(name))
        if path.suffix.lower() in STROKES:
            entries.append(replace(entry, clean=entry.clean or pictures.get(stem, "")))
        elif name not in beside:
            entries.append(entry)
    return entries


def _drawn_name(stem: str) -> str:
    """Return the drawing's name for the name of a clean picture; any other name as it is."""
    path = Path(stem)
    if path.parent.name.lower() in ("clean", "raw", "original"):
        return str(path.parent.parent / path.name)
    return _CLEAN.sub("", stem)


def scene_of(name: str) -> str:
    """Return what drawings of one scene have in common: the name without its last number and the kind of drawing."""
    stem = str(Path(name).with_suffix(""))
    return _DRAWN.sub("", _NUMBER.sub("", stem))


def instruction_of(name: str) -> str:
    """Return the words in a drawing's name; "" if they are no sentence, as in IMG_0012."""
    return instruction_from_name(scene_of(Path(name).name))
