"""The label set on disk: shards, a journal that lists them, and a manifest that is written when all of them are whole.

Nothing in it is a pickle. The same call again makes what is missing, and does nothing once the manifest is there.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hamster.data import AnnotatedImage, Conversation, Source
from hamster.files import write_atomic
from hamster.label import annotated, conversations, episodes
from hamster.label.engines import ENGINES
from hamster.label.episodes import LabelledEpisode
from hamster.label.one import Options
from hamster.label.shards import Entry, Shards, spans
from hamster.label.storage import Journal, check, json_bytes
from hamster.provenance import run_info

FORMAT = "hamster-labels/2"
COUNTED = ("items", "labelled", "abstained", "failed")


def write(
    sources: Sequence[Source],
    out: Path,
    *,
    options: Options | None = None,
    seed: int | None = None,
    workers: int = 1,
    engine: str = "local",
    strict: bool = False,
    on_items: Callable[[int], None] = lambda _: None,
) -> dict[str, Any]:
    """Labels everything in the sources, writes a label set into the folder `out`, and returns its manifest.

    An item that cannot be read or labelled is counted and noted (`left_out`) with the reason, and is no reason to stop.
    What is written depends neither on `workers`, nor on `engine`, nor on how often a run was interrupted.

    Args:
        sources: one or more; one after the other, they are numbered through.
        out: made if need be; what a run of the same sources and options left there is gone on with.
        seed: for the record; the sources have drawn with it.
        engine: one of `ENGINES`.
        strict: stop at the first item that cannot be read.
        on_items: called with the number of items done, after each shard.

    Raises:
        ValueError: if `out` holds another run, no such engine, nothing could be labelled, or, with `strict`, an item
            could not be read.
    """
    if engine not in ENGINES:
        raise ValueError(f"no engine {engine!r}; there are {', '.join(ENGINES)}")
    out.mkdir(parents=True, exist_ok=True)
    options = options or Options()
    run = {"format": FORMAT, "sources": [source.uri for source in sources], "seed": seed, "options": asdict(options)}
    journal = Journal.resume(out, run)
    planned = spans(sources)
    if (out / "manifest.json").is_file() and len(journal.starts) == len(planned):
        return read_manifest(out)
    todo = [span for span in planned if span.number not in journal.starts]
    on_items(journal.items)
    for entry in ENGINES[engine](Shards(sources, out, options, strict), todo, workers):
        journal.add(entry)
        on_items(journal.items)
    manifest = _manifest(run, journal.entries())
    write_atomic(out / "manifest.json", json_bytes(manifest, indent=1))
    return manifest


def read_manifest(folder: Path) -> dict[str, Any]:
    """The manifest of a label set: its run, counts and digest; ValueError if there is none, or it is not finished."""
    file = folder / "manifest.json"
    if not file.is_file():
        raise ValueError(f"no label set in {folder}: manifest.json is missing; make one with `hamster label`")
    manifest: dict[str, Any] = json.loads(file.read_text())
    if manifest.get("format") != FORMAT:
        raise ValueError(f"{file} has format {manifest.get('format')!r}; only {FORMAT!r} is read: label again")
    return manifest


def read_annotated(folder: Path) -> Iterator[AnnotatedImage]:
    """The images of a label set, in order; ValueError if it has none or is damaged."""
    for names in shards_of(folder, "annotated"):
        yield from annotated.unpack(folder, names)


def read_episodes(folder: Path) -> Iterator[LabelledEpisode]:
    """The episodes of a label set, in order; ValueError if it has none or is damaged."""
    for names in shards_of(folder, "episodes"):
        yield episodes.unpack(folder, names)


def read_conversations(folder: Path) -> Iterator[Conversation]:
    """The conversations of a label set, in order; ValueError if it has none or is damaged."""
    for names in shards_of(folder, "conversations"):
        yield from conversations.unpack(folder, names)


def shards_of(folder: Path, kind: str) -> Iterator[list[str]]:
    """For each shard of a kind the names of its files, which are checked before they are handed out.

    Raises:
        ValueError: if there is no label set, it has no such shards, or a file is not what was written.
    """
    if kind not in (kinds := kinds_of(folder)):
        raise ValueError(f"{folder} holds labels of kind {', '.join(sorted(kinds))}, not {kind!r}")
    for shard in shards(folder):
        if shard["kind"] == kind:
            for file in shard["files"]:
                check(folder / file["file"], file["sha256"])
            yield [file["file"] for file in shard["files"]]


def kinds_of(folder: Path) -> set[str]:
    """The kinds of labels in a label set."""
    return {shard["kind"] for shard in shards(folder)}


def shards(folder: Path) -> Iterator[dict[str, Any]]:
    """{"kind", "n", "files": [{"file", "sha256"}]} of each shard of a finished label set, in order."""
    read_manifest(folder)
    for entry in Journal.read(folder).entries():
        if entry["files"]:
            yield {"kind": entry["kind"], "n": entry["labelled"], "files": entry["files"]}


def left_out(folder: Path) -> Iterator[dict[str, str]]:
    """{"how": "abstained" or "failed", "file", "reason"} of each item that is not in a label set, in order."""
    for entry in Journal.read(folder).entries():
        yield from entry["left_out"]


def _manifest(run: Mapping[str, Any], entries: Iterator[Entry]) -> dict[str, Any]:
    counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
    digest, why = hashlib.sha256(), ""
    for entry in entries:
        counts.update({"items": entry["items"], "labelled": entry["labelled"], **entry["counts"]})
        for each in entry["left_out"]:
            counts[each["how"]] += 1
            why = why or f"; the first one: {each['file']}: {each['reason']}"
        for file in entry["files"]:
            digest.update(f"{file['sha256']}  {file['file']}\n".encode())
    if not counts["labelled"]:
        raise ValueError(f"nothing in {', '.join(run['sources']) or 'the source'} could be labelled{why}")
    return {**run, "counts": dict(counts), "digest": digest.hexdigest(), "run": run_info(run["seed"])}
