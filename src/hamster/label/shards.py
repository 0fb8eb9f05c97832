"""A stretch of a source becomes the files of a shard: the unit of work, of resumption and of parallel labelling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hamster.data import AnnotatedImage, Conversation, Source, Unreadable
from hamster.files import write_atomic
from hamster.label import annotated, conversations, episodes
from hamster.label.episodes import LabelledEpisode
from hamster.label.how import Abstained
from hamster.label.one import Labelled, Options, label_item
from hamster.label.storage import sha256

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """Items `first` to `last - 1` of source number `source`; `number` counts spans over all sources."""

    number: int
    source: int
    first: int
    last: int


def spans(sources: Sequence[Source]) -> list[Span]:
    """All items of all sources, in order; many small ones at once where the source says so."""
    found: list[Span] = []
    for index, source in enumerate(sources):
        for first in range(0, len(source), source.per_shard):
            last = min(first + source.per_shard, len(source))
            found.append(Span(len(found), index, first, last))
    return found


@dataclass(frozen=True)
class Shards:
    """Makes and writes shards into `out`, in any process: what comes out depends on the sources and options alone.

    With `strict`, an item that cannot be read stops the run with a ValueError.
    """

    sources: Sequence[Source]
    out: Path
    options: Options
    strict: bool = False

    def __call__(self, span: Span) -> Entry:
        """Writes the span's files and returns the journal's entry; nothing is written where nothing was labelled."""
        source = self.sources[span.source]
        found = [label_item(source[i], self.options) for i in range(span.first, span.last)]
        left_out = list(_left_out(found))
        if self.strict and any(each["how"] == "failed" for each in left_out):
            first = next(each for each in left_out if each["how"] == "failed")
            raise ValueError(f"{first['file']}: {first['reason']} (--strict)")
        labelled = [each for each in found if not isinstance(each, Abstained | Unreadable)]
        kind, files, counts = _pack(labelled, span.number) if labelled else (None, {}, {})
        entry = {"number": span.number, "items": len(found), "labelled": len(labelled), "kind": kind}
        return {**entry, "counts": counts, "left_out": left_out, "files": list(self._write(files))}

    def _write(self, files: Mapping[str, bytes]) -> Iterator[dict[str, str]]:
        for name, data in files.items():
            (self.out / name).parent.mkdir(exist_ok=True)
            write_atomic(self.out / name, data)
            yield {"file": name, "sha256": sha256(data)}


def _left_out(found: Sequence[Labelled | Abstained | Unreadable]) -> Iterator[dict[str, str]]:
    for each in found:
        if isinstance(each, Abstained | Unreadable):
            how = "abstained" if isinstance(each, Abstained) else "failed"
            yield {"how": how, "file": each.file, "reason": each.reason}


def _pack(labelled: Sequence[Labelled], number: int) -> tuple[str, dict[str, bytes], dict[str, int]]:
    """The kind, the files by name and the counts of a shard; ValueError if a source mixes kinds."""
    images = [each for each in labelled if isinstance(each, AnnotatedImage)]
    spoken = [each for each in labelled if isinstance(each, Conversation)]
    if len(images) == len(labelled):
        paths = sum(len(image.annotations) for image in images)
        return "annotated", annotated.pack(images, f"shard-{number:05d}"), {"images": len(images), "paths": paths}
    if len(spoken) == len(labelled):
        counts = {"conversations": len(spoken)}
        return "conversations", conversations.pack(spoken, f"talk-{number:05d}"), counts
    if len(labelled) == 1 and isinstance(episode := labelled[0], LabelledEpisode):
        frames = len(episode.labels)
        return (
            "episodes",
            episodes.pack(episode, f"ep-{number:05d}"),
            {"episodes": 1, "frames": frames, "paths": frames},
        )
    raise ValueError("a source yields images, conversations, or one episode a shard, and never a mixture")
