"""Label a span of a source into the files of a shard: the unit of work, resumption and parallelism."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hamster.data import AnnotatedImage, Conversation, Inputs, Source, Tracked, Unreadable
from hamster.files import write_atomic
from hamster.label import annotated, conversations, episodes
from hamster.label.episodes import LabelledEpisode
from hamster.label.label_item import Labelled, Options, guarded, printable, read_and_label
from hamster.label.method import Skipped
from hamster.label.storage import sha256
from hamster.parallel import at_step

Entry = dict[str, Any]
Outcome = Labelled | Skipped | Unreadable
CHANGED = "it was written to while it was read; run the same command again"


@dataclass(frozen=True, slots=True)
class Span:
    """Items `first` to `last - 1` of source number `source`; `number` counts spans over all sources."""

    number: int
    source: int
    first: int
    last: int

    def __len__(self) -> int:
        return self.last - self.first


def spans(sources: Sequence[Source]) -> list[Span]:
    """Return all items of all sources, in order; many small ones at once where the source says so."""
    planned: list[Span] = []
    for index, source in enumerate(sources):
        for first in range(0, len(source), source.per_shard):
            last = min(first + source.per_shard, len(source))
            planned.append(Span(len(planned), index, first, last))
    return planned


def inputs_of(source: Source, span: Span) -> list[Inputs]:
    """Return what the items of a span are made of; of an untracked source, nothing but their numbers."""
    return [_inputs(source, span, index) for index in range(span.first, span.last)]


def _inputs(source: Source, span: Span, index: int) -> Inputs:
    name = f"{source.uri} item {index}"
    if not isinstance(source, Tracked):
        return Inputs(name, (), f"{span.source} {index}")
    try:
        return source.inputs(index)
    except (ValueError, OSError) as error:  # which is also what reading it will say
        return Inputs(name, (), f"{index} {error}")


def _inputs_in_steps(source: Source, span: Span, given_up: Mapping[int, str]) -> list[Inputs]:
    """Return the same, but of items that no process survives looking at."""
    inputs = []
    for index in range(span.first, span.last):
        at_step(_looking(index))
        gone = Inputs(f"{source.uri} item {index}", (), f"{index} unknown")
        inputs.append(gone if _looking(index) in given_up else _inputs(source, span, index))
    at_step(None)
    return inputs


def _looking(index: int) -> int:
    """Return the number of the step in which an item is looked at; that in which it is read is its own."""
    return -1 - index


def stamp_of(inputs: Sequence[Inputs]) -> str:
    """Return a quick digest of what items are made of, which changes with sizes and times."""
    return _digest(made_of.stamp() for made_of in inputs)


def digest_of(inputs: Sequence[Inputs]) -> str:
    """Return a digest of the contents that items are made of."""
    return _digest(made_of.digest() for made_of in inputs)


def _digest(digests: Iterable[str]) -> str:
    return sha256("\n".join(digests).encode())


@dataclass(frozen=True)
class Shards:
    """Makes and writes shards into `out`, in any process: what comes out depends on the sources and options alone.

    With `strict`, an item that cannot be read stops the run with a ValueError.
    """

    sources: Sequence[Source]
    out: Path
    options: Options
    strict: bool = False

    def __call__(self, span: Span, given_up: Mapping[int, str]) -> Entry:
        """Write the span's files and return the journal's entry; nothing is written where nothing was labelled.

        Args:
            span: to be labelled.
            given_up: by the number of an item in its source why no process survives it; such an item is not touched.
                Negative numbers are those of `_looking`.
        """
        source = self.sources[span.source]
        inputs = _inputs_in_steps(source, span, given_up)
        stamp, digest = stamp_of(inputs), digest_of(inputs)
        outcomes, kind, files, counts = self._labelled(source, span, inputs, given_up)
        if stamp_of(inputs) != stamp:
            outcomes, kind, files, counts = [Unreadable(made_of.name, CHANGED) for made_of in inputs], None, {}, {}
            stamp = digest = ""  # equal to none, so that the next run labels them
        if not all(made_of.is_settled() for made_of in inputs):
            stamp = ""
        left_out = list(_left_out(outcomes))
        if self.strict and (failed := [record for record in left_out if record["how"] == "failed"]):
            raise ValueError(f"{failed[0]['file']}: {failed[0]['reason']} (--strict)")
        notes = [note for outcome in outcomes if isinstance(outcome, LabelledEpisode) for note in _notes(outcome)]
        return {
            "number": span.number,
            "items": len(outcomes),
            "labelled": len(outcomes) - len(left_out),
            "kind": kind,
            "inputs": {"name": inputs[0].name, "stamp": stamp, "sha256": digest},
            "counts": counts,
            "left_out": left_out,
            "files": list(self._write(files)),
            **({"notes": notes} if notes else {}),
        }

    def _labelled(
        self, source: Source, span: Span, inputs: Sequence[Inputs], given_up: Mapping[int, str]
    ) -> tuple[list[Outcome], str | None, dict[str, bytes], dict[str, int]]:
        """Return what became of each item, and the kind, files and counts of the shard."""
        outcomes: list[Outcome] = []
        for index, made_of in zip(range(span.first, span.last), inputs, strict=True):
            at_step(index)
            if reason := given_up.get(index) or given_up.get(_looking(index)):
                outcomes.append(Unreadable(made_of.name, reason))
            else:
                outcomes.append(read_and_label(source, index, self.options))
        if len(span) > 1:
            at_step(None)  # what is packed of many images is in memory; an episode may be decoded only now
        packed = guarded("", lambda: _pack(outcomes, span.number))  # some things are read only when they are written
        if isinstance(packed, Unreadable):
            outcomes = [_packable(outcome, made_of.name) for outcome, made_of in zip(outcomes, inputs, strict=True)]
            packed = _pack(outcomes, span.number)
        return outcomes, *packed

    def _write(self, files: Mapping[str, bytes]) -> Iterator[dict[str, str]]:
        for name, data in files.items():
            (self.out / name).parent.mkdir(exist_ok=True)
            write_atomic(self.out / name, data)
            yield {"file": name, "sha256": sha256(data)}


def _left_out(outcomes: Sequence[Outcome]) -> Iterator[dict[str, str]]:
    for outcome in outcomes:
        if isinstance(outcome, Skipped | Unreadable):
            status = "abstained" if isinstance(outcome, Skipped) else "failed"
            yield {"how": status, "file": printable(outcome.file), "reason": printable(outcome.reason)}


def _packable(outcome: Outcome, name: str) -> Outcome:
    """Return the outcome, or why it cannot be written."""
    packed = guarded(name, lambda: _pack([outcome], 0))
    return packed if isinstance(packed, Unreadable) else outcome


def _notes(labelled: LabelledEpisode) -> Iterator[str]:
    """Yield what a run has to report of an episode: where its paths are, and notes for users."""
    cameras = list(labelled.episode.observations[0].views)
    if len(cameras) > 1 and not any(note.startswith("camera ") for note in labelled.method.notes):
        yield f"paths on camera {labelled.camera} of {', '.join(cameras)}"
    yield from labelled.method.notes


def _pack(outcomes: Sequence[Outcome], number: int) -> tuple[str | None, dict[str, bytes], dict[str, int]]:
    """Return the kind, the files by name and the counts of a shard; ValueError if a source mixes kinds."""
    labelled = [outcome for outcome in outcomes if not isinstance(outcome, Skipped | Unreadable)]
    if not labelled:
        return None, {}, {}
    images = [outcome for outcome in labelled if isinstance(outcome, AnnotatedImage)]
    spoken = [outcome for outcome in labelled if isinstance(outcome, Conversation)]
    if len(images) == len(labelled):
        paths = sum(len(image.annotations) for image in images)
        return "annotated", annotated.pack(images, f"shard-{number:05d}"), {"images": len(images), "paths": paths}
    if len(spoken) == len(labelled):
        counts = {"conversations": len(spoken)}
        return "conversations", conversations.pack(spoken, f"talk-{number:05d}"), counts
    if len(labelled) == 1 and isinstance(episode := labelled[0], LabelledEpisode):
        frames = len(episode.labels)
        counts = {"episodes": 1, "frames": frames, "paths": frames}
        counts |= {f"frames_{reason}": n for reason, n in episode.left_out.items()}
        return "episodes", episodes.pack(episode, f"ep-{number:05d}"), counts
    raise ValueError("a source yields images, conversations, or one episode a shard, and never a mixture")
