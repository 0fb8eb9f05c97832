"""Export the finished model: adapters merged, in its original dtype, with processor, hamster.json and model card."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hamster.files import set_usual_mode
from hamster.planner.finetune.card import card
from hamster.planner.finetune.prepare import Prepared
from hamster.planner.load_model import load_model, no_progress_bars

MODEL, ADAPTER = "model", "adapter"


def export(trainer: Any, run: Prepared, out: Path, metrics: dict[str, float]) -> None:
    """Write `out`/model, which `load_planner` takes, and `out`/adapter; called in all processes at once.

    Args:
        trainer: that has trained.
        run: what was trained.
        out: the run's folder.
        metrics: for the model card.
    """
    state = trainer.accelerator.get_state_dict(trainer.model_wrapped)
    if not trainer.is_world_process_zero():
        return
    if run.config.method == "full":
        model, processor = load_model(run.name, "cpu")
        missing, unknown = model.load_state_dict(state, strict=False)
        if unknown or set(missing) - set(model.all_tied_weights_keys):  # tied weights may be there once
            raise RuntimeError(f"the trained weights are not those of {run.name}: {missing[:3]} {unknown[:3]}")
    else:
        adapted = trainer.accelerator.unwrap_model(trainer.model)
        with no_progress_bars():
            adapted.save_pretrained(out / ADAPTER, state_dict=state, save_embedding_layers=False)
        set_usual_mode(out / ADAPTER)
        model, processor = merged(run.name, out / ADAPTER)
    save(model, processor, run, out / MODEL)
    (out / MODEL / "README.md").write_text(card(run, model, metrics), encoding="utf-8")


def merged(name: str, adapter: Path) -> tuple[Any, Any]:
    """Return a model with adapters merged into its weights, and its processor, on the CPU; not quantised."""
    from peft import PeftModel

    model, processor = load_model(name, "cpu")
    return PeftModel.from_pretrained(model, adapter).merge_and_unload(safe_merge=True), processor


def save(model: Any, processor: Any, run: Prepared, folder: Path) -> None:
    """Write safetensors, processor and hamster.json.

    Args:
        model, processor: of transformers.
        run: with the prompt and dialect.
        folder: to write to.
    """
    with no_progress_bars():
        model.save_pretrained(folder)
    processor.save_pretrained(folder)
    run.prompt_config.save(folder)
    set_usual_mode(folder)
