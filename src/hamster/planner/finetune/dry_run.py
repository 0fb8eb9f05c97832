"""A dry run of a fine-tuning: its steps, tokens and memory, and three samples as the model will get them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from rich.console import Console
from rich.table import Table

from hamster.path.draw import draw
from hamster.planner.families import without_center_crop
from hamster.planner.finetune import model_loading
from hamster.planner.finetune.memory import Memory, estimate, shape_of
from hamster.planner.finetune.prepare import Prepared, accumulation_steps, prepare_run
from hamster.planner.finetune.presets import FinetuneConfig
from hamster.planner.load_model import load_processor
from hamster.planner.nano_training.pictures import WeightedDataset

EXAMPLES = 3


def show(
    name: str, config: FinetuneConfig, parts: Sequence[WeightedDataset], out: Path, dialect: str | None = None
) -> dict[str, Any]:
    """Print and return steps, tokens, memory and samples; write the samples' images into `out`/dry-run.

    No weights are read, and nothing is trained; the converted data stay in `out`/cache for the training.

    Args:
        name: of the model, a folder or hub id.
        config: of the run.
        parts: label sets with their weights.
        out: the run's folder.
        dialect: to train, None for the model's own.

    Raises:
        ValueError: as `run.fine_tune`, for all but what only training can find out.
    """
    model, processor = model_loading.load_without_weights(name, config), load_processor(name)
    run = prepare_run(name, model, processor, config, parts, out / "cache", dialect)
    tokens = run.fit.tokens[run.fit.fits]
    longest = int(tokens.max())
    memory = {
        processes: estimate(shape_of(model), config, longest, _image_tokens(run), processes) for processes in (1, 8)
    }
    report = {
        "model": name, "dialect": run.prompt_config.dialect, "steps": run.steps, "batch": config.batch_size,
        "accumulated": accumulation_steps(config, 1), "samples": len(tokens), "epoch": run.epoch,
        "left_out": {**run.fit.left_out, "no picture or path": run.samples.left_out},
        "tokens": {"min": int(tokens.min()), "median": float(np.median(tokens)), "max": longest},
        "image_tokens": _image_tokens(run), "memory_gib": memory[1].gib(), "memory_gib_fsdp8": memory[8].gib(),
        "examples": [
            _example(run, int(index), n, out / "dry-run") for n, index in enumerate(run.train_samples[:EXAMPLES])
        ],
    }  # fmt: skip
    _print(report, memory, Console())
    return report


def _image_tokens(run: Prepared) -> int:
    """Return the most tokens of an image among the first samples."""
    batches = [run.chat.prompts([run.samples.row(int(index))]) for index in run.train_samples[:8]]
    mark = _image_mark(run)
    return max(int((batch["input_ids"] == mark).sum()) for batch in batches)


def _image_mark(run: Prepared) -> int:
    processor = run.chat.processor
    image_token_id = getattr(processor, "image_token_id", None)
    token = getattr(processor, "image_token", "<image>")
    return int(image_token_id if image_token_id is not None else run.chat.tokenizer.convert_tokens_to_ids(str(token)))


def _example(run: Prepared, index: int, number: int, folder: Path) -> dict[str, str]:
    row, path = run.samples.row(index), run.samples.path(index)
    answers = "".join(text for text, learned in run.chat.answers(row) if learned)
    example = {"prompt": run.chat.prompt_text(row), "completion": answers, "picture": ""}
    if row["images"]:
        rgb = np.asarray(without_center_crop(row["images"][0], run.chat.processor))
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"sample-{number}.png"
        Image.fromarray(draw(rgb, path) if path else rgb).save(file)
        example["picture"] = str(file)
    return example


def _print(report: dict[str, Any], memory: dict[int, Memory], console: Console) -> None:
    tokens = report["tokens"]
    left = "; ".join(f"{count} {reason}" for reason, count in report["left_out"].items() if count) or "none"
    console.print(f"{report['model']} is trained to answer in the dialect {report['dialect']}")
    console.print(
        f"{report['steps']} steps of {report['batch']} samples ({report['accumulated']} accumulated on one device); "
        f"{report['samples']} samples, {report['epoch']} in an epoch; left out: {left}"
    )
    console.print(
        f"tokens per sample: {tokens['min']} / {tokens['median']:g} / {tokens['max']} (least, median, most), "
        f"of which an image takes up to {report['image_tokens']}"
    )
    table = Table("GiB on each device", *memory[1].gib(), title="Memory, by the formula in docs/finetuning.md")
    for processes, needed in memory.items():
        head = "one process, or DDP" if processes == 1 else f"FSDP, {processes} processes"
        table.add_row(head, *(f"{value:g}" for value in needed.gib().values()))
    console.print(table)
    for example in report["examples"]:
        console.rule(example["picture"] or "no picture", style="dim")
        console.print(example["prompt"], markup=False, highlight=False, style="dim")
        console.print(example["completion"], markup=False, highlight=False)
