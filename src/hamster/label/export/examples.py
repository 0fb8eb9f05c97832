"""A label set as questions and answers about images: what a planner is fine-tuned on."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster import dialects
from hamster.data import AnnotatedImage, Conversation
from hamster.data.images import read_image
from hamster.data.lazy import evenly_spaced
from hamster.dialects import Size, hamster, render
from hamster.label.dataset import kinds_of, read_annotated, read_conversations, read_episodes
from hamster.label.episodes import LabelledEpisode
from hamster.label.label_item import Labelled, flaw_of_text, printable
from hamster.path import Path2D

FRAMES_PER_EPISODE = 8
JPEG_QUALITY = 95
PLACE = "<image>"
PLAIN_PROMPT = """In the image, please execute the command described in <quest>{instruction}</quest>.
Provide a sequence of points denoting the trajectory of a robot gripper to achieve the goal."""
"""For the other dialects, whose models know their own form."""

L = TypeVar("L", bound=Labelled)
Turns = tuple[tuple[str, str], ...]
Place = tuple[float, float]


@dataclass(frozen=True, eq=False)
class Talk:
    """One conversation about an image.

    Attributes:
        turns: ("user" or "assistant", text) in turn, without a mark for the image.
        instruction: what is to be done; "" where something else is asked.
        path: what the answer draws; None where it draws nothing: another question, or something that is not in view.
    """

    turns: Turns
    instruction: str = ""
    path: Path2D | None = None


@dataclass(frozen=True, eq=False)
class Example:
    """An image and the conversations about it.

    Attributes:
        picture: the content of a PNG, JPEG or WebP file, or the file, where there is one; None for text alone.
        size: its width and height in pixels, (0, 0) without a picture.
        talks: at least one.
        name: of what it comes from.
        licence: of that, "" where it is not stated.
        item: counts the episodes, images and conversations of the label set; frames of one episode share it.
    """

    picture: bytes | Path | None
    size: Size
    talks: Sequence[Talk]
    name: str
    licence: str
    item: int

    @property
    def image(self) -> bytes | None:
        """The content of its file."""
        return self.picture.read_bytes() if isinstance(self.picture, Path) else self.picture

    @property
    def suffix(self) -> str:
        """The suffix of its file's name."""
        return (isinstance(self.picture, Path) and self.picture.suffix.lower()) or ".jpg"


@dataclass(frozen=True)
class Words:
    """The wording of prompts and answers.

    Attributes:
        dialect: of `hamster.dialects`.
        ask: from an instruction, where the gripper is (relative, None where unknown) and the image's size in
            `scaled_size` to the user's turn.
        scaled_size: from an image's size to the one in which the model sees it, for dialects that count pixels; in a
            `ScaledSize` they are counted as it is.
    """

    dialect: str
    ask: Callable[[str, Place | None, Size], str]
    scaled_size: Callable[[Size], Size] = lambda size: size

    def path(self, instruction: str, path: Path2D, size: Size) -> Talk | None:
        """Return an instruction and its path; None if the dialect cannot say it (too many waypoints, say).

        Args:
            instruction: to carry out.
            path: that does so.
            size: width and height of the image, pixels.
        """
        scaled = self.scaled_size(size)
        gripper = (float(path.uv[0, 0]), float(path.uv[0, 1]))
        try:
            answer = render(path, self.dialect, scaled)
        except ValueError:
            return None
        return Talk((("user", self.ask(instruction, gripper, scaled)), ("assistant", answer)), instruction, path)

    def absent(self, instruction: str, size: Size) -> Talk:
        """Return an instruction about what is not in view."""
        answer = dialects.refusal(self.dialect)
        return Talk((("user", self.ask(instruction, None, self.scaled_size(size))), ("assistant", answer)), instruction)


def published(dialect: str) -> Words:
    """Return the words of the paper; the plain ones for other dialects, whose models know their own form."""
    prompt = (hamster.PROMPT if dialect == "hamster" else PLAIN_PROMPT).strip()
    return Words(dialect, lambda instruction, gripper, size: prompt.replace("{instruction}", instruction))


def examples(folder: Path, frames: int, words: Words) -> Iterator[Example | None]:
    """Yield examples kind by kind; None for items without a picture or with a path that the dialect cannot express.

    Args:
        folder: of the label set.
        frames: of each episode, evenly spaced.
        words: of prompts and answers.

    Raises:
        ValueError: if it is no label set, is damaged, or there is no such dialect.
    """
    kinds, item = kinds_of(folder), count()
    if "episodes" in kinds:
        for episode in sayable(read_episodes(folder)):
            yield from _of_episode(episode, frames, words, next(item))
    if "annotated" in kinds:
        for image in sayable(read_annotated(folder)):
            yield _of_image(image, words, next(item))
    if "conversations" in kinds:
        for conversation in sayable(read_conversations(folder)):
            yield _of_conversation(conversation, next(item))


def sayable(items: Iterable[L]) -> Iterator[L]:
    """Yield the items; ValueError, naming the item, for text that no file can hold (older versions let it in)."""
    for item in items:
        if flaw := flaw_of_text(item):
            origin = item.episode.provenance if isinstance(item, LabelledEpisode) else item.provenance
            name = printable(origin.file or origin.source)
            raise ValueError(f"{name}: {flaw}; label its source again, into another folder, and it is left out")
        yield item


def has_pictures(episode: LabelledEpisode) -> bool:
    """Return whether there is anything on its frames: some datasets come without their videos."""
    return episode.episode.provenance.extra.get("images") != "absent"


def _of_episode(labelled: LabelledEpisode, frames: int, words: Words, item: int) -> Iterator[Example | None]:
    if not has_pictures(labelled):
        yield None
        return
    chosen = evenly_spaced(len(labelled.labels), frames)
    origin = labelled.episode.provenance
    source = origin.file or origin.source
    for nth, t in enumerate(chosen):
        rgb = labelled.episode.observations[t].views[labelled.camera].rgb
        spoken = labelled.at(t)
        text, label = spoken[nth % len(spoken)]
        talk = words.path(text, label.path, _size(rgb))
        yield Example(_jpeg(rgb), _size(rgb), [talk], f"{source}, frame {t}", origin.licence, item) if talk else None


def _of_image(image: AnnotatedImage, words: Words, item: int) -> Example | None:
    rgb, name = image.view.rgb, image.provenance.file or image.provenance.source
    path_talks = [words.path(a.instruction, a.path, _size(rgb)) for a in image.annotations]
    talks = [talk for talk in path_talks if talk] + [
        words.absent(instruction, _size(rgb)) for instruction in image.absent
    ]
    return Example(_jpeg(rgb), _size(rgb), talks, name, image.provenance.licence, item) if talks else None


def _of_conversation(conversation: Conversation, item: int) -> Example | None:
    talks = [Talk(tuple((role, text.replace(PLACE, "").strip()) for role, text in conversation.turns))]
    name, licence = conversation.provenance.file or conversation.provenance.source, conversation.provenance.licence
    if not conversation.image:
        return Example(None, (0, 0), talks, name, licence, item)
    try:
        size = _size(read_image(conversation.image))  # checks that the file is an image
    except (ValueError, OSError):
        return None
    return Example(Path(conversation.image), size, talks, name, licence, item)


def _size(rgb: NDArray[np.uint8]) -> Size:
    return rgb.shape[1], rgb.shape[0]


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()
