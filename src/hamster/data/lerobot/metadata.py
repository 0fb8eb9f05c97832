"""Metadata of a LeRobotDataset: meta/info.json, the tasks, and the list of its episodes."""

from __future__ import annotations

import bisect
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from hamster.data.depth import is_depth_name
from hamster.data.lerobot.columns import column_names, read_table
from hamster.data.text import decode_text, inside, lines_of

MAX_JSON_BYTES = 256 << 20
VERSIONS = ("v3.", "v2.")
_V2_DATA = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
_V2_VIDEO = "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
_V3_DATA = "data/chunk-{chunk_index:03d}/file-{file_index:03d}.parquet"
_V3_VIDEO = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
_WHERE = ("chunk_index", "file_index", "from_timestamp")
MODALITY = "modality.json"
_ARRAYS = ("uint16", "int32", "float16", "float32", "float64")  # that hold depth
_ANNOTATION = re.compile(  # not `human.validity`, for instance
    r"annotation\.(?:.*[._])?(?:task(?:_description)?|sub_?task|(?:coarse|fine)_action|(?:language_)?instruction)(?:_\d+)?"
)
_FIELD = re.compile(r"\{(\w+)(?::0?(\d)d)?\}")


@dataclass(frozen=True)
class VideoSegment:
    """A video file, relative to the dataset, and from when to before when an episode is shown in it, seconds."""

    file: str
    start_s: float = 0.0
    end_s: float = math.inf


@dataclass(frozen=True)
class EpisodeEntry:
    """Where an episode is.

    Attributes:
        number: its episode_index.
        data: the parquet file, relative to the dataset.
        tasks: as the list of episodes has them; () where it does not.
        videos: per feature where its frames are.
        length: frames, as declared, or None.
    """

    number: int
    data: str
    tasks: tuple[str, ...]
    videos: Mapping[str, VideoSegment]
    length: int | None

    def digest_text(self) -> str:
        """Return the text that enters the digests of items: the `repr` of 0.1, whatever the classes are called now."""
        videos = ", ".join(
            f"{key!r}: Film(file={segment.file!r}, start_s={segment.start_s!r}, end_s={segment.end_s!r})"
            for key, segment in self.videos.items()
        )
        fields = f"number={self.number!r}, data={self.data!r}, tasks={self.tasks!r}, videos={{{videos}}}"
        return f"Entry({fields}, length={self.length!r})"


@lru_cache(maxsize=8)
def dataset_metadata(folder: str, written_ns: int) -> DatasetMetadata:
    """Return the metadata of the dataset in a folder, read once per process while its info.json is the same."""
    del written_ns
    return DatasetMetadata(Path(folder))


class DatasetMetadata:
    """A dataset's own description.

    Attributes:
        info: meta/info.json.
        features: per column its dtype, shape and names.
        fps: frames per second.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.info = _json_object(folder / "meta" / "info.json")
        self.version = str(self.info.get("codebase_version", ""))
        if not self.version.startswith(VERSIONS):
            raise ValueError(f"{folder}: version {self.version!r}; LeRobotDataset v3.0, v2.1 and v2.0 are read")
        self.features = _features(self.info)
        self.fps = _positive(self.info, "fps")
        self._rows: Any = self._v3_rows() if self.is_v3 else self._v2_rows()
        if not len(self._rows):
            raise ValueError(f"{folder} has no episodes")

    @property
    def is_v3(self) -> bool:
        """Many episodes to a file."""
        return self.version.startswith("v3.")

    @property
    def cameras(self) -> list[str]:
        """Features that are colour images or videos."""
        return [key for key, feature in self.features.items() if feature["dtype"] in ("image", "video")
                and key not in self.depth_features]  # fmt: skip

    @cached_property
    def depth_features(self) -> dict[str, dict[str, Any]]:
        """Features that are depth: marked so, or arrays (H, W) with depth in their name."""
        return {key: feature for key, feature in self.features.items() if is_depth(key, feature)}

    def __len__(self) -> int:
        return len(self._rows)

    def entry(self, index: int) -> EpisodeEntry:
        """Return the episode at a place in the list; ValueError if the list is damaged there."""
        try:
            return self._v3_entry(index) if self.is_v3 else self._v2_entry(self._rows[index])
        except KeyError as error:
            fault = f"lacks {error.args[0]}" if not str(error.args[0]).startswith("Field") else error.args[0]
            raise ValueError(f"the list of episodes is damaged at number {index}: {fault}") from None
        except (TypeError, AttributeError) as error:
            raise ValueError(f"the list of episodes is damaged at number {index}: {error!r}") from None

    @cached_property
    def annotations(self) -> list[str]:
        """Columns whose numbers are tasks, or that are texts, as GR00T writes them.

        Named `annotation.human.action.task_description`, or in meta/modality.json, which may name another column.
        """
        columns = {key: key for key in self.features if key.startswith("annotation.")}
        file = self.folder / "meta" / MODALITY
        described = _json_object(file).get("annotation") if file.is_file() else None
        for name, entry in described.items() if isinstance(described, dict) else ():
            own = entry.get("original_key") if isinstance(entry, dict) else None
            columns[f"annotation.{name}"] = own if isinstance(own, str) else f"annotation.{name}"
        return list(dict.fromkeys(column for name, column in columns.items() if _ANNOTATION.fullmatch(name)))

    @cached_property
    def tasks(self) -> dict[int, str]:
        """Instruction by task_index."""
        if self.is_v3:
            return read_tasks(self.folder / "meta" / "tasks.parquet", "task_index")
        lines = _json_lines(self.folder / "meta" / "tasks.jsonl")
        return {_whole(line.get("task_index"), "task_index"): str(line.get("task", "")) for line in lines}

    def _v2_rows(self) -> list[Mapping[str, Any]]:
        """Return the list of episodes; if it is missing, those that have a data file."""
        listed = self.folder / "meta" / "episodes.jsonl"
        if listed.is_file():
            return sorted(_json_lines(listed), key=lambda line: _whole(line.get("episode_index"), "episode_index"))
        matches = (re.fullmatch(r"episode_(\d{1,9})", file.stem) for file in self.folder.glob("data/*/*.parquet"))
        return [{"episode_index": number} for number in sorted(int(match[1]) for match in matches if match)]

    def _v2_entry(self, row: Mapping[str, Any]) -> EpisodeEntry:
        number = _whole(row["episode_index"], "episode_index")
        chunk = number // int(_positive({"chunks_size": self.info.get("chunks_size") or 1000}, "chunks_size"))
        path_fields = {"episode_chunk": chunk, "episode_index": number}
        video = str(self.info.get("video_path") or _V2_VIDEO)
        videos = {key: VideoSegment(_filled(video, {**path_fields, "video_key": key})) for key in self._video_keys()}
        tasks = tuple(str(task) for task in row.get("tasks") or ())
        length = None if row.get("length") is None else _whole(row["length"], "length")
        return EpisodeEntry(
            number, _filled(str(self.info.get("data_path") or _V2_DATA), path_fields), tasks, videos, length
        )

    def _v3_rows(self) -> Any:
        files = sorted((self.folder / "meta" / "episodes").glob("*/*.parquet"))
        if not files:
            raise ValueError(f"{self.folder}: meta/episodes has no Parquet file, which states where the episodes are")
        tables = [read_table(f, [name for name in column_names(f) if not name.startswith("stats/")]) for f in files]
        return pa.concat_tables(tables, promote_options="permissive")

    def _v3_entry(self, index: int) -> EpisodeEntry:
        (row,) = self._rows.slice(index, 1).to_pylist()
        path_fields = {"chunk_index": row["data/chunk_index"], "file_index": row["data/file_index"]}
        video = str(self.info.get("video_path") or _V3_VIDEO)
        videos = {}
        for key in self._video_keys():
            at = {name: row[f"videos/{key}/{name}"] for name in ("chunk_index", "file_index")}
            start_s = float(row[f"videos/{key}/from_timestamp"])
            end_s = row.get(f"videos/{key}/to_timestamp")
            end_s = min(math.inf if end_s is None else float(end_s), self._next_start_s(key, at, start_s))
            videos[key] = VideoSegment(_filled(video, {**at, "video_key": key}), start_s, end_s)
        data = _filled(str(self.info.get("data_path") or _V3_DATA), path_fields)
        tasks = tuple(str(task) for task in row.get("tasks") or ())
        number, length = (_whole(row[name], name) for name in ("episode_index", "length"))
        return EpisodeEntry(number, data, tasks, videos, length)

    def _next_start_s(self, key: str, at: Mapping[str, Any], start_s: float) -> float:
        """Return when the next episode starts in the same video file; infinity if none does."""
        starts = self._starts_s[key].get((at["chunk_index"], at["file_index"]), [])
        after = bisect.bisect_right(starts, start_s)
        return starts[after] if after < len(starts) else math.inf

    @cached_property
    def _starts_s(self) -> dict[str, dict[tuple[int, int], list[float]]]:
        """Per feature and video file (chunk, file), when episodes start in it, in order."""
        starts: dict[str, dict[tuple[int, int], list[float]]] = {}
        for key in self._video_keys():
            columns = (self._rows[f"videos/{key}/{name}"].to_pylist() for name in _WHERE)
            for chunk, file, start_s in zip(*columns, strict=True):
                starts.setdefault(key, {}).setdefault((chunk, file), []).append(float(start_s))
        return {key: {where: sorted(of) for where, of in files.items()} for key, files in starts.items()}

    def _video_keys(self) -> list[str]:
        return [key for key in (*self.cameras, *self.depth_features) if self.features[key]["dtype"] == "video"]


def file_inside(folder: Path, name: str) -> Path:
    """Return the path of a dataset's file, which may be a link into the Hub's cache.

    Raises:
        ValueError: if the name leads out of the folder.
    """
    return inside(folder, name, links_may_leave=True)


def _filled(template: str, values: Mapping[str, Any]) -> str:
    """Fill in the fields of a path template. Not str.format: a hostile template would reach into the objects."""

    def value(match: re.Match[str]) -> str:
        field = values.get(match[1])
        if field is None:
            raise ValueError(f"the path {template!r} of info.json has an unknown field {match[1]!r}")
        if match[2] or isinstance(field, float):
            return f"{_whole(field, match[1]):0{match[2] or 1}d}"
        return str(field)

    return _FIELD.sub(value, template)


def _whole(value: Any, name: str) -> int:
    """Return a whole number, also one that pandas has made a float because a value was missing."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << 40:
        raise ValueError(f"{name} has to be a whole number >= 0, got {value!r}")
    return value


def _json_object(file: Path) -> dict[str, Any]:
    content = _parsed(file, _text(file))
    if not isinstance(content, dict):
        raise ValueError(f"{file} is not a JSON object")
    return content


def _json_lines(file: Path) -> list[dict[str, Any]]:
    lines = [_parsed(file, line) for line in lines_of(_text(file)) if line.strip()]
    if not all(isinstance(line, dict) for line in lines):
        raise ValueError(f"{file}: each line has to be a JSON object")
    return lines


def _text(file: Path) -> str:
    if not file.is_file():
        raise ValueError(f"{file} is missing; a LeRobotDataset is a folder with meta/info.json")
    if file.stat().st_size > MAX_JSON_BYTES:
        raise ValueError(f"{file} is larger than {MAX_JSON_BYTES >> 20} MiB")
    return decode_text(file.read_bytes(), str(file))


def _parsed(file: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (json.JSONDecodeError, RecursionError):
        raise ValueError(f"{file} is not JSON, or cut off") from None


def _features(info: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    features = info.get("features")
    if not isinstance(features, dict) or not all(isinstance(f, dict) and "dtype" in f for f in features.values()):
        raise ValueError("meta/info.json has no `features` with a dtype each")
    for name, feature in features.items():
        shape, described = feature.setdefault("shape", [1]), feature.get("info") or feature.get("video_info") or {}
        if not (isinstance(shape, list) and all(isinstance(n, int) and 0 < n < 1 << 20 for n in shape)):
            raise ValueError(f"meta/info.json: feature {name!r} has the shape {shape!r}; a list of sizes is needed")
        if not isinstance(feature.get("names"), list | dict | None) or not isinstance(described, dict):
            raise ValueError(f"meta/info.json: `names` or `info` of feature {name!r} are damaged")
    return features


def _positive(info: Mapping[str, Any], name: str) -> float:
    value = info.get(name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 1e9:
        raise ValueError(f"meta/info.json: {name} has to be a number > 0, got {value!r}")
    return float(value)


def is_depth(key: str, feature: Mapping[str, Any]) -> bool:
    """Return whether a feature is depth: marked so in its `info`, or an array (H, W) with depth in its name."""
    described = feature_info(feature)
    if described.get("is_depth_map") or described.get("video.is_depth_map"):
        return True
    return feature["dtype"] in _ARRAYS and is_depth_name(key) and array_shape(feature) is not None


def feature_info(feature: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what is said of a feature's encoding."""
    return {**(feature.get("video_info") or {}), **(feature.get("info") or {})}


def array_shape(feature: Mapping[str, Any]) -> tuple[int, int] | None:
    """Return (height, width) of a feature of one channel, None for anything else."""
    sides = list(feature["shape"])
    if len(sides) == 3 and 1 in (sides[0], sides[2]):
        sides = sides[1:] if sides[0] == 1 else sides[:2]
    return (sides[0], sides[1]) if len(sides) == 2 and min(sides) > 1 else None


def read_tasks(file: Path, key: str) -> dict[int, str]:
    """Return the texts of a table by the numbers in its column `key`.

    v3.0 writes a pandas frame: the texts are its index, under one name or another.

    Raises:
        ValueError: if the file cannot be read, or lacks either.
    """
    table = read_table(file, column_names(file))
    texts = [name for name in table.column_names if pa.types.is_string(table[name].type)
             or pa.types.is_large_string(table[name].type)]  # fmt: skip
    if key not in table.column_names or not texts:
        raise ValueError(f"{file.name} lacks a column {key}, or one with the texts")
    rows = zip(table[key].to_pylist(), table[texts[-1]].to_pylist(), strict=True)
    return {_whole(index, key): str(text) for index, text in rows}
