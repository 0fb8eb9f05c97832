"""Evaluation of the planner on held-out images during training."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import torch
from numpy.typing import NDArray

from hamster.dialects import parse
from hamster.nano import tokens
from hamster.nano.grammar import AnswerGrammar
from hamster.nano.modeling import HamsterNanoForConditionalGeneration
from hamster.planner.grounding import grounding
from hamster.planner.nano_training.augment import NONE
from hamster.planner.nano_training.batches import assemble
from hamster.planner.nano_training.corpus import ABSENT, Corpus
from hamster.planner.nano_training.losses import height_errors_m

BATCH_SIZE = 64
REFUSAL = "<ans></ans>"


def evaluate(
    model: HamsterNanoForConditionalGeneration, corpus: Corpus, chosen: NDArray[np.int64], device: str
) -> dict[str, float]:
    """Measure shares of paths with a correct start, a correct end, and both, and refusal rates.

    Args:
        model: the planner.
        corpus: all images and annotations.
        chosen: (N,) sorted indices of annotations.
        device: of the model.

    Returns:
        "start", "end", "path" (both), "path/TASK", "refused" (of what is absent) and "falsely_refused", in [0, 1]; of a
        planner that estimates heights "height_error_m", the median error along annotated paths.
    """
    outcomes: dict[str, list[bool]] = defaultdict(list)
    image = np.searchsorted(corpus.first, chosen, side="right") - 1
    model.eval()
    for start in range(0, len(chosen), BATCH_SIZE):
        part, where = chosen[start : start + BATCH_SIZE], image[start : start + BATCH_SIZE]
        rgb, masks = corpus.images(where)
        for answer, annotation, mask in zip(_answers(model, corpus, part, rgb, device), part, masks, strict=True):
            task = corpus.tasks[corpus.task[annotation]]
            outcomes["refused" if task == ABSENT else "falsely_refused"].append(answer == REFUSAL)
            if task == ABSENT:
                continue
            target, goal = (_mask(mask, int(o[annotation])) for o in (corpus.target, corpus.goal))
            marks = dict.fromkeys(("start", "end", "path"), False)
            if answer != REFUSAL:
                marks = grounding(parse(answer, "nano-tokens"), corpus.path(int(annotation)), target, goal, task)
            for name, right in marks.items():
                outcomes[name].append(right)
            outcomes[f"path/{task}"].append(marks["path"])
    scores = {name: float(np.mean(values)) for name, values in outcomes.items()}
    if model.height is not None and len(errors_m := _height_errors_m(model, corpus, chosen, device)):
        scores["height_error_m"] = float(np.median(errors_m))
    model.train()
    return scores


@torch.inference_mode()
def _height_errors_m(
    model: HamsterNanoForConditionalGeneration, corpus: Corpus, chosen: NDArray[np.int64], device: str
) -> NDArray[np.float32]:
    """Return the absolute errors (W,) of estimated heights along annotated paths."""
    rng, errors_m = np.random.default_rng(0), [np.zeros(0, np.float32)]
    possible = chosen[corpus.count[chosen] > 0]
    for start in range(0, len(possible), BATCH_SIZE):
        part = possible[start : start + BATCH_SIZE]
        image = np.searchsorted(corpus.first, part, side="right") - 1
        batch = assemble(corpus, image, part[:, None], np.zeros(len(part), np.bool_), NONE, rng, device)
        output = model.read_blocks(batch.pixel_values, batch.ids)
        errors_m.append(height_errors_m(model, output, batch).abs().cpu().numpy())
    return np.concatenate(errors_m)


def _mask(mask: NDArray[np.uint8], which: int) -> NDArray[np.bool_] | None:
    return None if which < 0 else mask == which


@torch.inference_mode()
def _answers(
    model: HamsterNanoForConditionalGeneration,
    corpus: Corpus,
    part: NDArray[np.int64],
    rgb: NDArray[np.uint8],
    device: str,
) -> list[str]:
    longest = int(corpus.length[part].max())
    prompts = [[tokens.PAD] * (longest - n) + [tokens.IMAGE] * tokens.GRID**2 + row[:n].tolist() for row, n in
            zip(corpus.ids[part], corpus.length[part], strict=True)]  # fmt: skip
    ids = torch.tensor(prompts, device=device)
    pixels = torch.from_numpy(rgb).to(device).permute(0, 3, 1, 2).float() / 127.5 - 1
    generated = model.generate(
        input_ids=ids, attention_mask=(ids != tokens.PAD).long(), pixel_values=pixels, do_sample=False,
        max_new_tokens=tokens.MAX_ANSWER, logits_processor=[AnswerGrammar(ids.shape[1])],
    )  # fmt: skip
    names = tokens.special_tokens()
    return [
        "".join(names[t] for t in row[: row.index(tokens.END) + 1]) for row in generated[:, ids.shape[1] :].tolist()
    ]
