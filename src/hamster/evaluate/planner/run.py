"""Evaluate a planner alone: do its paths start at the right object and end at the right goal?"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from hamster.data import AnnotatedImage, Unreadable
from hamster.data.registry import SOURCES
from hamster.evaluate.identity import device_name
from hamster.evaluate.journal import IDENTITY_FILE, Journal, Record, read_identity
from hamster.evaluate.outages import AGAIN, Outages
from hamster.evaluate.planner.answers import AnswerCollector, Answers
from hamster.evaluate.planner.cached_answers import CachedAnswers
from hamster.evaluate.planner.reliability import diagram
from hamster.evaluate.planner.summary import by_family, summarize_source
from hamster.evaluate.planner.trace_scores import summarize_traces
from hamster.evaluate.summary import summarize
from hamster.files import lock_folder, write_atomic
from hamster.identity import code_digests
from hamster.label.contact_sheet import contact_sheet
from hamster.label.dataset import content_digest
from hamster.planner import Planner
from hamster.planner.identity import planner_identity
from hamster.provenance import run_info
from hamster.stopped import RunStoppedError

PATHS = "paths.jsonl"
SHOWN = 12  # each of the best, the median and the worst
Progress = Callable[[Iterable[Record], int, int], Iterable[Record]]


def evaluate_paths(
    sources: Mapping[str, Iterable[AnnotatedImage | Unreadable]],
    planner: Planner | CachedAnswers,
    name: str,
    out: Path,
    n: int | None,
    seed: int,
    progress: Progress,
    identity: Mapping[str, Any] | None = None,
    restart: bool = False,
) -> dict[str, Any]:
    """Query the planner for one path on each of n images of each source and judge it by `grounding`.

    Where an image comes with instructions about absent objects, one of them is queried, too.

    Writes eval_info.json (the planner is the condition; a "success" is a path that is correct at both ends),
    paths.jsonl with every answer, paths.png with the best, the median and the worst, and reliability.png.

    Args:
        sources: by name; images without an annotation are skipped, and without segmentation only the distance to the
            label counts. Items that could not be read are skipped, counted and listed.
        planner: to query, or answers that were stored.
        name: of the planner, in the table.
        out: result folder.
        n: images per source; None for all.
        seed: decides which of an image's instructions is used.
        progress: wraps the stream of records; called with the records, how many are done already and the total.
        identity: of the planner and the sources, see `paths_identity`: `out`'s answers of the same identity are reused.
            None: no answers are reused.
        restart: delete what `out` holds of a finished run, or of another planner.

    Returns:
        The content of eval_info.json. Queries without a response do not count; they are listed under "unavailable".

    Raises:
        ValueError: if a source has fewer than n images, `out` holds another run, another process is at work in it, or
            no stored answer is for any image.
        RunStoppedError: if the planner did not respond several times in a row; the next call continues.
    """
    with lock_folder(out):
        if identity is None or (restart and _is_over(out, name, seed, identity)):
            _clear(out)
        conditions, parts = _conditions(name, seed, identity or {})
        (out / "eval_info.json").unlink(missing_ok=True)  # until there is one of these answers
        collector = AnswerCollector(planner, name, Journal(out, conditions, parts, PATHS), Outages())
        return _evaluated(sources, collector, out, n, seed, progress)


def paths_identity(
    planner: str | CachedAnswers,
    dialect: str | None,
    sources: Iterable[str],
    on: str | None = None,
    dtype: str = "auto",
) -> dict[str, Any]:
    """Return the identity of a planner and of images today, for `evaluate_paths`.

    Args:
        planner: name or folder, as for `load_planner`, or stored answers.
        dialect: as for `load_planner`.
        sources: folders of label sets, files, or generators, which the code digests cover.
        on: torch device of the planner.
        dtype: number format it computes in.

    Raises:
        ValueError: if there is no such planner.
        PlannerUnavailableError: if its server does not respond.
    """
    if isinstance(planner, CachedAnswers):
        properties: dict[str, Any] = {"answers": planner.sha256, "answers' dialect": planner.dialect}
    else:
        properties = {f"planner's {key}": value for key, value in planner_identity(planner, dialect).items()}
        properties |= {"device": device_name(on), "dtype": dtype}
    digests = {name: _content(name) for name in sources}
    contents = {name: digest for name, digest in digests.items() if digest is not None}
    return {"conditions": {**properties, **code_digests()}, "sources": contents}


def _content(source: str) -> str | None:
    """Return the digest of a label set's folder or of a source's one file; None for anything else."""
    if Path(source).is_dir():
        return content_digest(Path(source))
    scheme, _, rest = source.partition(":")
    if not (scheme in SOURCES and SOURCES.get(scheme).argument == "FILE" and Path(rest).is_file()):
        return None
    with Path(rest).open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _conditions(name: str, seed: int, identity: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"planner": name, "seed": seed, **identity.get("conditions", {})}, dict(identity.get("sources", {}))


def _is_over(out: Path, name: str, seed: int, identity: Mapping[str, Any]) -> bool:
    """Return whether a folder holds a finished run, or one of another identity."""
    try:
        Journal(out, *_conditions(name, seed, identity), PATHS)
    except ValueError:
        return True
    return (out / "eval_info.json").is_file()


def _clear(out: Path) -> None:
    for file in (PATHS, IDENTITY_FILE, "eval_info.json", "paths.png", "reliability.png"):
        (out / file).unlink(missing_ok=True)


def _evaluated(
    sources: Mapping[str, Iterable[AnnotatedImage | Unreadable]],
    collector: AnswerCollector,
    out: Path,
    n: int | None,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    start, answers, outages = time.perf_counter(), Answers(), collector.outages
    for source, images in sources.items():
        n_outages = outages.n
        for _ in progress(collector.collect(images, source, n, seed, answers), 0, n or 0):
            pass
        n_answers = len(answers.of(source))
        if outages.n == n_outages and n_answers < (n or 1):
            unreadable = answers.unreadable.get(source, [])
            why = f"; {len(unreadable)} cannot be read: {unreadable[0].reason}" if unreadable else ""
            raise ValueError(
                f"the source {source} has {n_answers} images with an instruction, {n or 1} were asked for{why}"
            )
        if not n_answers:
            raise RunStoppedError(f"nothing of {source} could be asked ({outages.summary()}); {AGAIN}")
    cached = collector.planner if isinstance(collector.planner, CachedAnswers) else None
    n_unmatched = len(cached.texts.keys() - answers.ids) if cached is not None else 0
    if cached is not None and n_unmatched == len(cached.texts):
        _clear(out)
        ids = [", ".join(sorted(some)[:3]) for some in (cached.texts.keys(), answers.ids)]
        raise ValueError(f"no answer is for an image of the source: answers have the ids {ids[0]} …, images {ids[1]} …")
    meta = {**run_info(seed), "wall_s": round(time.perf_counter() - start, 1), "workers": 1}
    meta["identity"] = read_identity(out)
    summary = {
        **summarize(answers.in_view, [collector.name], meta),
        "paths": by_family(answers.in_view),
        "sources": {
            source: {
                **summarize_source(answers.of(source), answers.of(source, absent=True)),
                "trace": summarize_traces(answers.of(source)),
                "unreadable": [vars(item) for item in answers.unreadable.get(source, [])],
            }
            for source in sources
        },
        **({"answers": {"n": len(cached.texts), "n_unmatched": n_unmatched}} if cached is not None else {}),
        "unavailable": outages.to_json(),
    }
    collector.journal.sort(record["key"] for record in (*answers.in_view, *answers.absent))
    _write(summary, answers, out)
    return summary


def _write(summary: Mapping[str, Any], answers: Answers, out: Path) -> None:
    write_atomic(out / "eval_info.json", json.dumps(summary, indent=2) + "\n")
    Image.fromarray(contact_sheet(answers.best_median_worst(SHOWN))).save(out / "paths.png")
    reliabilities = {
        name: source["calibration"] for name, source in summary["sources"].items() if source["calibration"]["n"]
    }
    if reliabilities:
        Image.fromarray(diagram(reliabilities)).save(out / "reliability.png")
