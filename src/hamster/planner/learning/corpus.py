"""An annotated label set as arrays: images on disk, instructions tokenised once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path as File
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.path import Gripper, Path
from hamster.planner.nano import tokens

NO_OBJECT = 255
MOST_MENTIONS = 16
MOST_OBJECTS = 32


@dataclass(frozen=True, eq=False)
class Corpus:
    """All images and their annotations; those of image i are `first[i]` to `first[i + 1]`.

    Attributes:
        rgb: (N, 128, 128, 3) uint8 on disk, per shard. segmentation: (N, 128, 128) uint8, 255 is no object.
        first: (N + 1,) first annotation of each image.
        looks: (N, 32, 2) token ids of each object's colour and kind, 0 where there is none.
        ids: (A, T) instructions, padded with 0; length: (A,).
        uv, event, count: (A, 8, 2), (A, 8), (A,) as `tokens.answer_tokens` takes them.
        mention: (A, 16) the token at which something is mentioned, or -1; means: (A, 16) bit set of objects.
        target, goal: (A,) object, or -1. task: (A,) index into `tasks`. sided: (A,) says left or right.
    """

    rgb: list[NDArray[np.uint8]]
    segmentation: list[NDArray[np.uint8]]
    starts: NDArray[np.int64]
    first: NDArray[np.int64]
    looks: NDArray[np.int64]
    ids: NDArray[np.int64]
    length: NDArray[np.int64]
    uv: NDArray[np.float32]
    event: NDArray[np.int8]
    count: NDArray[np.int64]
    mention: NDArray[np.int64]
    means: NDArray[np.uint32]
    target: NDArray[np.int64]
    goal: NDArray[np.int64]
    task: NDArray[np.int64]
    sided: NDArray[np.bool_]
    tasks: tuple[str, ...]
    instructions: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.first) - 1

    def images(self, index: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """rgb (B, 128, 128, 3) and segmentation (B, 128, 128) of some images."""
        shard = np.searchsorted(self.starts, index, side="right") - 1
        within = index - self.starts[shard]
        rgb = np.stack([self.rgb[s][i] for s, i in zip(shard, within, strict=True)])
        return rgb, np.stack([self.segmentation[s][i] for s, i in zip(shard, within, strict=True)])

    def path(self, annotation: int) -> Path:
        """The true path of an annotation."""
        count = int(self.count[annotation])
        gripper, state = [], Gripper.UNKNOWN
        for event in self.event[annotation, :count]:
            state = {tokens.OPEN: Gripper.OPEN, tokens.CLOSE: Gripper.CLOSED}.get(int(event), state)
            gripper.append(state)
        return Path(self.uv[annotation, :count].clip(0, 1), np.array(gripper, np.int8))


def read_lines(data: File) -> Iterator[dict[str, Any]]:
    """The JSON line of every image of an annotated label set, in order."""
    for shard in manifest(data)["shards"]:
        with (data / shard["file"]).with_suffix(".jsonl").open() as lines:
            yield from (json.loads(line) for line in lines)


def manifest(data: File) -> dict[str, Any]:
    """The set's manifest; ValueError if `data` is no annotated label set."""
    file = data / "manifest.json"
    if not file.is_file():
        raise ValueError(f"{data} is no label set: it has no manifest.json; make one with `hamster label offdomain:N -o DIR`")
    found: dict[str, Any] = json.loads(file.read_text())
    if found.get("kind") != "annotated":
        raise ValueError(f"{data} holds {found.get('kind')!r} labels; a planner learns from 'annotated' ones")
    return found


def texts(data: File) -> tuple[list[str], list[str]]:
    """All instructions of a set, and all words that name colours and kinds."""
    instructions, words = {}, {}
    for line in read_lines(data):
        instructions.update((a["instruction"], None) for a in line["annotations"])
        words.update((word, None) for o in line["objects"] for word in (o["colour"], o["kind"]))
    return list(instructions), list(words)


def load(data: File, cache: File, tokenizer: Any) -> Corpus:
    """Read a label set; images are scaled once and kept in `cache`, memory-mapped."""
    rgb, segmentation = zip(*[_images(data, shard, cache) for shard in manifest(data)["shards"]], strict=True)
    starts = np.cumsum([0, *[len(part) for part in rgb]])[:-1]
    return Corpus(list(rgb), list(segmentation), starts, **_annotations(list(read_lines(data)), tokenizer))


def _images(data: File, shard: dict[str, Any], cache: File) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    stem = f"{File(shard['file']).stem}-{shard['sha256'][:12]}"
    files = [cache / f"{stem}-{kind}.npy" for kind in ("rgb", "segmentation")]
    if not all(file.is_file() for file in files):
        cache.mkdir(parents=True, exist_ok=True)
        with np.load(data / shard["file"], allow_pickle=False) as arrays:
            for file, scaled in zip(files, _scaled(arrays["rgb"], arrays["segmentation"]), strict=True):
                part = file.with_suffix(".part.npy")
                np.save(part, scaled)
                part.replace(file)
    return np.load(files[0], mmap_mode="r"), np.load(files[1], mmap_mode="r")


def _scaled(rgb: NDArray[np.uint8], masks: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    size = (tokens.SIDE, tokens.SIDE)
    if rgb.shape[1:3] == size:
        return rgb, masks
    images = [np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)) for image in rgb]
    scaled = [np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)) for mask in masks]
    return np.stack(images), np.stack(scaled)


def _annotations(lines: list[dict[str, Any]], tokenizer: Any) -> dict[str, Any]:
    kept = [[a for a in line["annotations"] if len(a["path"]["uv"]) <= tokens.MAX_WAYPOINTS] for line in lines]
    flat = [annotation for group in kept for annotation in group]
    if not flat:
        raise ValueError("the label set has no annotation with at most 8 waypoints")
    instructions = tuple(a["instruction"] for a in flat)
    encoded = tokenizer(list(instructions), return_offsets_mapping=True, add_special_tokens=False)
    tasks = tuple(sorted({a.get("task", "") for a in flat}))
    mention, means = _mentions(flat, encoded["offset_mapping"])
    ids, length = _ragged(encoded["input_ids"])
    uv, event, count = _paths(flat)
    return {
        "first": np.cumsum([0, *[len(group) for group in kept]]), "looks": _looks(lines, tokenizer),
        "ids": ids, "length": length, "uv": uv, "event": event, "count": count, "mention": mention, "means": means,
        "target": _indices(flat, "target"), "goal": _indices(flat, "goal"),
        "task": np.array([tasks.index(a.get("task", "")) for a in flat]), "tasks": tasks,
        "sided": np.array(["left" in text or "right" in text for text in map(str.lower, instructions)]),
        "instructions": instructions,
    }  # fmt: skip


def _ragged(rows: list[list[int]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    length = np.array([len(row) for row in rows])
    ids = np.zeros((len(rows), int(length.max())), np.int64)
    ids[np.arange(ids.shape[1]) < length[:, None]] = np.concatenate([np.asarray(row, np.int64) for row in rows])
    return ids, length


def _indices(flat: list[dict[str, Any]], key: str) -> NDArray[np.int64]:
    return np.array([-1 if a.get(key) is None else a[key] for a in flat], np.int64)


def _paths(flat: list[dict[str, Any]]) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.int64]]:
    uv = np.zeros((len(flat), tokens.MAX_WAYPOINTS, 2), np.float32)
    event = np.zeros((len(flat), tokens.MAX_WAYPOINTS), np.int8)
    count = np.array([len(a["path"]["uv"]) for a in flat])
    for row, annotation in enumerate(flat):
        path = Path.from_json(annotation["path"])
        uv[row, : len(path)] = path.uv
        for waypoint, state in path.events:
            if state is not Gripper.UNKNOWN:
                event[row, waypoint] = tokens.OPEN if state is Gripper.OPEN else tokens.CLOSE
    return uv, event, count


def _mentions(
    flat: list[dict[str, Any]], offsets: list[list[tuple[int, int]]]
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    mention = np.full((len(flat), MOST_MENTIONS), -1, np.int64)
    means = np.zeros((len(flat), MOST_MENTIONS), np.uint32)
    for row, (annotation, spans) in enumerate(zip(flat, offsets, strict=True)):
        for slot, (start, end, objects) in enumerate(annotation.get("mentions", [])[:MOST_MENTIONS]):
            inside = [i for i, (a, b) in enumerate(spans) if a < end and b > start]
            if inside and objects:
                mention[row, slot] = inside[-1]
                means[row, slot] = sum(1 << i for i in set(objects) if i < MOST_OBJECTS)
    return mention, means


def _looks(lines: list[dict[str, Any]], tokenizer: Any) -> NDArray[np.int64]:
    ids: dict[str, int] = {}
    for word in {word for line in lines for o in line["objects"] for word in (o["colour"], o["kind"])}:
        encoded = tokenizer(word, add_special_tokens=False)["input_ids"]
        ids[word] = encoded[0] if len(encoded) == 1 and encoded[0] >= tokens.WORDS else 0
    looks = np.zeros((len(lines), MOST_OBJECTS, 2), np.int64)
    for row, line in enumerate(lines):
        for i, o in enumerate(line["objects"][:MOST_OBJECTS]):
            looks[row, i] = ids[o["colour"]], ids[o["kind"]]
    return looks


