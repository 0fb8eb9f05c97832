"""Measure a planner alone: do its paths start at the right object and end at the right goal?"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from hamster.data import AnnotatedImage
from hamster.evaluate.identity import device
from hamster.evaluate.journal import HEAD, Journal, Record, held_identity
from hamster.evaluate.outages import AGAIN, Outages
from hamster.evaluate.planner.answers import Answers, Asking
from hamster.evaluate.planner.reliability import diagram
from hamster.evaluate.planner.summary import by_family, of_source
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
SHOWN = 12  # of the best, of those in the middle, and of the worst
Progress = Callable[[Iterable[Record], int, int], Iterable[Record]]


def evaluate_paths(
    sources: Mapping[str, Iterable[AnnotatedImage]],
    planner: Planner,
    name: str,
    out: Path,
    n: int | None,
    seed: int,
    progress: Progress,
    identity: Mapping[str, Any] | None = None,
    restart: bool = False,
) -> dict[str, Any]:
    """Asks the planner for one path on each of n images of each source (None: of all); `grounding` is the judge.

    Where an image comes with instructions that nobody can carry out, one of them is asked, too.

    Writes eval_info.json (the planner is the condition; a "success" is a path that is right at both ends), paths.jsonl
    with every answer, paths.png with the best, the median and the worst, and reliability.png.

    Args:
        sources: by name; images without an annotation are passed over, and without segmentation only nearness to the
            label counts.
        name: of the planner, in the table.
        seed: decides which of an image's instructions is asked.
        identity: of the planner and the sources, as `paths_identity` gives it: answers that `out` holds of the same are
            kept. None: nobody knows what they are of, and all is asked anew.
        restart: ask anew what `out` holds of a finished run, or of another planner.

    Returns:
        The content of eval_info.json. Questions that could not be asked are not in it, but named under "unavailable".

    Raises:
        ValueError: if a source has fewer than n images, `out` holds another run, or another process is at work in it.
        RunStoppedError: if the planner could not be asked a few times in a row; the next call goes on.
    """
    with lock_folder(out):
        if identity is None or (restart and _is_over(out, name, seed, identity)):
            _clear(out)
        conditions, parts = _conditions(name, seed, identity or {})
        (out / "eval_info.json").unlink(missing_ok=True)  # until there is one of these answers
        asking = Asking(planner, name, Journal(out, conditions, parts, PATHS), Outages())
        return _evaluated(sources, asking, out, n, seed, progress)


def paths_identity(
    planner: str, dialect: str | None, sources: Iterable[str], on: str | None = None, dtype: str = "auto"
) -> dict[str, Any]:
    """Which planner and which images these names stand for today, for `evaluate_paths`.

    Args:
        planner, dialect: as for `load_planner`.
        sources: folders of label sets, and generators, which are code.
        on, dtype: where the planner computes, and in which numbers, as `device` and `dtype` of `load_planner`.

    Raises:
        ValueError: if there is no such planner.
        PlannerUnavailableError: if its server cannot be asked now.
    """
    facts = {f"planner's {fact}": value for fact, value in planner_identity(planner, dialect).items()}
    sets = {name: content_digest(Path(name)) for name in sources if Path(name).is_dir()}
    return {"conditions": {**facts, **code_digests(), "device": device(on), "dtype": dtype}, "sources": sets}


def _conditions(name: str, seed: int, identity: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    return {"planner": name, "seed": seed, **identity.get("conditions", {})}, dict(identity.get("sources", {}))


def _is_over(out: Path, name: str, seed: int, identity: Mapping[str, Any]) -> bool:
    """Whether a folder holds a finished run, or one of something else."""
    try:
        Journal(out, *_conditions(name, seed, identity), PATHS)
    except ValueError:
        return True
    return (out / "eval_info.json").is_file()


def _clear(out: Path) -> None:
    for file in (PATHS, HEAD, "eval_info.json", "paths.png", "reliability.png"):
        (out / file).unlink(missing_ok=True)


def _evaluated(
    sources: Mapping[str, Iterable[AnnotatedImage]],
    asking: Asking,
    out: Path,
    n: int | None,
    seed: int,
    progress: Progress,
) -> dict[str, Any]:
    start, answers, outages = time.perf_counter(), Answers(), asking.outages
    for source, images in sources.items():
        missing = outages.n
        for _ in progress(asking.all(images, source, n, seed, answers), 0, n or 0):
            pass
        found = len(answers.of(source))
        if outages.n == missing and found < (n or 1):
            raise ValueError(f"the source {source} has {found} images with an instruction, {n or 1} were asked for")
        if not found:
            raise RunStoppedError(f"nothing of {source} could be asked ({outages.in_words()}); {AGAIN}")
    meta = {**run_info(seed), "wall_s": round(time.perf_counter() - start, 1), "workers": 1}
    meta["identity"] = held_identity(out)
    summary = {
        **summarize(answers.in_view, [asking.name], meta),
        "paths": by_family(answers.in_view),
        "sources": {source: of_source(answers.of(source), answers.of(source, absent=True)) for source in sources},
        "unavailable": outages.to_json(),
    }
    asking.journal.sort(record["key"] for record in (*answers.in_view, *answers.absent))
    _write(summary, answers, out)
    return summary


def _write(summary: Mapping[str, Any], answers: Answers, out: Path) -> None:
    write_atomic(out / "eval_info.json", json.dumps(summary, indent=2) + "\n")
    Image.fromarray(contact_sheet(answers.best_median_worst(SHOWN))).save(out / "paths.png")
    found = {name: source["calibration"] for name, source in summary["sources"].items() if source["calibration"]["n"]}
    if found:
        Image.fromarray(diagram(found)).save(out / "reliability.png")
