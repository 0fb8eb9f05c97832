"""Resume a labelling run: which shards exist, and which items of the source changed since."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

from hamster.data import Source
from hamster.files import write_atomic
from hamster.label.shards import Entry, Span, digest_of, inputs_of, stamp_of
from hamster.label.storage import Journal, files_are_whole, json_bytes

_OURS = re.compile(r"(?P<kind>ep|shard|talk)-(?P<number>\d{5,})(?P<rest>\..+)")  # names of a shard's files
_NAMED = 3  # items in a notice
Run = Mapping[str, Any]


@dataclass(frozen=True)
class Resumed:
    """A journal to go on with.

    Attributes:
        journal: holds what is still as its source has it.
        todo: what has to be labelled.
        is_complete: whether the manifest, if there is one, is still true.
        notice: what has changed in the source, in one line; "" if nothing.
    """

    journal: Journal
    todo: list[Span]
    is_complete: bool
    notice: str = ""


@dataclass
class _Match:
    """Which old entry is which span's.

    Attributes:
        kept: number of the span -> number of its entry in the old journal.
        stamps: number of the span -> its new stamp, where that differs from the entry's.
        lost: numbers of entries whose items have changed or are gone.
        names: of the first items of these.
    """

    kept: dict[int, int] = field(default_factory=dict)
    stamps: dict[int, str] = field(default_factory=dict)
    lost: list[int] = field(default_factory=list)
    names: list[str] = field(default_factory=list)


def resume(
    folder: Path, run: Run, sources: Sequence[Source], planned: Sequence[Span], retry_failed: bool = False
) -> Resumed:
    """Keep what was labelled of items that are still the same, and forget the rest.

    Items are compared by what they are made of (`hamster.data.Inputs`): by sizes and times where those say enough,
    else by content. Where items came, went or moved, files get the numbers that they would have in a new folder.

    Args:
        folder: of the label set; the caller holds its lock.
        run: what must be the same: format, version, sources, their places, seed, options, code of users' sources.
        sources: as they are now.
        planned: their spans.
        retry_failed: forget items that failed, too.

    Raises:
        ValueError: if the folder holds another run: of other options, of another version, or of a source at another
            place that lacks something that was labelled.
    """
    old = Journal.read(folder)
    _check_run(folder, old.run or run, run)
    match = _match(folder, old, sources, planned, retry_failed)
    if match.lost and old.run and old.run["places"] != run["places"]:
        raise ValueError(
            f"{folder} holds labels of another run: {len(match.lost)} of its shards ({_few(match.names)}) are not in "
            f"{', '.join(run['sources'])}; choose another folder"
        )
    todo = [span for span in planned if span.number not in match.kept]
    is_as_it_was = len(match.kept) == len(old.starts) and all(new == was for new, was in match.kept.items())
    if is_as_it_was and not match.stamps and not old.is_cut_off and old.run == run:
        return Resumed(old, todo, is_complete=not todo)
    had_all = (folder / "manifest.json").is_file()
    if todo or not is_as_it_was:
        (folder / "manifest.json").unlink(missing_ok=True)  # readers must not take what follows for the whole
    _renumber(folder, old, match)
    entries = (_renumbered(old.entry(match.kept[number]), number, match) for number in sorted(match.kept))
    write_atomic(old.file, map(json_bytes, chain([run], entries)))
    _remove_strays(folder, match.kept)
    changed = match.lost or not all(new == was for new, was in match.kept.items()) or (had_all and todo)
    notice = _notice(match, sources, todo) if changed and old.starts else ""
    return Resumed(Journal.read(folder), todo, is_complete=False, notice=notice)


def _check_run(folder: Path, was: Run, run: Run) -> None:
    if "places" not in was:
        raise ValueError(
            f"{folder} was labelled by an older version, which did not note what its source held: it can be read and "
            "exported, but not continued; choose another folder"
        )
    schemes = [{**scheme, "sources": [uri.partition(":")[0] for uri in scheme["sources"]]} for scheme in (was, run)]
    for key in ("format", "version", "sources", "sizes", "seed", "options", "code"):
        before, now = (scheme.get(key) for scheme in schemes)
        if before != now:
            raise ValueError(
                f"{folder} holds labels of another run: its {key} {'were' if key[-1] == 's' else 'was'} {before}, not "
                f"{now}; choose another folder"
            )


def _match(
    folder: Path, old: Journal, sources: Sequence[Source], planned: Sequence[Span], retry_failed: bool
) -> _Match:
    match, without = _Match(), dict[int, tuple[str, str, str]]()
    for entry in old.entries():
        number, noted = entry["number"], entry["inputs"]
        is_failed = any(made_of["how"] == "failed" for made_of in entry["left_out"])
        if (retry_failed and is_failed) or not files_are_whole(folder, entry):
            continue
        if number >= len(planned) or not _is_made_of(noted, number, sources, planned, match):
            without[number] = noted["stamp"], noted["sha256"], noted["name"]
    by_digest = defaultdict[str, list[int]](list)
    for number, (stamp, digest, _) in without.items():
        by_digest[digest].append(number)
        by_digest[stamp].append(number)
    by_digest.pop("", None)  # of what is not known
    for span in planned if without else ():
        if span.number in match.kept:
            continue
        inputs = inputs_of(sources[span.source], span)
        stamp = stamp_of(inputs)
        was = _pop(by_digest[stamp], without) if stamp in by_digest else None
        if was is None and (digest := digest_of(inputs)) in by_digest:
            was = _pop(by_digest[digest], without)
            match.stamps[span.number] = stamp if all(made_of.is_settled() for made_of in inputs) else ""
        if was is not None:
            match.kept[span.number] = was
    match.lost, match.names = sorted(without), [name for *_, name in without.values()]
    return match


def _is_made_of(
    noted: Mapping[str, str], number: int, sources: Sequence[Source], planned: Sequence[Span], match: _Match
) -> bool:
    """Return whether the span of that number is still made of what is noted; then it is kept."""
    span = planned[number]
    inputs = inputs_of(sources[span.source], span)
    stamp = stamp_of(inputs)
    if noted["stamp"] != stamp:
        if noted["sha256"] != digest_of(inputs):
            return False
        if all(made_of.is_settled() for made_of in inputs):
            match.stamps[number] = stamp
    match.kept[number] = number
    return True


def _pop(numbers: list[int], without: dict[int, tuple[str, str, str]]) -> int | None:
    """Return the first of these entries that has no span yet."""
    while numbers:
        if without.pop(number := numbers.pop(0), None):
            return number
    return None


def _renumber(folder: Path, old: Journal, match: _Match) -> None:
    """Give files the names that go with the numbers of their spans; a run that is cut off here does them again."""
    moves = [
        (folder / file["file"], folder / _named(file["file"], number))
        for number, was in match.kept.items()
        if number != was
        for file in old.entry(was)["files"]
    ]
    for now, then in moves:
        now.replace(_aside(then))
    for _, then in moves:
        _aside(then).replace(then)


def _aside(file: Path) -> Path:
    return file.with_name(f".{file.name}.moved")


def _named(name: str, number: int) -> str:
    """Return the name of a shard's file, with another number."""
    folder, slash, file = name.rpartition("/")
    ours = _OURS.fullmatch(file)
    return f"{folder}{slash}{ours['kind']}-{number:05d}{ours['rest']}" if ours else name


def _renumbered(entry: Entry, number: int, match: _Match) -> Entry:
    files = [{**file, "file": _named(file["file"], number)} for file in entry["files"]]
    inputs = {**entry["inputs"], "stamp": match.stamps.get(number, entry["inputs"]["stamp"])}
    return {**entry, "number": number, "inputs": inputs, "files": files}


def _remove_strays(folder: Path, kept: Mapping[int, int]) -> None:
    """Delete files of shards that are no longer there, and what interrupted runs left half written."""
    for file in chain(folder.iterdir(), (folder / "drawn").glob("*")):
        ours = _OURS.fullmatch(file.name)
        is_half = file.name.startswith(".") and file.name.endswith((".part", ".moved"))
        if (is_half and file.is_file()) or (ours and int(ours["number"]) not in kept):
            file.unlink()


def _notice(match: _Match, sources: Sequence[Source], todo: Sequence[Span]) -> str:
    new = [inputs_of(sources[span.source], span)[0].name for span in todo[: _NAMED + 1]]
    lost = f", {len(match.lost)} changed or gone ({_few(match.names)})" if match.lost else ""
    more = f", {len(todo)} to be labelled ({_few(new, len(todo))})" if todo else ""
    return f"the source has changed since it was labelled: {len(match.kept)} shard(s) are still the same{lost}{more}"


def _few(names: Sequence[str], total: int | None = None) -> str:
    more = (len(names) if total is None else total) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")
