"""A label set as questions and answers about images: what a planner is fine-tuned on."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path as File

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.data import AnnotatedImage, Conversation
from hamster.data.images import read_image
from hamster.label.dataset import kinds_of, read_annotated, read_conversations, read_episodes
from hamster.label.episodes import LabelledEpisode
from hamster.path import Path, dialects
from hamster.path.dialects import Size, hamster, render

FRAMES_PER_EPISODE = 8
JPEG_QUALITY = 95
PLACE = "<image>"
PLAIN_PROMPT = """In the image, please execute the command described in <quest>{instruction}</quest>.
Provide a sequence of points denoting the trajectory of a robot gripper to achieve the goal."""
"""For the other dialects, whose models know their own form."""

Turns = tuple[tuple[str, str], ...]


@dataclass(frozen=True, eq=False)
class Talk:
    """What is said about an image.

    Attributes:
        turns: ("user" or "assistant", text) in turn, without a mark for the image.
        path: what the answer draws; None where it draws nothing: another question, or something that is not in view.
    """

    turns: Turns
    path: Path | None = None


@dataclass(frozen=True, eq=False)
class Example:
    """An image and what is said about it.

    Attributes:
        picture: the content of a JPEG or PNG file, or the file, where there is one; None for text alone.
        size: its width and height in pixels, (0, 0) without a picture.
        talks: at least one.
        name: of what it comes from.
        item: counts the episodes, images and conversations of the label set; frames of one episode share it.
    """

    picture: bytes | File | None
    size: Size
    talks: Sequence[Talk]
    name: str
    item: int

    @property
    def image(self) -> bytes | None:
        """The content of its file."""
        return self.picture.read_bytes() if isinstance(self.picture, File) else self.picture

    @property
    def suffix(self) -> str:
        """Of its file's name."""
        return (isinstance(self.picture, File) and self.picture.suffix.lower()) or ".jpg"


def examples(
    folder: File,
    frames: int,
    dialect: str,
    prompt: str | None = None,
    seen: Callable[[Size], Size] = lambda size: size,
) -> Iterator[Example | None]:
    """Everything in a label set, kind by kind; None for what has no picture, or a path that cannot be said.

    Args:
        folder: of the label set.
        frames: of each episode, evenly spaced.
        dialect: of `hamster.path.dialects`, in which paths are said.
        prompt: with a place for `{instruction}`; if None, the published one of the dialect.
        seen: from an image's size to the one in which the model sees it, for dialects that count pixels; for a
            `ScaledSize` they are counted in it as it is.

    Raises:
        ValueError: if it is no label set, is damaged, or there is no such dialect.
    """
    say = _Words(dialect, prompt or (hamster.PROMPT if dialect == "hamster" else PLAIN_PROMPT), seen)
    kinds, item = kinds_of(folder), count()
    if "episodes" in kinds:
        for episode in read_episodes(folder):
            yield from _of_episode(episode, frames, say, next(item))
    if "annotated" in kinds:
        for image in read_annotated(folder):
            yield _of_image(image, say, next(item))
    if "conversations" in kinds:
        for conversation in read_conversations(folder):
            yield _of_conversation(conversation, next(item))


def has_pictures(episode: LabelledEpisode) -> bool:
    """Whether there is anything on its frames: some datasets come without their videos."""
    return episode.episode.provenance.extra.get("images") != "absent"


@dataclass(frozen=True)
class _Words:
    """How a path is asked for, and said."""

    dialect: str
    prompt: str
    seen: Callable[[Size], Size]

    def path(self, instruction: str, path: Path, size: Size) -> Talk | None:
        try:
            return Talk(self._turns(instruction, render(path, self.dialect, self.seen(size))), path)
        except ValueError:  # too many waypoints, say
            return None

    def absent(self, instruction: str) -> Talk:
        return Talk(self._turns(instruction, dialects.refusal(self.dialect)))

    def _turns(self, instruction: str, answer: str) -> Turns:
        return ("user", self.prompt.format(instruction=instruction).strip()), ("assistant", answer)


def _of_episode(labelled: LabelledEpisode, frames: int, say: _Words, item: int) -> Iterator[Example | None]:
    if not has_pictures(labelled):
        yield None
        return
    total, wordings = len(labelled.labels), labelled.episode.instructions
    chosen = np.unique(np.linspace(0, total - 1, min(frames, total)).round().astype(int)).tolist()
    source = labelled.episode.provenance.file or labelled.episode.provenance.source
    for nth, t in enumerate(chosen):
        rgb = labelled.episode.observations[t].views[labelled.camera].rgb
        talk = say.path(wordings[nth % len(wordings)], labelled.labels[t].path, _size(rgb))
        yield Example(_jpeg(rgb), _size(rgb), [talk], f"{source}, frame {t}", item) if talk else None


def _of_image(image: AnnotatedImage, say: _Words, item: int) -> Example | None:
    rgb, name = image.view.rgb, image.provenance.file or image.provenance.source
    said = [say.path(a.instruction, a.path, _size(rgb)) for a in image.annotations]
    talks = [talk for talk in said if talk] + [say.absent(instruction) for instruction in image.absent]
    return Example(_jpeg(rgb), _size(rgb), talks, name, item) if talks else None


def _of_conversation(conversation: Conversation, item: int) -> Example | None:
    talks = [Talk(tuple((role, text.replace(PLACE, "").strip()) for role, text in conversation.turns))]
    name = conversation.provenance.file or conversation.provenance.source
    if not conversation.image:
        return Example(None, (0, 0), talks, name, item)
    try:
        size = _size(read_image(conversation.image))  # nobody gets a file that is none
    except (ValueError, OSError):
        return None
    return Example(File(conversation.image), size, talks, name, item)


def _size(rgb: NDArray[np.uint8]) -> Size:
    return rgb.shape[1], rgb.shape[0]


def _jpeg(rgb: NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(rgb).save(buffer, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    return buffer.getvalue()
