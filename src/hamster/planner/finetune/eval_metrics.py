"""Paths on held-out samples while a model learns: errors, and a sheet of drawings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.dialects import parse
from hamster.label.contact_sheet import contact_sheet
from hamster.path import NotInViewError, Path2D, PlanError
from hamster.path.draw import draw
from hamster.path.metrics import medians, path_errors
from hamster.planner.backend import GenerationRequest, SamplingParams
from hamster.planner.finetune.dataset import Indices, Row
from hamster.planner.finetune.samples import Samples
from hamster.planner.transformers_backend import TransformersBackend

SHOWN = 24
DRAWN_PX = 384


@dataclass(frozen=True)
class Judged:
    """One held-out sample, asked.

    Attributes:
        sample: its index. text: the model's answer.
        path: what that draws, None if it cannot be read, or refuses.
        refused: whether it says that what is asked for is not in view.
        errors: of the path, where there is one and ought to be one.
    """

    sample: int
    text: str
    path: Path2D | None
    refused: bool
    errors: dict[str, float] | None


def choose(samples: Samples, which: NDArray[np.bool_], each: int) -> Indices:
    """At most so many of these samples from each set, always the same ones."""
    asked = np.flatnonzero(which)
    sets = samples.set_of[asked]
    shuffled = np.random.default_rng(0).permutation(len(asked))
    chosen = [asked[shuffled[sets[shuffled] == n][:each]] for n in range(len(samples.parts))]
    return np.sort(np.concatenate(chosen))


def ask(backend: TransformersBackend, samples: Samples, chosen: Indices, dialect: str, seen: Any) -> list[Judged]:
    """The model's greedy answers, judged; decoding is free, so that what is read shows what was learned."""
    rows = [samples.row(index) for index in chosen.tolist()]
    questions = [GenerationRequest(np.asarray(row["images"][0]), _text(row["prompt"])) for row in rows]
    longest = max((len(backend.processor.tokenizer(_text(row["completion"]))["input_ids"]) for row in rows), default=1)
    answers = backend.generate(questions, SamplingParams(max_new_tokens=2 * longest + 8)) if rows else []
    found = []
    for index, question, (answer,) in zip(chosen.tolist(), questions, answers, strict=True):
        assert question.image is not None
        size = question.image.shape[1], question.image.shape[0]
        found.append(_judged(index, answer.text, samples.path(index), dialect, seen(size)))
    return found


def summary(samples: Samples, judged: list[Judged]) -> dict[str, float]:
    """Metrics of all, and where there are several sets of each by its folder's name."""
    found = _metrics(samples, judged)
    for number, part in enumerate(samples.parts if len(samples.parts) > 1 else ()):
        some = [each for each in judged if samples.set_of[each.sample] == number]
        found |= {f"{part.folder.name}/{name}": value for name, value in _metrics(samples, some).items() if some}
    return found


def picture(samples: Samples, judged: list[Judged], file: Path) -> None:
    """The first answers, drawn, as one PNG."""
    tiles = [_tile(samples, each) for each in judged[:SHOWN]]
    if tiles:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(contact_sheet(tiles)).save(file)


def shared(judge: Callable[[Indices], list[Judged]], chosen: Indices, accelerator: Any) -> list[Judged]:
    """All answers in every process: each asks its part, or, where the model is sharded, all ask all in step."""
    if accelerator.num_processes == 1 or "FSDP" in str(accelerator.distributed_type):
        return judge(chosen)
    from accelerate.utils import gather_object

    mine = judge(chosen[accelerator.process_index :: accelerator.num_processes])
    return sorted(gather_object(mine), key=lambda each: each.sample)


def _judged(index: int, text: str, truth: Path2D | None, dialect: str, size: Any) -> Judged:
    try:
        path = parse(text, dialect, size)
    except NotInViewError:
        return Judged(index, text, None, True, None)
    except PlanError:
        return Judged(index, text, None, False, None)
    return Judged(index, text, path, False, path_errors(path, truth) if truth else None)


def _metrics(samples: Samples, judged: list[Judged]) -> dict[str, float]:
    """Of paths as `medians`; of what is not in view the share that was refused, and of paths that wrongly were."""
    paths = [each for each in judged if samples.is_path[each.sample]]
    absent = [each for each in judged if not samples.is_path[each.sample]]
    found = medians([each.errors for each in paths]) if paths else {}
    if absent:
        found["refused"] = float(np.mean([each.refused for each in absent]))
        found["falsely_refused"] = float(np.mean([each.refused for each in paths])) if paths else 0.0
    return found


def _tile(samples: Samples, judged: Judged) -> tuple[NDArray[np.uint8], str]:
    row = samples.row(judged.sample)
    rgb = np.asarray(row["images"][0].resize((DRAWN_PX, DRAWN_PX), Image.Resampling.BICUBIC))
    how = "refused" if judged.refused else "unreadable" if judged.path is None else ""
    how = f"{judged.errors['frechet']:.2f}" if judged.errors else how
    return rgb if judged.path is None else draw(rgb, judged.path), f"[{how}] {samples.instruction(judged.sample)}"


def _text(messages: list[Row]) -> str:
    return "\n".join(part["text"] for message in messages for part in message["content"] if part["type"] == "text")
