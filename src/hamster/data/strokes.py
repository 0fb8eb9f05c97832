"""Strokes that were recorded as data: the line art of an SVG file, and JSON in the layouts of drawing tools."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import fromstring
from numpy.typing import NDArray
from svgelements import Matrix
from svgelements import Path as SvgPath

Array = NDArray[np.float64]
MAX_BYTES = 8 << 20
MAX_POINTS = 200_000
MAX_STROKES = 2000
MAX_ELEMENTS = 20_000  # of SVG
MAX_DATA = 1 << 19  # characters of all paths, points and transforms: a photograph may be embedded, a path is short
MAX_NUMBERS = 40_000  # in them
MAX_COMMANDS = 20_000  # letters of path data
MAX_TRANSFORM = 2000  # characters of one
MAX_CLOSINGS = 500  # the parser looks back from each to where its path began
TIMEOUT_S = 10.0  # of the processor, should all of that not be enough
_PER_CURVE = 17  # points
_ALONG_CURVE = np.linspace(0, 1, _PER_CURVE)[1:]
_HIDDEN = ("defs", "marker", "clipPath", "mask", "symbol", "pattern", "style", "metadata", "title", "desc")
_COMMAND = re.compile("[A-DF-Za-df-z]")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")


@dataclass(frozen=True, eq=False)
class Strokes:
    """What a drawing file holds.

    Attributes:
        lines: (N, 2) each, x right and y down, in drawing order.
        frame: x, y, width and height of the picture in the lines' units; None where the file does not say.
        image: the file that it refers to as its picture, "" if none.
        instruction: that it carries, "" if none.
    """

    lines: tuple[Array, ...]
    frame: tuple[float, float, float, float] | None = None
    image: str = ""
    instruction: str = ""


def read_strokes(file: Path) -> Strokes:
    """Return the strokes of an .svg or .json file.

    Raises:
        ValueError: if it is too large, damaged, holds no strokes, or numbers that are not finite.
    """
    if file.stat().st_size > MAX_BYTES:
        raise ValueError(f"{file.name} is larger than {MAX_BYTES >> 20} MiB")
    return of_svg(file.read_bytes()) if file.suffix.lower() == ".svg" else of_json(_parsed(file.read_bytes()))


def _parsed(text: bytes) -> Any:
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _checked(lines: list[Array]) -> tuple[Array, ...]:
    kept = tuple(line for line in lines if len(line))
    if not kept:
        raise ValueError("no strokes in it")
    if len(kept) > MAX_STROKES:
        raise ValueError(f"more than {MAX_STROKES} strokes")
    if sum(len(line) for line in kept) > MAX_POINTS:
        raise ValueError(f"more than {MAX_POINTS} points")
    if not all(np.isfinite(line).all() for line in kept):
        raise ValueError("a stroke with coordinates that are not finite numbers")
    return kept


# SVG


def of_svg(text: bytes) -> Strokes:
    """Return paths, lines, polylines, polygons, circles and ellipses, with their transforms; the rest is no line art.

    Raises:
        ValueError: as in `read_strokes`; XML with a document type (where the bombs are) is not read.
    """
    if text.count(b"<") > 2 * MAX_ELEMENTS:
        raise ValueError(f"more than {MAX_ELEMENTS} elements")
    try:
        root = fromstring(text, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError) as error:
        raise ValueError(f"not SVG that is read: {type(error).__name__} {error}") from None
    _check_amounts(root)
    lines: list[Array] = []
    image, box = "", _view_box(root)
    waiting = [(root, Matrix())]
    deadline = time.process_time() + TIMEOUT_S
    while waiting:
        element, outer = waiting.pop()
        if time.process_time() > deadline:
            raise ValueError(f"reading it takes longer than {TIMEOUT_S:g} s")
        matrix = _matrix(element) * outer
        name = _name(element)
        if name in _HIDDEN:
            continue
        if name == "image":
            image, box = _image(element, matrix) or (image, box)
        elif name in _SHAPES:
            lines += _outline(element, name, matrix)
        waiting += [(child, matrix) for child in reversed(element)]
    return Strokes(_checked(lines), box, image, _title(root))


def _matrix(element: Element) -> Matrix:
    try:
        return Matrix(_text(element, "transform"))
    except (ValueError, TypeError, IndexError, ArithmeticError) as error:
        raise ValueError(f"a transform that is none: {error}") from None


def _check_amounts(root: Element) -> None:
    """Raise ValueError if there is so much to parse that it would take long: parsing paths is slow."""
    data = numbers = commands = closings = 0
    for element in root.iter():
        if len(transform := _text(element, "transform")) > MAX_TRANSFORM:
            raise ValueError(f"a transform of more than {MAX_TRANSFORM} characters")
        outline = _text(element, "d") or _text(element, "points")
        data += len(transform) + len(outline)
        if data > MAX_DATA:
            raise ValueError(f"more than {MAX_DATA >> 10} KiB of path data")
        numbers += sum(1 for _ in _NUMBER.finditer(outline))
        commands += len(_COMMAND.findall(outline))
        closings += sum(map(outline.count, "zZ"))
        if closings > MAX_CLOSINGS:
            raise ValueError(f"more than {MAX_CLOSINGS} closed paths")
        if numbers > MAX_NUMBERS:
            raise ValueError(f"more than {MAX_NUMBERS} coordinates")
        if commands > MAX_COMMANDS:
            raise ValueError(f"more than {MAX_COMMANDS} path commands")


def _name(element: Element) -> str:
    return element.tag.rpartition("}")[2] if isinstance(element.tag, str) else ""


def _text(element: Element, key: str) -> str:
    return element.get(key, "")


def _numbers(text: str) -> list[float]:
    return [float(number) for number in _NUMBER.findall(text)]


def _value(element: Element, key: str) -> float:
    return (_numbers(_text(element, key)) or [0.0])[0]


def _view_box(root: Element) -> tuple[float, float, float, float] | None:
    box = _numbers(_text(root, "viewBox"))
    if len(box) != 4:
        box = [0.0, 0.0, _value(root, "width"), _value(root, "height")]
    if not np.isfinite(box).all():
        raise ValueError("a canvas with a size that is no finite number")
    return (box[0], box[1], box[2], box[3]) if box[2] > 0 and box[3] > 0 else None


def _title(root: Element) -> str:
    titles = [child.text or "" for child in root if _name(child) in ("title", "desc")]
    return titles[0].strip() if titles else ""


def _image(element: Element, matrix: Matrix) -> tuple[str, tuple[float, float, float, float]] | None:
    """Return the file behind the drawing and where it lies; None where it is part of the SVG itself."""
    href = element.get("href") or element.get("{http://www.w3.org/1999/xlink}href") or ""
    corners = [(0.0, 0.0), (_value(element, "width"), _value(element, "height"))]
    origin = (_value(element, "x"), _value(element, "y"))
    (x0, y0), (x1, y1) = (_moved(matrix, [(x + origin[0], y + origin[1]) for x, y in corners])).tolist()
    if x1 <= x0 or y1 <= y0:
        return None
    return ("" if href.startswith("data:") else href), (x0, y0, x1 - x0, y1 - y0)


def _moved(matrix: Matrix, points: Any) -> Array:
    xy = np.asarray(points, np.float64).reshape(-1, 2)
    if not np.isfinite(xy).all():
        raise ValueError("a stroke with coordinates that are not finite numbers")
    with np.errstate(over="ignore", invalid="ignore"):  # of which `_checked` says that it is not finite
        return np.asarray(xy @ [[matrix.a, matrix.b], [matrix.c, matrix.d]] + [matrix.e, matrix.f])


def _outline(element: Element, name: str, matrix: Matrix) -> list[Array]:
    lines = _SHAPES[name](element)
    backwards = element.get("marker-start") and not element.get("marker-end")
    return [_moved(matrix, line[::-1] if backwards else line) for line in lines]


def _of_path(element: Element) -> list[Array]:
    try:
        path = SvgPath(_text(element, "d"))
    except (ValueError, TypeError, IndexError, AttributeError, ZeroDivisionError, OverflowError) as error:
        raise ValueError(f"a path that is none: {error}") from None
    lines: list[list[tuple[float, float]]] = []
    count = 0
    for segment in path:
        kind = type(segment).__name__
        if kind == "Move" or not lines:
            lines.append([])
            if kind == "Move":
                lines[-1].append((float(segment.end.x), float(segment.end.y)))
                continue
        if segment.end is None:
            continue
        if kind in ("Line", "Close"):
            lines[-1].append((float(segment.end.x), float(segment.end.y)))
        else:
            lines[-1] += [(float(x), float(y)) for x, y in segment.npoint(_ALONG_CURVE)]
        count += 1 if kind in ("Line", "Close") else _PER_CURVE
        if count > MAX_POINTS:
            raise ValueError(f"more than {MAX_POINTS} points")
    return [np.array(line) for line in lines if len(line) > 1]


def _of_points(element: Element) -> list[Array]:
    numbers = _numbers(_text(element, "points"))
    line = np.array(numbers[: len(numbers) // 2 * 2]).reshape(-1, 2)
    closed = _name(element) == "polygon" and len(line) > 0
    return [np.concatenate([line, line[:1]]) if closed else line]


def _of_line(element: Element) -> list[Array]:
    return [np.array([[_value(element, f"x{i}"), _value(element, f"y{i}")] for i in (1, 2)])]


def _of_ellipse(element: Element) -> list[Array]:
    rx, ry = _value(element, "rx") or _value(element, "r"), _value(element, "ry") or _value(element, "r")
    turn = np.linspace(0, 2 * np.pi, 65)
    centre = [_value(element, "cx"), _value(element, "cy")]
    return [np.stack([rx * np.cos(turn), ry * np.sin(turn)], -1) + centre]


_SHAPES = {
    "path": _of_path,
    "polyline": _of_points,
    "polygon": _of_points,
    "line": _of_line,
    "circle": _of_ellipse,
    "ellipse": _of_ellipse,
}


# JSON


def of_json(value: Any) -> Strokes:
    """Return strokes from a parsed JSON value.

    A stroke is [[x, y], …], [[x, y, t], …], [{x, y}, …], {points: …}, {x: […], y: […]} or, as in Quick, Draw!,
    [[x, …], [y, …]]. A drawing is a list of strokes, or an object with them under `strokes`, `drawing`, `paths` or
    `lines`; or it is stroke-3, [[dx, dy, pen up], …]. The size of the canvas may stand beside them.

    Raises:
        ValueError: as in `read_strokes`.
    """
    head: dict[str, Any] = value if isinstance(value, dict) else {}
    body = next((head[key] for key in ("strokes", "drawing", "paths", "lines") if key in head), value)
    if isinstance(body, dict):
        body = [body]
    if not isinstance(body, list) or not body:
        raise ValueError("no strokes in it: a list, or an object with `strokes`")
    if len(body) > (MAX_POINTS if _is_point(body[0]) else MAX_STROKES):
        raise ValueError(f"more than {MAX_STROKES} strokes, or {MAX_POINTS} points")
    try:
        lines = _lines(body, "drawing" in head)
    except (TypeError, KeyError, IndexError, OverflowError, RecursionError, StopIteration):
        raise ValueError("no known layout of strokes: [[x, y], …], [{x, y}, …] or [[x, …], [y, …]]") from None
    words = [head[key] for key in ("instruction", "text", "prompt", "word") if isinstance(head.get(key), str)]
    image = next((head[key] for key in ("image", "photo", "background") if isinstance(head.get(key), str)), "")
    return Strokes(_checked(lines), _canvas(head), image, (words or [""])[0])


def _lines(body: list[Any], columns: bool) -> list[Array]:
    if _is_point(body[0]):  # one stroke alone, or stroke-3
        xy = _xy(body)
        pens = [point[2] for point in body if isinstance(point, list) and len(point) == 3]
        if len(pens) == len(body) and set(pens) == {0, 1}:
            return np.split(np.cumsum(xy, 0), np.flatnonzero(np.array(pens[:-1]) == 1) + 1)
        return [xy]
    columns = columns or any(_has_columns(stroke) for stroke in body)
    return [_stroke(stroke, columns) for stroke in body]


def _is_point(value: Any) -> bool:
    if isinstance(value, dict):
        return isinstance(value.get("x"), (int, float))
    return isinstance(value, list) and len(value) >= 2 and all(isinstance(v, (int, float)) for v in value)


def _has_columns(stroke: Any) -> bool:
    lists = isinstance(stroke, list) and len(stroke) in (2, 3) and all(isinstance(row, list) for row in stroke)
    return lists and len(stroke[0]) == len(stroke[1]) and len(stroke[0]) not in (2, 3)


def _stroke(stroke: Any, columns: bool) -> Array:
    if isinstance(stroke, dict):
        if isinstance(stroke.get("x"), list):
            return np.array([stroke["x"], stroke["y"]], np.float64).T
        return _stroke(next(stroke[key] for key in ("points", "path", "stroke", "xy") if key in stroke), False)
    return np.array(stroke[:2], np.float64).T.reshape(-1, 2) if columns else _xy(stroke)


def _xy(points: list[Any]) -> Array:
    pairs = [(p["x"], p["y"]) if isinstance(p, dict) else (p[0], p[1]) for p in points]
    return np.array(pairs, np.float64).reshape(-1, 2)


def _canvas(head: dict[str, Any]) -> tuple[float, float, float, float] | None:
    for key in ("size", "canvas", "image_size"):
        if isinstance(head.get(key), list) and len(head[key]) == 2:
            head = {"width": head[key][0], "height": head[key][1]}
        elif isinstance(head.get(key), dict):
            head = head[key]
    size = [head.get("width"), head.get("height")]
    if all(isinstance(side, (int, float)) and 0 < side < 1e9 for side in size):
        return 0.0, 0.0, float(size[0] or 0), float(size[1] or 0)
    return None
