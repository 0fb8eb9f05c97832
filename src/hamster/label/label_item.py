"""Label one item: a pure function of the item and the options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeAlias, TypeVar

from hamster.data import (
    AnnotatedImage,
    Conversation,
    Drawing,
    Episode,
    Item,
    Observation,
    Provenance,
    Source,
    Tracked,
    Unreadable,
)
from hamster.data.lazy import chosen_frames, without_image
from hamster.extras import NotInstalledError, extra
from hamster.files import is_disk_full
from hamster.label.camera_choice import choose_camera
from hamster.label.episodes import LabelledEpisode, at_hand, is_absent, label_episode, notes_of
from hamster.label.frozen import FROZEN
from hamster.label.method import LabelMethod, Skipped
from hamster.label.nothing_shown import colour_name, is_one_colour
from hamster.label.unknown_states import known_states
from hamster.path.simplify import EPSILON

TRACKED = "tracked although the tool's poses are recorded, since no calibration is known"
NO_WORDS = "no instruction: nobody said in words what is done"

Labelled: TypeAlias = LabelledEpisode | AnnotatedImage | Conversation
T = TypeVar("T")
LONGEST_REASON = 500  # characters


@dataclass(frozen=True)
class Options:
    """Options of labelling.

    Attributes:
        camera: to label; chosen by `camera_choice` if None.
        epsilon: of the simplification of paths.
        video: method that finds the tip where no robot was recorded.
    """

    camera: str | None = None
    epsilon: float = EPSILON
    video: Literal["auto", "hands", "tracking"] = "auto"


def read_and_label(source: Source, index: int, options: Options) -> Labelled | Skipped | Unreadable:
    """Read an item and label it; any error makes this item `Unreadable`, with its name, and no other one.

    Text that cannot be written to a file counts as an error, too.

    Args:
        source: of the item.
        index: of the item in it.
        options: of the labelling.
    """

    def labelled() -> Labelled | Skipped | Unreadable:
        item = label_item(source[index], options)
        if not isinstance(item, Skipped | Unreadable) and (flaw := flaw_of_text(item)):
            return Unreadable(_origin(item).file or _origin(item).source, flaw)
        return item

    outcome = guarded("", labelled)
    if isinstance(outcome, Unreadable) and not outcome.file:
        return replace(outcome, file=name_of(source, index))
    return outcome


def guarded(name: str, make: Callable[[], T]) -> T | Unreadable:
    """Return what `make` returns; the one place that keeps an item's errors, whatever they are, from other items."""
    try:
        return make()
    except NotInstalledError:  # which is no fault of the item
        raise
    except Exception as error:  # untrusted data, and readers from outside of this package
        if is_disk_full(error):  # nor is that: the run stops
            raise
        return Unreadable(name, reason_of(error))


def reason_of(error: Exception) -> str:
    """Return an error's message in one line, with its type unless it is a ValueError or OSError."""
    kind = "" if isinstance(error, ValueError | OSError) and str(error) else f"{type(error).__name__}: "
    return printable(f"{kind}{error}".removesuffix(": "))


def name_of(source: Source, index: int) -> str:
    """Return the name of an item: that of its source, or else its number."""
    if isinstance(source, Tracked):
        try:
            return source.inputs(index).name
        except (ValueError, OSError):
            pass
    return f"{source.uri} item {index}"


def printable(text: str) -> str:
    """Return one line of at most `LONGEST_REASON` characters that every terminal and file takes."""
    line = " ".join(text.replace("\0", "\\0").split()).encode("utf-8", "backslashreplace").decode()
    return line if len(line) <= LONGEST_REASON else line[: LONGEST_REASON - 1] + "…"


def flaw_of_text(labelled: Labelled) -> str:
    """Return why some text of an item cannot be written as UTF-8 or read elsewhere; "" if all of it can be."""
    for text in _texts(_words_in(labelled)):
        if "\0" in text:
            return f"a zero byte in the text {text[:60]!a}"
        try:
            text.encode()
        except UnicodeEncodeError as error:
            around = text[max(0, error.start - 30) : error.start + 30]
            return f"half a character (a lone surrogate), which is no text, in {around!a}"
    return ""


def _words_in(labelled: Labelled) -> Any:
    if isinstance(labelled, LabelledEpisode):
        return [
            labelled.episode.texts,
            labelled.task,
            labelled.camera,
            labelled.method.notes,
            asdict(_origin(labelled)),
        ]
    if isinstance(labelled, Conversation):
        return [labelled.turns, labelled.image, asdict(labelled.provenance)]
    spoken = [(annotation.instruction, annotation.task) for annotation in labelled.annotations]
    return [spoken, [asdict(thing) for thing in labelled.objects], labelled.absent, asdict(labelled.provenance)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, entry in value.items():
            yield from _texts(key)
            yield from _texts(entry)
    elif isinstance(value, Sequence) and not isinstance(value, bytes):
        for entry in value:
            yield from _texts(entry)


def _origin(labelled: Labelled) -> Provenance:
    return labelled.episode.provenance if isinstance(labelled, LabelledEpisode) else labelled.provenance


def label_item(item: Item, options: Options) -> Labelled | Skipped | Unreadable:
    """Return the item with its paths, or why it has none.

    A robot's motion is projected where the robot was recorded and the camera is calibrated; else the tip is followed
    through the images. What turns out to be damaged only now, a video's tenth frame say, is `Unreadable` as if the
    reader had said so. Items without an instruction are skipped.
    """
    try:
        if isinstance(item, Episode | AnnotatedImage) and not any(words.strip() for words in _words(item)):
            return Skipped(item.provenance.file or item.provenance.source, NO_WORDS)
        if isinstance(item, Episode):
            return _label_episode(item, options)
        if isinstance(item, Drawing):
            with extra("data"):
                from hamster.label.sketch import label_drawing
            return label_drawing(item, options.epsilon)
        if isinstance(item, AnnotatedImage) and is_one_colour(item.view.rgb):
            provenance = item.provenance
            why = f"the image is of one colour, {colour_name(item.view.rgb)}: there is nothing on it"
            return Skipped(provenance.file or provenance.source, why)
        return _with_how(item) if isinstance(item, AnnotatedImage) else item
    except (ValueError, OSError) as error:
        if is_disk_full(error):
            raise
        provenance = item.provenance  # type: ignore[union-attr]  # what is unreadable passes through
        return Unreadable(provenance.file or provenance.source, str(error))


def _label_episode(episode: Episode, options: Options) -> LabelledEpisode | Skipped:
    """Project where the tool's poses and the camera are known, else track the tip, and record that."""
    recorded = episode.tool_poses_world is not None
    unknown: Mapping[str, int] = {}
    if recorded:
        episode, unknown = known_states(episode)
        episode = replace(episode, observations=at_hand(episode.observations))
    choice = choose_camera(episode, options.camera)
    if choice.projects:
        projected = label_episode(episode, choice, options.epsilon)
        return _with_left_out(projected, unknown) if isinstance(projected, LabelledEpisode) else projected
    name = episode.provenance.file or episode.provenance.source
    if is_absent(episode):
        return Skipped(name, "its videos were left out of the dataset, and no camera is calibrated")
    if choice.colour:
        return Skipped(name, f"camera {choice.name}: all images are of one colour, {choice.colour}")
    if choice.is_frozen:
        return Skipped(name, f"camera {choice.name}: {FROZEN}")
    from hamster.label.video import label_video  # who labels no video needs no tracker

    lacking = without_image(episode.observations, choice.name)
    pictured = chosen_frames(episode, [t for t in range(len(episode.observations)) if t not in lacking])
    labelled = label_video(pictured, options.video, choice.name, options.epsilon)
    if isinstance(labelled, Skipped):
        return labelled
    notes = (*notes_of(episode, choice), *([f"{TRACKED}: camera {choice.name}"] if recorded else []))
    damaged = _damaged(episode.observations, choice.name) & lacking
    counts = {"without_image": len(lacking) - len(damaged), "damaged": len(damaged)}
    left_out = {reason: count for reason, count in counts.items() if count}
    return _with_left_out(replace(labelled, method=replace(labelled.method, notes=notes)), {**unknown, **left_out})


def _damaged(observations: Sequence[Observation], camera: str) -> set[int]:
    """Return the frames of which it is known, before any more is decoded, that this camera's image is damaged."""
    if not isinstance(observations, list):
        return set()
    return {t for t, observation in enumerate(observations) if camera in observation.damaged}


def _with_left_out(labelled: LabelledEpisode, counts: Mapping[str, int]) -> LabelledEpisode:
    return replace(labelled, left_out={**counts, **labelled.left_out}) if counts else labelled


def _words(item: Episode | AnnotatedImage) -> Sequence[str]:
    return item.texts if isinstance(item, Episode) else [annotated.instruction for annotated in item.annotations]


def _with_how(image: AnnotatedImage) -> AnnotatedImage:
    """Return the image with a record of its label method: text in some dialect, or a simulator's plan."""
    extra = image.provenance.extra
    if "how" in extra:
        return image
    scores = [a.path.score for a in image.annotations if a.path.score is not None]
    method = LabelMethod("text" if "dialect" in extra else "simulation", round(min(scores), 3) if scores else None)
    return replace(image, provenance=replace(image.provenance, extra={**extra, "how": method.to_json()}))
