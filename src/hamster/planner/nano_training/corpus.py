"""Label sets as arrays: images on disk, instructions tokenised once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data.mirror import mirrored
from hamster.nano import tokens
from hamster.path import Gripper, Path2D
from hamster.planner.nano_training.pictures import Shard, WeightedDataset, shards

NO_OBJECT = 255
ABSENT = "absent"
MOST_MENTIONS = 24
MOST_OBJECTS = 32
TABLE_VERSION = 5  # of the cached arrays of annotations; another version is computed anew
EVENTS = {"open": tokens.OPEN, "closed": tokens.CLOSE}


@dataclass(frozen=True, eq=False)
class Corpus:
    """N images and their A annotations; image i has the annotations `first[i]` to `first[i + 1]`.

    An instruction that names something absent is an annotation, too, without waypoints and with the task `ABSENT`.

    Attributes:
        rgb: per shard, (n, 192, 192, 3) uint8, memory-mapped.
        segmentation: per shard, (n, 192, 192) uint8 object numbers, 255 for no object, memory-mapped.
        starts: index of each shard's first image.
        sizes: number of images of each label set, one set after the other.
        first: (N + 1,) index of each image's first annotation.
        object_words: (N, 32, 2) token ids of each object's colour and kind, 0 where unknown.
        ids: (A, T) tokens of the instructions, padded with 0.
        length: (A,) number of tokens.
        uv: (A, 8, 2) waypoints, as in `tokens.answer_tokens`.
        event: (A, 8) gripper events, as in `tokens.answer_tokens`.
        height_m: (A, 8) height of the waypoints in metres, NaN where unknown.
        count: (A,) number of waypoints.
        mirrored: (A, T) tokens of the instructions for mirror images.
        mirrors: (A,) whether the mirrored instruction has as many tokens; otherwise `mirrored` is the original.
        mention: (A, 24) index of a token that mentions objects, or -1.
        means: (A, 24) bit set of the objects that it mentions.
        landmark: (A, 24) whether this mention is that of a landmark, by the last word of its phrase; the next slot then
            has the same token with what the whole phrase refers to.
        target, goal: (A,) index of the object, or -1.
        task: (A,) index into `tasks`.
        tasks: names of all tasks.
    """

    rgb: list[NDArray[np.uint8]]
    segmentation: list[NDArray[np.uint8]]
    starts: NDArray[np.int64]
    sizes: tuple[int, ...]
    first: NDArray[np.int64]
    object_words: NDArray[np.int64]
    ids: NDArray[np.int32]
    length: NDArray[np.int64]
    uv: NDArray[np.float32]
    event: NDArray[np.int8]
    height_m: NDArray[np.float32]
    count: NDArray[np.int64]
    mirrored: NDArray[np.int32]
    mirrors: NDArray[np.bool_]
    mention: NDArray[np.int16]
    means: NDArray[np.uint32]
    landmark: NDArray[np.bool_]
    target: NDArray[np.int64]
    goal: NDArray[np.int64]
    task: NDArray[np.int64]
    tasks: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.first) - 1

    def images(self, index: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Return rgb (B, 192, 192, 3) and segmentation (B, 192, 192) of the images at `index` (B,)."""
        shard = np.searchsorted(self.starts, index, side="right") - 1
        within = index - self.starts[shard]
        rgb = np.stack([self.rgb[s][i] for s, i in zip(shard, within, strict=True)])
        return rgb, np.stack([self.segmentation[s][i] for s, i in zip(shard, within, strict=True)])

    def path(self, annotation: int) -> Path2D:
        """Return the annotated path."""
        count = int(self.count[annotation])
        gripper, state = [], Gripper.UNKNOWN
        for event in self.event[annotation, :count]:
            state = {tokens.OPEN: Gripper.OPEN, tokens.CLOSE: Gripper.CLOSED}.get(int(event), state)
            gripper.append(state)
        return Path2D(self.uv[annotation, :count].clip(0, 1), np.array(gripper, np.int8))


def texts(parts: Sequence[WeightedDataset]) -> tuple[list[str], list[str]]:
    """Return all instructions of some label sets, and all words for colours and kinds of their objects."""
    instructions, words = dict[str, None](), dict[str, None]()
    for line in (line for part in parts for shard in shards(part.folder) for line in shard.lines()):
        instructions.update((a["instruction"], None) for a in (*line["annotations"], *_absent(line)))
        words.update((word, None) for o in line["objects"] for word in (o["colour"], o["kind"]))
    return list(instructions), list(words)


def load(parts: Sequence[WeightedDataset], cache: Path, tokenizer: Any) -> Corpus:
    """Read label sets; scaled images and tokens are cached, so that the next call is quick.

    Args:
        parts: label sets with weights.
        cache: folder of the cache; created if need be.
        tokenizer: of the model.

    Raises:
        ValueError: if a folder is not a label set, or has no images or annotations to learn from.
    """
    cache.mkdir(parents=True, exist_ok=True)
    rgb, segmentation, tables, sizes = [], [], [], []
    for part in parts:
        sizes.append(0)
        for shard in shards(part.folder):
            images = _images(shard, cache)
            rgb.append(images[0])
            segmentation.append(images[1])
            tables.append(_table(shard, cache, tokenizer))
            sizes[-1] += len(images[0])
        if not sizes[-1]:
            raise ValueError(f"{part.folder} has no images to learn from")
    starts = np.cumsum([0, *[len(images) for images in rgb]])[:-1]
    return Corpus(rgb, segmentation, starts, tuple(sizes), **_joined(tables))


def _images(shard: Shard, cache: Path) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    files = [cache / f"{shard.key}-{kind}.npy" for kind in ("rgb", "segmentation")]
    if not all(file.is_file() for file in files):
        for file, scaled in zip(files, _scaled(*shard.pictures()), strict=True):
            part = file.with_suffix(".part.npy")
            np.save(part, scaled)
            part.replace(file)
    return np.load(files[0], mmap_mode="r"), np.load(files[1], mmap_mode="r")


def _table(shard: Shard, cache: Path, tokenizer: Any) -> dict[str, NDArray[Any]]:
    file = cache / f"{shard.key}-{len(tokenizer)}-v{TABLE_VERSION}.npz"
    if not file.is_file():
        part = file.with_suffix(".part.npz")
        np.savez(part, allow_pickle=False, **_annotations(shard.lines(), tokenizer))
        part.replace(file)
    with np.load(file, allow_pickle=False) as arrays:
        return dict(arrays)


def _joined(tables: list[dict[str, NDArray[Any]]]) -> dict[str, Any]:
    """Concatenate tables of shards."""
    widest = max(table["ids"].shape[1] for table in tables)
    for table in tables:
        for key in ("ids", "mirrored"):
            table[key] = np.pad(table[key], ((0, 0), (0, widest - table[key].shape[1])))
    joined = {key: np.concatenate([table[key] for table in tables]) for key in tables[0]}
    per_image = joined.pop("annotations")
    tasks, joined["task"] = np.unique(joined["task"], return_inverse=True)
    if not len(joined["ids"]):
        raise ValueError(f"no annotation has at most {tokens.MAX_WAYPOINTS} waypoints: simplify the paths more")
    return {**joined, "first": np.cumsum([0, *per_image]), "tasks": tuple(map(str, tasks))}


def _scaled(
    rgb: Sequence[NDArray[np.uint8]], masks: Sequence[NDArray[np.uint8]]
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    size = (tokens.PIXELS, tokens.PIXELS)
    images = [np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)) for image in rgb]
    scaled = [np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)) for mask in masks]
    shape = (len(images), *size)
    return np.array(images, np.uint8).reshape(*shape, 3), np.array(scaled, np.uint8).reshape(shape)


def _annotations(lines: list[dict[str, Any]], tokenizer: Any) -> dict[str, NDArray[Any]]:
    kept = [[a for a in line["annotations"] if len(a["path"]["uv"]) <= tokens.MAX_WAYPOINTS] for line in lines]
    kept = [[*group, *_absent(line)] for group, line in zip(kept, lines, strict=True)]
    flat = [annotation for group in kept for annotation in group]
    instructions = [a["instruction"] for a in flat]
    encoded: Any = {"input_ids": [], "offset_mapping": []}
    others: list[list[int]] = []
    if instructions:
        encoded = tokenizer(instructions, return_offsets_mapping=True, add_special_tokens=False)
        others = tokenizer([mirrored(text) for text in instructions], add_special_tokens=False)["input_ids"]
    mention, means, landmark = _mentions(flat, encoded["offset_mapping"])
    ids, length = _ragged(encoded["input_ids"])
    mirrors = np.array([len(a) == len(b) for a, b in zip(encoded["input_ids"], others, strict=True)], np.bool_)
    other_ids = [b if same else a for a, b, same in zip(encoded["input_ids"], others, mirrors, strict=True)]
    uv, event, height_m, count = _paths(flat)
    return {
        "annotations": np.array([len(group) for group in kept]), "object_words": _object_words(lines, tokenizer),
        "ids": ids, "length": length, "uv": uv, "event": event, "height_m": height_m, "count": count,
        "mention": mention, "means": means, "landmark": landmark, "mirrored": _ragged(other_ids)[0], "mirrors": mirrors,
        "target": _indices(flat, "target"), "goal": _indices(flat, "goal"),
        "task": np.array([a.get("task", "") for a in flat], dtype=np.str_),
    }  # fmt: skip


def _absent(line: dict[str, Any]) -> list[dict[str, Any]]:
    """Return annotations without waypoints of an image's instructions that name something absent."""
    path = {"uv": np.zeros((0, 2)), "gripper": ()}
    return [{"instruction": text, "task": ABSENT, "path": path} for text in line.get("absent", ())]


def _ragged(rows: list[list[int]]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    length = np.array([len(row) for row in rows], np.int64)
    ids = np.zeros((len(rows), int(length.max(initial=0))), np.int32)
    ids[np.arange(ids.shape[1]) < length[:, None]] = [token for row in rows for token in row]
    return ids, length


def _indices(flat: list[dict[str, Any]], key: str) -> NDArray[np.int64]:
    return np.array([-1 if a.get(key) is None else a[key] for a in flat], np.int64)


def _paths(
    flat: list[dict[str, Any]],
) -> tuple[NDArray[np.float32], NDArray[np.int8], NDArray[np.float32], NDArray[np.int64]]:
    uv = np.zeros((len(flat), tokens.MAX_WAYPOINTS, 2), np.float32)
    event = np.zeros((len(flat), tokens.MAX_WAYPOINTS), np.int8)
    height_m = np.full((len(flat), tokens.MAX_WAYPOINTS), np.nan, np.float32)
    count = np.array([len(a["path"]["uv"]) for a in flat], np.int64)
    for row, annotation in enumerate(flat):
        uv[row, : count[row]] = annotation["path"]["uv"]
        if (heights_m := annotation["path"].get("height_m")) is not None:
            height_m[row, : count[row]] = heights_m
        before = "unknown"
        for waypoint, state in enumerate(annotation["path"]["gripper"]):
            event[row, waypoint] = 0 if state == before else EVENTS[state]
            before = state
    return uv, event, height_m, count


def _mentions(
    flat: list[dict[str, Any]], offsets: list[list[tuple[int, int]]]
) -> tuple[NDArray[np.int16], NDArray[np.uint32], NDArray[np.bool_]]:
    mention = np.full((len(flat), MOST_MENTIONS), -1, np.int16)
    means = np.zeros((len(flat), MOST_MENTIONS), np.uint32)
    for row, (annotation, spans) in enumerate(zip(flat, offsets, strict=True)):
        for slot, (start, end, objects) in enumerate(annotation.get("mentions", [])[:MOST_MENTIONS]):
            inside = [i for i, (a, b) in enumerate(spans) if a < end and b > start]
            if inside and objects:
                mention[row, slot] = inside[-1]
                means[row, slot] = sum(1 << i for i in set(objects) if i < MOST_OBJECTS)
    landmark = np.zeros_like(mention, np.bool_)
    landmark[:, :-1] = (mention[:, :-1] == mention[:, 1:]) & (mention[:, :-1] >= 0)
    return mention, means, landmark


def _object_words(lines: list[dict[str, Any]], tokenizer: Any) -> NDArray[np.int64]:
    ids: dict[str, int] = {}
    for word in {word for line in lines for o in line["objects"] for word in (o["colour"], o["kind"])}:
        encoded = tokenizer(word, add_special_tokens=False)["input_ids"]
        ids[word] = encoded[0] if len(encoded) == 1 and encoded[0] >= tokens.WORDS else 0
    object_words = np.zeros((len(lines), MOST_OBJECTS, 2), np.int64)
    for row, line in enumerate(lines):
        for i, o in enumerate(line["objects"][:MOST_OBJECTS]):
            object_words[row, i] = ids[o["colour"]], ids[o["kind"]]
    return object_words
