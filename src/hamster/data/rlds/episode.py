"""Episodes from records of an RLDS dataset, whatever names it uses for images, texts and states."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hamster.data.images import decode_image
from hamster.data.instructions import whole_and_parts
from hamster.data.lazy import LazyObservations
from hamster.data.records import Episode, Instruction, Observation, Provenance, View
from hamster.data.rlds.depth import DepthSteps, depth_features, read_depth
from hamster.data.rlds.example import Values, parse
from hamster.data.rlds.features import Feature
from hamster.data.rlds.robots import Robot, find_robot
from hamster.data.robots import UNKNOWN_GRIPPER
from hamster.data.text import decode_text

STEPS, OBSERVATION, METADATA = "steps/", "steps/observation/", "episode_metadata/"
MAX_STEPS = 100_000
MAX_TEXT_BYTES = 4096
FPS = 10.0  # of unknown robots; times are then relative
_WORDS = re.compile(r"(natural_)?(language_)?instruction(_\d+)?")
_ON_THE_HAND = re.compile(r"wrist|hand|gripper")


@dataclass(frozen=True)
class Layout:
    """What a dataset has.

    Attributes:
        dataset: its name.
        images: the colour images of its observations by camera; cameras on the hand come last.
        words: features that hold instructions, with the number of values of one (1 for texts).
        states: the numeric vectors of its observations, with their numbers of columns.
        robot: how to read the states, None if unknown.
        depth: by camera, the observation that holds its depth, and that feature; by its own name where the camera is
            not known.
    """

    dataset: str
    images: Mapping[str, str]
    words: Mapping[str, int]
    states: Mapping[str, int]
    robot: Robot | None
    depth: Mapping[str, tuple[str, Feature]] = field(default_factory=dict)

    @classmethod
    def of(cls, dataset: str, features: Mapping[str, Feature]) -> Layout:
        """Find the images, words and states among the features; ValueError if there are no colour images."""
        observed = {name.removeprefix(OBSERVATION): f for name, f in features.items() if name.startswith(OBSERVATION)}
        images = sorted(
            (n for n, f in observed.items() if _is_colour(f)), key=lambda n: (bool(_ON_THE_HAND.search(n)), n)
        )
        if not images:
            raise ValueError(f"{dataset} has no colour images among {', '.join(observed) or 'its observations'}")
        words = {n: f.shape[0] if f.shape else None for n, f in sorted(features.items()) if _holds_words(n, f)}
        vectors = {n: f for n, f in observed.items() if f.kind == "tensor" and f.nested == 1 and len(f.shape) <= 1}
        states = {n: f.shape[0] if f.shape else 1 for n, f in vectors.items()}
        columns = {n: size for n, size in states.items() if size}
        named = {n: OBSERVATION + n for n in images}
        sizes = {n: size or 1 for n, size in words.items()}
        return cls(dataset, named, sizes, columns, find_robot(dataset, columns), depth_features(observed, named))


def read_episode(record: bytes, layout: Layout, source: str, file: Path, offset: int) -> Episode:
    """Return the episode in a record; `source`, `file` and `offset` say where it comes from.

    Args:
        record: a tf.Example.
        layout: which features hold what.
        source: URI for the provenance.
        file, offset: where the record is.

    Raises:
        ValueError: if it is no tf.Example, lacks images, or holds numbers that are not finite.
    """
    example = parse(record)
    images = _images(example, layout)
    steps = len(next(iter(images.values())))
    state = {name: _columns(example, name, size, steps) for name, size in layout.states.items()}
    poses = gripper = None
    if layout.robot is not None:
        poses = layout.robot.poses(state)
        gripper = layout.robot.opening(state)
    depth, notes = _depth(example, layout, images)
    notes += [UNKNOWN_GRIPPER] if layout.robot is not None and gripper is None else []
    whole, parts = _words(example, layout, steps)
    return Episode(
        instructions=whole if whole or parts else ("",),
        observations=_Frames(images, depth, poses, gripper, layout.robot.fps if layout.robot else FPS),
        provenance=Provenance(
            source=source,
            file=f"{file.name}@{offset}",
            sha256=hashlib.sha256(record).hexdigest(),
            extra={"dataset": layout.dataset, **_metadata(example), **({"notes": notes} if notes else {})},
        ),
        tool_poses_world=poses,
        gripper=gripper,
        parts=parts,
    )


@dataclass(frozen=True)
class _Frames(LazyObservations):
    """Observations of an episode; their images are decoded when they are indexed."""

    images: Mapping[str, list[bytes]]
    depth: Mapping[str, DepthSteps]
    tool_poses_world: NDArray[np.float64] | None
    gripper: NDArray[np.float64] | None
    fps: float

    def __len__(self) -> int:
        return len(next(iter(self.images.values())))

    def read(self, i: int) -> Observation:
        """Return one frame."""
        views = {name: self._view(name, data[i], i) for name, data in self.images.items()}
        pose = None if self.tool_poses_world is None else self.tool_poses_world[i]
        return Observation(views, pose, None if self.gripper is None else float(self.gripper[i]), i / self.fps)

    def _view(self, name: str, data: bytes, i: int) -> View:
        rgb = decode_image(data, f"image {i} of {name}")
        return View(rgb, self.depth[name].at(i, rgb.shape[1], rgb.shape[0]) if name in self.depth else None)


def _depth(
    example: Mapping[str, Values], layout: Layout, images: Mapping[str, list[bytes]]
) -> tuple[dict[str, DepthSteps], list[str]]:
    """Return the depth of the cameras that have usable depth, and notes on depth that is not used."""
    depth, notes = dict[str, DepthSteps](), list[str]()
    for camera, (name, feature) in layout.depth.items():
        if camera not in images:
            notes.append(f"{name} holds depth, but of which camera its name does not say: it is not used")
            continue
        try:
            depth[camera] = read_depth(example, OBSERVATION, name, feature, images[camera])
        except ValueError as error:
            notes.append(f"depth of camera {camera} is not used: {error}")
    return depth, notes


def _images(example: Mapping[str, Values], layout: Layout) -> dict[str, list[bytes]]:
    """Return the files of each camera's images."""
    encoded = {camera: example.get(name) for camera, name in layout.images.items()}
    files = {camera: [bytes(file) for file in data] for camera, data in encoded.items() if isinstance(data, list)}
    out = {camera: data for camera, data in files.items() if data and not _is_dummy(data, camera)}
    sizes = {len(data) for data in out.values()}
    if len(sizes) != 1 or max(sizes) > MAX_STEPS:
        counts = ", ".join(f"{camera} {len(data)}" for camera, data in out.items())
        raise ValueError(f"an episode needs images of as many steps from each camera, got {counts or 'none'}")
    return out


def _is_dummy(files: list[bytes], camera: str) -> bool:
    """Return whether an image is black: Bridge writes these for absent cameras; its has_image flags are unreliable."""
    return (
        files[0] == files[-1] and len(files[0]) < 4096 and np.ptp(decode_image(files[0], f"image 0 of {camera}")) == 0
    )


def _columns(example: Mapping[str, Values], name: str, size: int, steps: int) -> NDArray[np.float64]:
    values = example.get(OBSERVATION + name)
    if isinstance(values, np.ndarray) and values.size % size == 0 and values.size not in (0, steps * size):
        raise ValueError(f"{name} has values of {values.size // size} steps, and there are images of {steps}")
    if not isinstance(values, np.ndarray) or values.size != steps * size:
        return np.full((steps, size), np.nan)
    return values.reshape(steps, size).astype(np.float64)


def _words(
    example: Mapping[str, Values], layout: Layout, steps: int
) -> tuple[tuple[str, ...], tuple[Instruction, ...]]:
    """Return phrasings of the whole episode and, in order, the words that hold for some of its steps only.

    Raises:
        ValueError: if a text is no UTF-8, or texts differ and there are not as many as steps: nobody knows which holds
            when.
    """
    columns: list[list[str]] = []
    for name in layout.words:
        raw = _texts(example.get(name, []), layout.words[name])
        texts = [decode_text(text, name)[:MAX_TEXT_BYTES].strip(" \0\n") for text in raw]
        if name.startswith(STEPS) and len(texts) == steps:
            columns.append(texts)
            continue
        different = list(dict.fromkeys(filter(None, texts)))
        if name.startswith(STEPS) and len(different) > 1:
            raise ValueError(f"{name} has {len(texts)} texts for {steps} steps: nobody knows which holds when")
        columns += [[text] * steps for text in different]
    return whole_and_parts(columns)


def _metadata(example: Mapping[str, Values]) -> dict[str, str]:
    """Return the texts that identify the raw recordings, e.g. DROID's file_path, which calibrations refer to."""
    metadata = {name.removeprefix(METADATA): v for name, v in example.items() if name.startswith(METADATA)}
    scalars = {name: values[0] for name, values in metadata.items() if isinstance(values, list) and len(values) == 1}
    return {name: bytes(text[:MAX_TEXT_BYTES]).decode("utf-8", "replace") for name, text in scalars.items()}


def _texts(values: Values, size: int) -> list[bytes]:
    """Return texts as such; Language-Table writes them as rows of numbers, a byte each, padded with zeros."""
    if isinstance(values, list):
        return [bytes(text) for text in values]
    rows = values[: len(values) // size * size].reshape(-1, size)
    return [row.astype(np.uint8).tobytes() for row in rows]


def _is_colour(feature: Feature) -> bool:
    channels = feature.shape[-1] if feature.shape else None
    return feature.kind == "image" and feature.nested == 1 and feature.dtype in ("uint8", "") and channels in (3, None)


def _holds_words(name: str, feature: Feature) -> bool:
    written = feature.kind == "text" or (feature.dtype.startswith("int") and len(feature.shape) == 1)
    return written and feature.nested <= 1 and bool(_WORDS.fullmatch(name.split("/")[-1]))
