"""Shards of annotated images: arrays in an .npz, one line of JSON per image beside it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import AnnotatedImage, Annotation, ImageObject, Mention, Provenance, View
from hamster.geometry import Camera
from hamster.label.storage import json_bytes, npz_bytes
from hamster.path import Path2D

NO_OBJECT = 255


def pack(images: Sequence[AnnotatedImage], stem: str) -> dict[str, bytes]:
    """Return the files of a shard, by name: one array if all images have one size, else one per image."""
    rgb = [image.view.rgb for image in images]
    masks = [_mask(image) for image in images]
    if len({pixels.shape for pixels in rgb}) == 1:
        arrays = {"rgb": np.stack(rgb), "segmentation": np.stack(masks)}
    else:
        arrays = {f"rgb_{i:05d}": pixels for i, pixels in enumerate(rgb)}
        arrays |= {f"segmentation_{i:05d}": pixels for i, pixels in enumerate(masks)}
    lines = b"".join(json_bytes(line(image)) for image in images)
    return {f"{stem}.npz": npz_bytes(arrays), f"{stem}.jsonl": lines}


def unpack(folder: Path, names: Sequence[str]) -> Iterator[AnnotatedImage]:
    """Yield the images of a shard, from the folder of its label set and the names of its files there."""
    npz, jsonl = (next(folder / name for name in names if name.endswith(suffix)) for suffix in (".npz", ".jsonl"))
    pictures = read_pictures(npz)
    for rgb, mask, text in zip(*pictures, jsonl.read_bytes().splitlines(), strict=True):
        record = json.loads(text)
        camera = record["camera"] and Camera(width=rgb.shape[1], height=rgb.shape[0], **record["camera"])
        yield AnnotatedImage(
            View(rgb, None, camera),
            [_annotation(annotation) for annotation in record["annotations"]],
            Provenance(**record["provenance"]),
            [ImageObject(**thing) for thing in record["objects"]],
            mask,
            record.get("absent", ()),  # older label sets have none
        )


def read_pictures(npz: Path) -> tuple[Sequence[NDArray[np.uint8]], Sequence[NDArray[np.uint8]]]:
    """Return images (H, W, 3) and masks (H, W) of a shard: whole arrays (N, …) where all have one size, else lists."""
    with np.load(npz, allow_pickle=False) as arrays:
        if "rgb" in arrays:
            return arrays["rgb"], arrays["segmentation"]
        numbers = sorted(name.removeprefix("rgb_") for name in arrays.files if name.startswith("rgb_"))
        return tuple([arrays[f"{what}_{number}"] for number in numbers] for what in ("rgb", "segmentation"))  # type: ignore[return-value]


def _mask(image: AnnotatedImage) -> NDArray[np.uint8]:
    if image.segmentation is not None:
        return image.segmentation
    return np.full(image.view.rgb.shape[:2], NO_OBJECT, np.uint8)


def line(image: AnnotatedImage) -> dict[str, Any]:
    """Return the record of an image: its objects, annotations, absent instructions and provenance."""
    camera = image.view.camera
    return {
        "objects": [asdict(thing) for thing in image.objects],
        "annotations": [
            {
                "instruction": a.instruction,
                "path": a.path.to_json(),
                "task": a.task,
                "mentions": [[m.start, m.end, list(m.objects)] for m in a.mentions],
                "target": a.target,
                "goal": a.goal,
            }
            for a in image.annotations
        ],
        "absent": list(image.absent),
        "camera": camera and {"intrinsics": camera.intrinsics, "world_from_camera": camera.world_from_camera},
        "provenance": provenance_json(image.provenance),
    }


def _annotation(record: Mapping[str, Any]) -> Annotation:
    mentions = [Mention(start, end, tuple(objects)) for start, end, objects in record["mentions"]]
    path = Path2D.from_json(record["path"])
    return Annotation(record["instruction"], path, record["task"], mentions, record["target"], record["goal"])


def provenance_json(provenance: Provenance) -> dict[str, Any]:
    """Return the fields, for JSON."""
    return {**vars(provenance), "extra": dict(provenance.extra)}
