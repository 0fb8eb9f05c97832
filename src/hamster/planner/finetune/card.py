"""The model card (README.md) of a fine-tuned model: its data and their licences, training and metrics."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hamster.cards import header, table
from hamster.label.dataset import read_manifest
from hamster.planner.finetune.prepare import Prepared
from hamster.provenance import run_info

_USE = """```python
from hamster.planner import load_planner

plan = load_planner("THIS FOLDER").plan(image, "put the red cube on the plate")
plan.path  # relative to the image
```"""


def card(run: Prepared, model: Any, metrics: dict[str, float]) -> str:
    """Return Markdown, with the metadata header that model hubs read.

    Args:
        run: that was trained.
        model: the exported one.
        metrics: on held-out samples.
    """
    info = run_info(run.config.seed)
    head = {"base_model": run.name, "library_name": "transformers", "pipeline_tag": "image-text-to-text"}
    versions = ", ".join(f"{name} {version}" for name, version in info["versions"].items())
    measured = [(name, f"{value:.4g}") for name, value in metrics.items()]
    parts = [
        header(head),
        f"# A planner of HAMSTER, from {run.name}",
        "Draws a 2D path on an image for an instruction. Fine-tuned with `hamster train planner`.",
        _USE,
        f"It answers in the dialect `{run.prompt_config.dialect}` (hamster.json), "
        + (
            "and says so when what is asked for is not in view."
            if run.prompt_config.abstains
            else "always with a path."
        ),
        "## Data\n\n" + _data(run),
        "## Training\n\n" + _training(run, model),
        "## Metrics on held-out samples\n\n" + table(("metric", "value"), measured),
        "Distances are relative to the image's sides; medians over paths that could be read, `event_f1` a mean.",
        f"## Provenance\n\n- command: `{info['command']}`\n- commit: {info['git_commit']}\n- seed: {info['seed']}\n"
        f"- {versions}\n- {info['hardware']['cpu']}, GPU: {info['hardware'].get('gpu', 'none')}; {info['started']}",
        "## Licence\n\nThe weights are bound by the licence of the base model, and by those of the data above.",
    ]
    return "\n\n".join(parts) + "\n"


def _data(run: Prepared) -> str:
    rows = []
    for number, part in enumerate(run.samples.parts):
        manifest, size = read_manifest(part.folder), str(run.samples.sizes[number])
        sources, licences = ", ".join(manifest.get("sources", [])), _counted(run.samples.licences(number))
        digest = str(manifest.get("digest", ""))[:12]
        rows.append((part.folder.name, f"{part.weight:g}", size, sources, licences, digest))
    counts = Counter(run.samples.set_of[run.train_samples].tolist())
    shares = ", ".join(
        f"{run.samples.parts[n].folder.name} {k / len(run.train_samples):.1%}" for n, k in counts.items()
    )
    left_out = "; ".join(f"{count} {reason}" for reason, count in run.fit.left_out.items()) or "none"
    listed = table(("label set", "weight", "samples", "sources", "licences", "digest"), rows)
    return (
        f"{listed}\n\nMixture as trained: {shares}. Left out: {left_out}; items without an image or a path that the "
        f"dialect can express: {run.samples.left_out}."
    )


def _training(run: Prepared, model: Any) -> str:
    config = run.config
    passes = run.steps * config.batch_size / max(1, run.epoch)
    shown = ("method", "train_vision", "learning_rate", "batch_size", "seed")
    settings = ", ".join(f"{name} {getattr(config, name)}" for name in shown)
    return (
        f"{run.steps} steps of {config.batch_size} samples, {passes:.2f} passes over the mixture; {settings}; "
        f"{model.num_parameters():,} parameters, stored as {str(model.dtype).removeprefix('torch.')}."
    )


def _counted(licences: Counter[str]) -> str:
    return ", ".join(f"{name or 'not stated'} ({count})" for name, count in licences.most_common(5))
