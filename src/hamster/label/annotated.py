"""Shards of annotated images: arrays in an .npz, one line of JSON per image beside it."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from hamster.data import AnnotatedImage, Annotation, ImageObject, Mention, Provenance, View
from hamster.geometry import Camera
from hamster.label.storage import json_bytes, npz_bytes
from hamster.path import Path

NO_OBJECT = 255


def pack(images: Sequence[AnnotatedImage], stem: str) -> dict[str, bytes]:
    """The files of a shard, by name; all images have one size."""
    nothing = np.full(images[0].view.rgb.shape[:2], NO_OBJECT, np.uint8)
    arrays = {
        "rgb": np.stack([image.view.rgb for image in images]),
        "segmentation": np.stack([nothing if i.segmentation is None else i.segmentation for i in images]),
    }
    lines = b"".join(json_bytes(_line(image)) for image in images)
    return {f"{stem}.npz": npz_bytes(arrays), f"{stem}.jsonl": lines}


def unpack(npz: bytes, jsonl: bytes) -> Iterator[AnnotatedImage]:
    """The images of a shard, from the content of its two files."""
    with np.load(io.BytesIO(npz), allow_pickle=False) as arrays:
        rgb, segmentation = arrays["rgb"], arrays["segmentation"]
    for i, line in enumerate(jsonl.splitlines()):
        record = json.loads(line)
        camera = record["camera"] and Camera(width=rgb.shape[2], height=rgb.shape[1], **record["camera"])
        yield AnnotatedImage(
            View(rgb[i], None, camera),
            [_annotation(annotation) for annotation in record["annotations"]],
            Provenance(**record["provenance"]),
            [ImageObject(**thing) for thing in record["objects"]],
            segmentation[i],
        )


def _line(image: AnnotatedImage) -> dict[str, Any]:
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
        "camera": camera and {"intrinsics": camera.intrinsics, "world_from_camera": camera.world_from_camera},
        "provenance": provenance_json(image.provenance),
    }


def _annotation(record: Mapping[str, Any]) -> Annotation:
    mentions = [Mention(start, end, tuple(objects)) for start, end, objects in record["mentions"]]
    path = Path.from_json(record["path"])
    return Annotation(record["instruction"], path, record["task"], mentions, record["target"], record["goal"])


def provenance_json(provenance: Provenance) -> dict[str, Any]:
    """The fields, for JSON."""
    return {**vars(provenance), "extra": dict(provenance.extra)}
