"""The label set on disk: shards, a journal that lists them, and a manifest that is written when all of them are whole.

Nothing in it is a pickle. The same call again makes what is missing, and does nothing once the manifest is there.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from hamster import __version__
from hamster.data import AnnotatedImage, Conversation, Source, Tracked
from hamster.files import lock_folder, write_atomic
from hamster.identity import plugin_digest
from hamster.label import annotated, conversations, episodes
from hamster.label.engines import ENGINES
from hamster.label.episodes import LabelledEpisode
from hamster.label.label_item import Options
from hamster.label.resume import resume
from hamster.label.shards import Entry, Shards, spans
from hamster.label.storage import FILE as JOURNAL
from hamster.label.storage import Journal, check, json_bytes
from hamster.parallel import Limits
from hamster.provenance import run_info, usable_memory_bytes

FORMAT = "hamster-labels/2"
ITEM_SECONDS = 300.0  # more than the longest video needs on a slow machine
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
    limits: Limits | None = None,
    retry_failed: bool = False,
    on_items: Callable[[int], None] = lambda _: None,
    on_notice: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Label everything in the sources, write a label set into the folder `out`, and return its manifest.

    An item that cannot be read or labelled is counted and recorded with the reason (`left_out`), and the run continues;
    likewise one that kills its process, does not end or needs too much memory. The files depend neither on `workers`,
    nor on `engine`, nor on interruptions.

    Shards in `out` from the same run are kept where the source is unchanged. If items were added, removed or changed,
    only these are labelled, and the result equals that in a new folder.

    Args:
        sources: one or more; items are numbered consecutively over all of them.
        out: created if needed, and locked.
        seed: of the sources, which is recorded.
        workers: number of processes; even a single one is separate from this process.
        engine: one of `ENGINES`.
        strict: stop at the first item that cannot be read.
        limits: of each item; by default those of `item_limits`.
        retry_failed: try again what failed in an earlier run.
        on_items: called with the number of items done, after each shard.
        on_notice: called with a line about what has changed in the source since an earlier run.

    Raises:
        ValueError: if `out` holds another run or is in use by one, the engine is unknown, nothing could be labelled,
            or, with `strict`, an item could not be read.
        WorkerDiedError: if processes end outside of any item.
        RunStoppedError: if a disk is full; the same call goes on.
    """
    if engine not in ENGINES:
        raise ValueError(f"no engine {engine!r}; there are {', '.join(ENGINES)}")
    options = options or Options()
    run: dict[str, Any] = {
        "format": FORMAT,
        "version": __version__,
        "sources": [source.uri for source in sources],
        "places": [_place(source.uri) for source in sources],
        "sizes": [None if isinstance(source, Tracked) else len(source) for source in sources],
        "seed": seed,
        "options": asdict(options),
    }
    if (code := plugin_digest(*sources)) is not None:  # of sources that are not this package's own
        run["code"] = code
    planned = spans(sources)
    with lock_folder(out):
        resumed = resume(out, run, sources, planned, retry_failed)
        if resumed.is_complete and (out / "manifest.json").is_file():
            return read_manifest(out)
        if resumed.notice:
            on_notice(resumed.notice)
        journal = resumed.journal
        on_items(journal.items)
        work = Shards(sources, out, options, strict)
        for entry in ENGINES[engine](work, resumed.todo, workers, limits or item_limits()):
            journal.add(entry)
            on_items(journal.items)
        manifest = _manifest(run, journal)
        write_atomic(out / "manifest.json", json_bytes(manifest, indent=1))
        return manifest


def item_limits(seconds: float | None = ITEM_SECONDS, memory_gib: float | None = None) -> Limits:
    """Return what an item may cost its process; of memory, by default, half of what this machine or container has.

    Args:
        seconds: None or 0 is no limit.
        memory_gib: 0 is no limit.

    Raises:
        ValueError: if one of them is negative or no number.
    """
    if not all(value is None or 0 <= value < math.inf for value in (seconds, memory_gib)):
        raise ValueError(f"limits are numbers >= 0, got {seconds} s and {memory_gib} GiB")
    memory_bytes = usable_memory_bytes() // 2 if memory_gib is None else int(memory_gib * 2**30)
    return Limits(seconds or None, memory_bytes or None)


def _place(uri: str) -> str:
    """Return the URI with an absolute path: `rlbench:data` is something else in another folder."""
    scheme, colon, rest = uri.partition(":")
    return f"{scheme}{colon}{Path(rest).absolute()}"


def read_manifest(folder: Path) -> dict[str, Any]:
    """Return the manifest of a finished label set: its run, counts and digest; ValueError if there is none."""
    file = folder / "manifest.json"
    if not file.is_file():
        if (folder / JOURNAL).is_file():
            raise ValueError(
                f"the label set in {folder} is not finished (manifest.json is missing): wait for the run that "
                "writes it, or start that `hamster label` again"
            )
        raise ValueError(f"no label set in {folder}: manifest.json is missing; make one with `hamster label`")
    manifest: dict[str, Any] = json.loads(file.read_text())
    if manifest.get("format") != FORMAT:
        raise ValueError(f"{file} has format {manifest.get('format')!r}; only {FORMAT!r} is read: label again")
    return manifest


def read_annotated(folder: Path) -> Iterator[AnnotatedImage]:
    """Yield the images of a label set, in order; ValueError if it has none or is damaged."""
    for names in shards_of(folder, "annotated"):
        yield from annotated.unpack(folder, names)


def read_episodes(folder: Path) -> Iterator[LabelledEpisode]:
    """Yield the episodes of a label set, in order; ValueError if it has none or is damaged."""
    for names in shards_of(folder, "episodes"):
        yield episodes.unpack(folder, names)


def read_conversations(folder: Path) -> Iterator[Conversation]:
    """Yield the conversations of a label set, in order; ValueError if it has none or is damaged."""
    for names in shards_of(folder, "conversations"):
        yield from conversations.unpack(folder, names)


def shards_of(folder: Path, kind: str) -> Iterator[list[str]]:
    """Yield the file names of each shard of a kind; errors as in `checked_shards`."""
    for files in checked_shards(folder, kind):
        yield [file["file"] for file in files]


def checked_shards(folder: Path, kind: str) -> Iterator[list[dict[str, str]]]:
    """Yield the {"file", "sha256"} records of each shard of a kind, after checking its files.

    Raises:
        ValueError: if there is no label set, it has no such shards, or a file is not what was written.
    """
    if kind not in (kinds := kinds_of(folder)):
        raise ValueError(f"{folder} holds labels of kind {', '.join(sorted(kinds))}, not {kind!r}")
    for shard in shards(folder):
        if shard["kind"] == kind:
            for file in shard["files"]:
                check(folder / file["file"], file["sha256"])
            yield shard["files"]


def kinds_of(folder: Path) -> set[str]:
    """Return the kinds of labels in a label set."""
    return {shard["kind"] for shard in shards(folder)}


def shards(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield {"kind", "n", "files": [{"file", "sha256"}]} of each shard of a finished label set, in order."""
    manifest, journal = read_manifest(folder), Journal.read(folder)
    if manifest.get("digest", "") not in ("", _digest(journal.entries())):
        raise ValueError(f"{folder}: {JOURNAL} and manifest.json are not of one run; start that `hamster label` again")
    for entry in journal.entries():
        if entry["files"]:
            yield {"kind": entry["kind"], "n": entry["labelled"], "files": entry["files"]}


def content_digest(folder: Path) -> str:
    """Return the digest of the files of a finished label set: other labels have another one, whatever their folder."""
    lines = (f"{file['sha256']}  {file['file']}\n" for shard in shards(folder) for file in shard["files"])
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def left_out(folder: Path) -> Iterator[dict[str, str]]:
    """Yield {"how": "abstained" or "failed", "file", "reason"} of each item that is not in a label set, in order."""
    for entry in Journal.read(folder).entries():
        yield from entry["left_out"]


def notes(folder: Path) -> Counter[str]:
    """Return what is to be known of the labels in a label set, and of how many episodes."""
    counted: Counter[str] = Counter()
    for entry in Journal.read(folder).entries():
        counted.update(entry.get("notes", ()))
    return counted


def _manifest(run: Mapping[str, Any], journal: Journal) -> dict[str, Any]:
    counts: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
    why = ""
    for entry in journal.entries():
        counts.update({"items": entry["items"], "labelled": entry["labelled"], **entry["counts"]})
        for item in entry["left_out"]:
            counts[item["how"]] += 1
            why = why or f"; the first one: {item['file']}: {item['reason']}"
    if not counts["labelled"]:
        raise ValueError(f"nothing in {', '.join(run['sources']) or 'the source'} could be labelled{why}")
    noted = {key: value for key, value in run.items() if key not in ("places", "sizes")}
    return {**noted, "counts": dict(counts), "digest": _digest(journal.entries()), "run": run_info(run["seed"])}


def _digest(entries: Iterator[Entry]) -> str:
    """Return a digest of the names and contents of all files, in order."""
    digest = hashlib.sha256()
    for entry in entries:
        for file in entry["files"]:
            digest.update(f"{file['sha256']}  {file['file']}\n".encode())
    return digest.hexdigest()
