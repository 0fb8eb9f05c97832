"""Path metrics on held-out samples during training, and a contact sheet of drawn paths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.dialects import Size, parse
from hamster.label.contact_sheet import contact_sheet
from hamster.path import NotInViewError, Path2D, PlanError
from hamster.path.draw import draw
from hamster.path.metrics import medians, path_errors
from hamster.planner.backend import GenerationRequest, SamplingParams
from hamster.planner.finetune.dataset import Indices, Row
from hamster.planner.finetune.samples import Samples
from hamster.planner.transformers_backend import TransformersBackend

SHEET_SAMPLES = 24
TILE_PX = 384


@dataclass(frozen=True)
class EvalSample:
    """The model's answer to one held-out sample.

    Attributes:
        sample: its index.
        text: the answer.
        path: in the answer, None if it cannot be parsed, or is a refusal.
        refused: whether the answer is that nothing is in view.
        errors: of the path, if the sample has one, too.
    """

    sample: int
    text: str
    path: Path2D | None
    refused: bool
    errors: dict[str, float] | None


def choose(samples: Samples, mask: NDArray[np.bool_], per_set: int) -> Indices:
    """Choose samples for an evaluation, always the same ones.

    Args:
        samples: N of them.
        mask: (N,) those to choose from.
        per_set: of each label set, at most.

    Returns:
        Sorted indices.
    """
    candidates = np.flatnonzero(mask)
    sets = samples.set_of[candidates]
    shuffled = np.random.default_rng(0).permutation(len(candidates))
    chosen = [candidates[shuffled[sets[shuffled] == n][:per_set]] for n in range(len(samples.parts))]
    return np.sort(np.concatenate(chosen))


def evaluate(
    backend: TransformersBackend,
    samples: Samples,
    indices: Indices,
    dialect: str,
    scaled_size: Callable[[Size], Size],
) -> list[EvalSample]:
    """Generate greedy answers to samples, and compare their paths; decoding is not constrained by a grammar.

    Args:
        backend: the model as it is now.
        samples: to evaluate on.
        indices: of those.
        dialect: of the answers.
        scaled_size: from an image's size to its size as the model sees it.
    """
    rows = [samples.row(index) for index in indices.tolist()]
    requests = [GenerationRequest(np.asarray(row["images"][0]), _text(row["prompt"])) for row in rows]
    longest = max((len(backend.processor.tokenizer(_text(row["completion"]))["input_ids"]) for row in rows), default=1)
    sampling = SamplingParams(max_new_tokens=2 * longest + 8)
    completions = backend.generate(requests, sampling) if rows else []
    evaluated = []
    for index, request, (completion,) in zip(indices.tolist(), requests, completions, strict=True):
        assert request.image is not None
        size = scaled_size((request.image.shape[1], request.image.shape[0]))
        evaluated.append(_evaluated(index, completion.text, samples.path(index), dialect, size))
    return evaluated


def summary(samples: Samples, evaluated: list[EvalSample]) -> dict[str, float]:
    """Return metrics over all, and if there are several label sets, of each by its folder's name."""
    metrics = _metrics(samples, evaluated)
    for number, part in enumerate(samples.parts if len(samples.parts) > 1 else ()):
        of_part = [answer for answer in evaluated if samples.set_of[answer.sample] == number]
        if of_part:
            metrics |= {f"{part.folder.name}/{name}": value for name, value in _metrics(samples, of_part).items()}
    return metrics


def save_sheet(samples: Samples, evaluated: list[EvalSample], file: Path) -> None:
    """Write a contact sheet of the first answers, drawn, as a PNG.

    Args:
        samples: the images and instructions.
        evaluated: the answers.
        file: to write; its folder is created.
    """
    tiles = [_tile(samples, answer) for answer in evaluated[:SHEET_SAMPLES]]
    if tiles:
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(contact_sheet(tiles)).save(file)


def across_processes(
    evaluate_some: Callable[[Indices], list[EvalSample]], indices: Indices, accelerator: Any
) -> list[EvalSample]:
    """Evaluate in all processes, and return all answers in each of them.

    Args:
        evaluate_some: evaluates the samples of these indices.
        indices: of all samples. Each process takes a part of them; where the model is sharded, all of them, in step.
        accelerator: of Accelerate.
    """
    if accelerator.num_processes == 1 or "FSDP" in str(accelerator.distributed_type):
        return evaluate_some(indices)
    from accelerate.utils import gather_object

    own = evaluate_some(indices[accelerator.process_index :: accelerator.num_processes])
    return sorted(gather_object(own), key=lambda answer: answer.sample)


def _evaluated(index: int, text: str, truth: Path2D | None, dialect: str, size: Size) -> EvalSample:
    try:
        path = parse(text, dialect, size)
    except NotInViewError:
        return EvalSample(index, text, None, True, None)
    except PlanError:
        return EvalSample(index, text, None, False, None)
    return EvalSample(index, text, path, False, path_errors(path, truth) if truth else None)


def _metrics(samples: Samples, evaluated: list[EvalSample]) -> dict[str, float]:
    """Return `medians` over paths, the true refusal rate ("refused") and the false one ("falsely_refused")."""
    in_view = [answer for answer in evaluated if samples.is_path[answer.sample]]
    absent = [answer for answer in evaluated if not samples.is_path[answer.sample]]
    metrics = medians([answer.errors for answer in in_view]) if in_view else {}
    if absent:
        metrics["refused"] = float(np.mean([answer.refused for answer in absent]))
        metrics["falsely_refused"] = float(np.mean([answer.refused for answer in in_view])) if in_view else 0.0
    return metrics


def _tile(samples: Samples, answer: EvalSample) -> tuple[NDArray[np.uint8], str]:
    row = samples.row(answer.sample)
    rgb = np.asarray(row["images"][0].resize((TILE_PX, TILE_PX), Image.Resampling.BICUBIC))
    label = "refused" if answer.refused else "unreadable" if answer.path is None else ""
    label = f"{answer.errors['frechet']:.2f}" if answer.errors else label
    return rgb if answer.path is None else draw(rgb, answer.path), f"[{label}] {samples.instruction(answer.sample)}"


def _text(messages: list[Row]) -> str:
    return "\n".join(part["text"] for message in messages for part in message["content"] if part["type"] == "text")
