"""Published trace benchmarks, each one local Parquet file in the schema of its dataset on the Hugging Face Hub."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from hamster.data.images import MAX_BYTES, decode_image
from hamster.data.inputs import Inputs
from hamster.data.lerobot.columns import column_names, read_table
from hamster.data.records import UNCLIPPED_UV, AnnotatedImage, Annotation, Provenance, Unreadable, View
from hamster.data.text import inside
from hamster.path import Gripper, Path2D

Array = NDArray[np.float64]
MAX_POINTS = 1000  # published truths have about ten
_IMAGE = "<image>"


@dataclass(frozen=True)
class TraceBenchmark:
    """The rows of a Parquet file: a `hamster.data.Source` of images with one instruction and its true path each.

    The columns' images are those of Hugging Face's `Image` feature, {"bytes", "path"}, or encoded bytes. The gripper's
    states are unknown, since these benchmarks do not state them. `Provenance.extra["id"]` is the row's `id`, else its
    number.

    Attributes:
        file: the Parquet.

    Raises:
        ValueError: if there is no such file, it is no Parquet file, has no rows or lacks a column.
    """

    file: Path
    per_shard: int = 64
    _length: int = field(init=False, repr=False, compare=False)

    SCHEME: ClassVar[str]
    INSTRUCTION: ClassVar[str] = "problem"
    IMAGE: ClassVar[str] = "image"
    TRUTH: ClassVar[tuple[str, ...]] = ("answer",)
    """Columns without which there is no truth; of several names of one column, separated by |, the first present."""
    LICENCE: ClassVar[str] = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "file", Path(self.file))
        if not self.file.is_file():
            raise ValueError(f"no file {str(self.file)!r}; say {self.SCHEME}:FILE with the dataset's Parquet file")
        names = column_names(self.file)
        needed = (self.INSTRUCTION, self.IMAGE, *self.TRUTH)
        if missing := [column for column in needed if not set(column.split("|")) & set(names)]:
            raise ValueError(
                f"{self.file.name} lacks the column {', '.join(missing)}; {self.SCHEME} has {', '.join(needed)}, and "
                f"this file {', '.join(names)[:200]}"
            )
        object.__setattr__(self, "_length", self._table().num_rows)
        if not len(self):
            raise ValueError(f"{self.file.name} has no rows")

    @property
    def uri(self) -> str:
        """The scheme and the file."""
        return f"{self.SCHEME}:{self.file}"

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, index: int) -> AnnotatedImage | Unreadable:
        index = range(len(self))[index]
        try:
            return self._annotated(self._row(index), index)
        except (ValueError, TypeError, OSError, RecursionError, OverflowError) as error:
            return Unreadable(f"{self.file.name}#{index}", str(error) or "nested too deeply")

    def inputs(self, index: int) -> Inputs:
        """Return the file, which holds all rows."""
        return Inputs(f"{self.file.name}#{range(len(self))[index]}", [self.file])

    def _table(self) -> Any:
        facts = self.file.stat()
        columns = {name for column in (self.INSTRUCTION, self.IMAGE, *self.TRUTH, "id") for name in column.split("|")}
        return _read(self.file, tuple(sorted(columns)), facts.st_size, facts.st_mtime_ns)

    def _row(self, index: int) -> dict[str, Any]:
        table = self._table()
        return {name: table[name][index].as_py() for name in table.column_names}

    def _annotated(self, row: Mapping[str, Any], index: int) -> AnnotatedImage:
        instruction = row[self.INSTRUCTION]
        instruction = instruction.replace(_IMAGE, " ").strip() if isinstance(instruction, str) else ""
        if not instruction:
            raise ValueError(f"no text in the column {self.INSTRUCTION}")
        rgb, digest = self._image(row[self.IMAGE])
        size_px = np.array([rgb.shape[1], rgb.shape[0]], np.float64)
        px, depth_m = self._truth(row, size_px)
        uv = px / size_px
        # A truth may leave its image by a little; pixels of a much larger image leave it by far. Fractions of the image
        # all lie in its first pixel.
        if uv.min() < -1 or uv.max() > 2 or (len(px) > 1 and np.abs(px).max() <= 1):
            raise ValueError(f"the true trace is not in pixels of its image of {rgb.shape[1]} x {rgb.shape[0]}")
        clipped = np.clip(uv, 0, 1)
        unclipped = {} if (clipped == uv).all() else {UNCLIPPED_UV: uv.tolist()}
        path = Path2D(clipped, np.full(len(uv), Gripper.UNKNOWN, np.int8), depth_m)
        name = row.get("id")
        extra = {"id": str(index if name is None else name)[:200], **unclipped}
        provenance = Provenance(self.uri, f"{self.file.name}#{index}", digest, self.LICENCE, extra)
        return AnnotatedImage(View(rgb), [Annotation(instruction, path, "trace")], provenance)

    def _image(self, cell: Any) -> tuple[NDArray[np.uint8], str]:
        """Return the image (H, W, 3), of its full size since truths are in its pixels, and its digest."""
        if isinstance(cell, list):
            if len(cell) != 1:
                raise ValueError(f"{len(cell)} images; a trace is drawn on one")
            cell = cell[0]
        name = ""
        if isinstance(cell, dict):
            name, cell = str(cell.get("path") or ""), cell.get("bytes")
        if cell is None and name:
            file = inside(self.file.parent, name)
            if not file.is_file():
                raise ValueError(f"no image {name[:80]!r} in {self.file.parent}, and none in the column {self.IMAGE}")
            if file.stat().st_size > MAX_BYTES:
                raise ValueError(f"{name[:80]} has more than {MAX_BYTES >> 20} MiB")
            cell = file.read_bytes()
        if not isinstance(cell, bytes):
            raise ValueError(f"no image in the column {self.IMAGE}: encoded bytes, or {{bytes, path}}")
        return decode_image(cell, f"the image {name[:80]!r}" if name else "the image"), hashlib.sha256(cell).hexdigest()

    def _truth(self, row: Mapping[str, Any], size_px: Array) -> tuple[Array, Array | None]:
        """Return the true trace (N, 2) in pixels of the image, and depths (N,) in metres where they are known."""
        del size_px
        return _numbers(row["answer"], "answer", 2), None


class VABenchV(TraceBenchmark):
    """VABench-V (`IffYuan/vabench-v`): `problem`, `images`, `answer` with {"trajectory": [[x, y], …]} in pixels."""

    SCHEME = "vabench-v"
    IMAGE = "images"


class ShareRobot(TraceBenchmark):
    """ShareRobot's traces (`IffYuan/sharerobot_trajectory`): `problem`, `image`, `answer` [[x, y], …] in pixels."""

    SCHEME = "sharerobot"


class TraceSpatial(TraceBenchmark):
    """TraceSpatial-Bench (`JingkunAn/TraceSpatial-Bench`): `prompt`, `image`, a `trajectory` (N, 3) and intrinsics.

    The trajectory is in metres in the camera's frame (x right, y down, z along the optical axis), and is projected by
    `gt_depth_intrinsics`, as the benchmark's own evaluation does, or `intrinsics` where that column is missing.
    """

    SCHEME = "tracespatial"
    INSTRUCTION = "prompt"
    TRUTH = ("trajectory", "gt_depth_intrinsics|intrinsics")
    LICENCE = "Apache-2.0"

    def _truth(self, row: Mapping[str, Any], size_px: Array) -> tuple[Array, Array | None]:
        points_camera = _numbers(row["trajectory"], "trajectory", 3)
        intrinsics = row["gt_depth_intrinsics"] if "gt_depth_intrinsics" in row else row["intrinsics"]
        fx, fy, cx, cy = _pinhole(_decoded(intrinsics, "intrinsics"), size_px)
        x, y, depth_m = points_camera.T
        if depth_m.min() <= 0.001:
            raise ValueError("a point of the trajectory is not in front of the camera")
        return np.stack([fx * x / depth_m + cx, fy * y / depth_m + cy], -1), depth_m


@lru_cache(maxsize=2)
def _read(file: Path, columns: tuple[str, ...], size: int, mtime_ns: int) -> Any:
    del size, mtime_ns  # a file that was replaced is read again
    return read_table(file, columns)


def _decoded(cell: Any, column: str) -> Any:
    """Return the content of a cell, which may be JSON in text."""
    if not isinstance(cell, str):
        return cell
    try:
        return json.loads(cell)
    except ValueError as error:
        raise ValueError(f"the {column} is not JSON: {error}") from None


def _numbers(cell: Any, column: str, width: int) -> Array:
    """Return rows of `width` finite numbers: a list of lists, or an object's `trajectory`."""
    value = _decoded(cell, column)
    if isinstance(value, dict):
        if "trajectory" not in value:
            raise ValueError(f"no `trajectory` in the {column}; it has {', '.join(map(str, value))[:80] or 'nothing'}")
        value = value["trajectory"]
    form = f"the {column} must be [[{', '.join('xyz'[:width])}], …], 1 to {MAX_POINTS} rows of finite numbers"
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_POINTS:
        raise ValueError(form)
    for row in value:
        if not isinstance(row, list) or len(row) != width or not all(type(number) in (int, float) for number in row):
            raise ValueError(f"{form}, got {str(row)[:60]}")
    array = np.array(value, np.float64)
    if not np.isfinite(array).all():
        raise ValueError(form)
    return array


def _pinhole(value: Any, size_px: Array) -> tuple[float, float, float, float]:
    """Return fx, fy, cx, cy of a matrix of 3 x 3 or 4 x 4 numbers that fits the image."""
    n = len(value) if isinstance(value, list) else 0
    if n not in (3, 4) or not all(isinstance(row, list) and len(row) == n for row in value):
        raise ValueError("the intrinsics must be a matrix of 3 x 3 or 4 x 4 numbers")
    matrix = np.array(value, np.float64)
    focal_px, centre_px = matrix[[0, 1], [0, 1]], matrix[:2, 2]
    if not (np.isfinite(matrix).all() and (focal_px > 0).all()):
        raise ValueError("the intrinsics must be finite, with focal lengths > 0")
    if not ((centre_px > 0) & (centre_px < size_px)).all():
        raise ValueError(
            f"the intrinsics are of another image: their centre ({centre_px[0]:.0f}, {centre_px[1]:.0f}) is not in "
            f"{size_px[0]:.0f} x {size_px[1]:.0f} pixels"
        )
    return float(focal_px[0]), float(focal_px[1]), float(centre_px[0]), float(centre_px[1])
