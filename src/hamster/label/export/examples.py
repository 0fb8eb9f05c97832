"""A label set as questions and answers about images: what a planner is fine-tuned on."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path as File

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data import AnnotatedImage, Conversation
from hamster.data.images import read_image
from hamster.label.dataset import kinds_of, read_annotated, read_conversations, read_episodes
from hamster.label.episodes import LabelledEpisode
from hamster.path import Path
from hamster.path.dialects import hamster, render

FRAMES_PER_EPISODE = 8
JPEG_QUALITY = 95
PLACE = "<image>"
PLAIN_PROMPT = """In the image, please execute the command described in <quest>{instruction}</quest>.
Provide a sequence of points denoting the trajectory of a robot gripper to achieve the goal."""
"""For the other dialects, whose models know their own form."""

Turns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Example:
    """An image and what is said about it.

    Attributes:
        image: the content of a JPEG or PNG file; None for text alone.
        suffix: of that file's name.
        talks: conversations about it, each ("user" or "assistant", text) in turn, without a mark for the image.
        name: of what it comes from.
        is_path: whether the answers are paths.
    """

    image: bytes | None
    suffix: str
    talks: Sequence[Turns]
    name: str
    is_path: bool = True


def examples(folder: File, frames: int, dialect: str) -> Iterator[Example | None]:
    """Everything in a label set, kind by kind; None for what has no picture, or a path that cannot be said.

    Raises:
        ValueError: if it is no label set, is damaged, or there is no such dialect.
    """
    kinds = kinds_of(folder)
    if "episodes" in kinds:
        for episode in read_episodes(folder):
            yield from _of_episode(episode, frames, dialect)
    if "annotated" in kinds:
        for image in read_annotated(folder):
            yield _of_image(image, dialect)
    if "conversations" in kinds:
        for conversation in read_conversations(folder):
            yield _of_conversation(conversation)


def has_pictures(episode: LabelledEpisode) -> bool:
    """Whether there is anything on its frames: some datasets come without their videos."""
    return episode.episode.provenance.extra.get("images") != "absent"


def _of_episode(labelled: LabelledEpisode, frames: int, dialect: str) -> Iterator[Example | None]:
    if not has_pictures(labelled):
        yield None
        return
    total, wordings = len(labelled.labels), labelled.episode.instructions
    chosen = np.unique(np.linspace(0, total - 1, min(frames, total)).round().astype(int)).tolist()
    source = labelled.episode.provenance.file or labelled.episode.provenance.source
    for nth, t in enumerate(chosen):
        rgb = labelled.episode.observations[t].views[labelled.camera].rgb
        talk = _talk(wordings[nth % len(wordings)], labelled.labels[t].path, dialect, rgb)
        yield Example(_jpeg(rgb), ".jpg", [talk], f"{source}, frame {t}") if talk else None


def _of_image(image: AnnotatedImage, dialect: str) -> Example | None:
    talks = [talk for a in image.annotations if (talk := _talk(a.instruction, a.path, dialect, image.view.rgb))]
    name = image.provenance.file or image.provenance.source
    return Example(_jpeg(image.view.rgb), ".jpg", talks, name) if talks else None


def _of_conversation(conversation: Conversation) -> Example | None:
    turns = tuple((role, text.replace(PLACE, "").strip()) for role, text in conversation.turns)
    name = conversation.provenance.file or conversation.provenance.source
    if not conversation.image:
        return Example(None, "", [turns], name, is_path=False)
    try:
        read_image(conversation.image)  # nobody gets a file that is none
        file = File(conversation.image)
        return Example(file.read_bytes(), file.suffix.lower() or ".jpg", [turns], name, is_path=False)
    except (ValueError, OSError):
        return None


def _talk(instruction: str, path: Path, dialect: str, rgb: NDArray[np.uint8]) -> Turns | None:
    prompt = hamster.PROMPT if dialect == "hamster" else PLAIN_PROMPT
    try:
        answer = render(path, dialect, (rgb.shape[1], rgb.shape[0]))
    except ValueError:  # too many waypoints, say
        return None
    return ("user", prompt.format(instruction=instruction).strip()), ("assistant", answer)


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()
