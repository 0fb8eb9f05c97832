"""The planner's own task as a second task in training: paths on images of a label set (co-training).

After RT-2 (arXiv 2307.15818) and pi0.5 (arXiv 2504.16054), which go on training on vision-language data while they
learn actions: a network that is trained on few demonstrations alone forgets what it knew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track
from tokenizers import Tokenizer
from torch import Tensor, nn

from hamster.data import AnnotatedImage
from hamster.label.dataset import content_digest
from hamster.label.read_images import read_images
from hamster.nano import tokens
from hamster.nano.pointers import Answer, Places, Words, location_content
from hamster.nano.processing import scaled_image
from hamster.path import Gripper, Path2D
from hamster.policy.monolithic.inputs import MonolithicInputs, PathSample

FORMAT = 1
ABSENT_SHARE = 0.3  # of the samples of an image that has such instructions: as in the planner's own training
IGNORED = -100
EVENTS = {Gripper.OPEN: tokens.OPEN, Gripper.CLOSED: tokens.CLOSE}


class PathHead(nn.Module):
    """The planner's layers that only draw paths; the pointer at patches is shared with the actions.

    Args:
        words, answer: modules of a planner.
    """

    def __init__(self, words: Words, answer: Answer) -> None:
        super().__init__()
        self.from_location, self.marks, self.bins = words.from_location, answer.marks, answer.bins

    def location_content(self, ids: Tensor, features: Tensor, patch: Places) -> Tensor:
        """Return what is added to the embeddings (B, T, D) of location tokens; see `pointers.location_content`."""
        return location_content(ids, features, self.from_location, patch)

    def logits(self, states: Tensor, patches: Tensor) -> Tensor:
        """Return logits (B, T, 324) over answer tokens, of normalised states (B, T, D), given those of the patches."""
        return torch.cat([self.marks(states).float(), patches.float(), self.bins(states).float()], -1)


@dataclass(frozen=True, eq=False)
class PathTask:
    """Samples of a label set of images: M instructions with their answers, about N images.

    Attributes:
        rgb: (N, 192, 192, 3) uint8, memory-mapped.
        sequence: (M, T) tokens of instruction and answer.
        n_words: (M,) how many of them are the instruction's.
        length: (M,) how many are not padding.
        first: (N + 1,) the first instruction of each image; instructions of an image are in one piece.
    """

    rgb: NDArray[np.uint8]
    sequence: NDArray[np.int32]
    n_words: NDArray[np.int64]
    length: NDArray[np.int64]
    first: NDArray[np.int64]

    @classmethod
    def open(cls, folder: Path, cache: Path, tokenizer: Tokenizer, room: int) -> PathTask:
        """Open the packed form of a label set, made in the folder `cache` if it is not there or of other data.

        Args:
            folder: the label set, of images or episodes.
            cache: folder of the packed form.
            tokenizer: of the instructions.
            room: T, tokens of a sequence; what is longer is left out, and so are paths that the planner cannot draw.

        Raises:
            ValueError: if the folder has no annotated images, or none of them fits.
        """
        words = hashlib.sha256(tokenizer.to_str().encode()).hexdigest()
        stamp, key = cache / "stamp.txt", json.dumps([FORMAT, content_digest(folder), words, room])
        if not (stamp.is_file() and stamp.read_text() == key):
            cache.mkdir(parents=True, exist_ok=True)
            stamp.unlink(missing_ok=True)
            _write(folder, cache, tokenizer, room)
            stamp.write_text(key)
        with np.load(cache / "answers.npz", allow_pickle=False) as stored:
            arrays = dict(stored)
        shape = (len(arrays["first"]) - 1, tokens.PIXELS, tokens.PIXELS, 3)
        return cls(rgb=np.memmap(cache / "rgb.bin", np.uint8, "r", shape=shape), **arrays)

    def add_to(self, inputs: MonolithicInputs, rng: np.random.Generator) -> MonolithicInputs:
        """Return inputs of the robot's task with a sample of this one beside them; half of the batch is then paths."""
        return replace(inputs, path=self.sample(rng))

    def sample(self, rng: np.random.Generator) -> PathSample:
        """Draw an image, and one of its instructions: of an absent thing in 30 %, where there are such."""
        image = int(rng.integers(len(self.rgb)))
        rows = np.arange(self.first[image], self.first[image + 1])
        is_absent = self.length[rows] - self.n_words[rows] == 2  # an answer without waypoints
        wants_absent = rng.random() < ABSENT_SHARE
        pool = rows[is_absent == wants_absent]
        row = int(rng.choice(pool if len(pool) else rows))
        sequence = torch.from_numpy(self.sequence[row].astype(np.int64))
        places = torch.arange(len(sequence))
        is_answer = (places >= int(self.n_words[row])) & (places < int(self.length[row]))
        labels = torch.where(is_answer, sequence, IGNORED)
        return PathSample(torch.from_numpy(np.array(self.rgb[image])), sequence, labels)


def _write(folder: Path, cache: Path, tokenizer: Tokenizer, room: int) -> None:
    sequences, n_words, lengths, first = list[NDArray[np.int32]](), list[int](), list[int](), [0]
    n_instructions = 0
    with (cache / "rgb.bin").open("wb") as images:
        for image in track(read_images(folder), "packing images for co-training"):
            before = len(sequences)
            n_instructions += len(image.annotations) + len(image.absent)
            for words, answer in _answers(image, tokenizer):
                if words and len(words) + len(answer) <= room:
                    ids = np.full(room, tokens.PAD, np.int32)
                    ids[: len(words) + len(answer)] = [*words, *answer]
                    sequences.append(ids)
                    n_words.append(len(words))
                    lengths.append(len(words) + len(answer))
            if len(sequences) > before:
                images.write(scaled_image(image.view.rgb).tobytes())
                first.append(len(sequences))
    if not sequences:
        raise ValueError(f"{folder} has no image with a path of at most {tokens.MAX_WAYPOINTS} waypoints")
    if left_out := n_instructions - len(sequences):
        line = (
            f"left out: {left_out} of {n_instructions} instructions: empty, longer than {room} tokens with the answer, "
            f"or with more than {tokens.MAX_WAYPOINTS} waypoints"
        )
        Console(stderr=True).print(line, style="yellow", markup=False, soft_wrap=True)
    np.savez(
        cache / "answers.npz",
        sequence=np.stack(sequences),
        n_words=np.array(n_words),
        length=np.array(lengths),
        first=np.array(first),
    )


def _answers(image: AnnotatedImage, tokenizer: Tokenizer) -> Iterator[tuple[list[int], list[int]]]:
    """Yield the tokens of each instruction, and of its answer."""
    for annotation in image.annotations:
        if len(annotation.path) <= tokens.MAX_WAYPOINTS:
            yield _words(annotation.instruction, tokenizer), _answer(annotation.path)
    for instruction in image.absent:
        yield _words(instruction, tokenizer), [tokens.ANS, tokens.END]


def _words(instruction: str, tokenizer: Tokenizer) -> list[int]:
    return [int(token) for token in tokenizer.encode(instruction, add_special_tokens=False).ids]


def _answer(path: Path2D) -> list[int]:
    count = len(path)
    uv = np.zeros((1, tokens.MAX_WAYPOINTS, 2), np.float32)
    event = np.zeros((1, tokens.MAX_WAYPOINTS), np.int8)
    uv[0, :count] = path.uv
    for waypoint, state in path.events:
        event[0, waypoint] = EVENTS.get(state, 0)
    slots, used = tokens.answer_tokens(uv, event, np.array([count]))
    return [int(token) for token in slots[used]]
