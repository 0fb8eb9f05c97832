"""A planner in this process: any image-text-to-text checkpoint of transformers."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from pathlib import Path as File
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoProcessor

import hamster.nano  # noqa: F401  # makes the Auto classes know the bundled planner
from hamster.path import Path, PlanError
from hamster.path.dialects import parse
from hamster.planner.families import Family, family_of
from hamster.planner.planner import Plan, checked_image, checked_instruction
from hamster.planner.quiet import quiet


class LocalPlanner:
    """Runs a checkpoint on this machine; prompt, dialect and constraints follow from its model type."""

    def __init__(self, checkpoint: File | str, device: str | None = None, family: Family | None = None) -> None:
        """Load `checkpoint` from disk only, onto `device` (a GPU where there is one)."""
        self.device = device or ("cuda" if torch.cuda.is_available() else "cpu")
        with quiet():
            self.processor: Any = AutoProcessor.from_pretrained(checkpoint, local_files_only=True)
            model: Any = AutoModelForImageTextToText.from_pretrained(checkpoint, local_files_only=True)
        self.model: Any = model.eval().to(self.device)
        self.family = family or family_of(model.config.model_type)
        marks = self.processor.tokenizer.get_added_vocab()
        self._marks = re.compile("|".join(re.escape(mark) for mark in marks)) if marks else None

    def plan(self, image: NDArray[np.uint8] | Image.Image, instruction: str) -> Plan:
        """See `Planner.plan`."""
        began = time.perf_counter()
        text = self.family.prompt.format(instruction=self._harmless(checked_instruction(instruction)))
        inputs = self._inputs(Image.fromarray(checked_image(image)), text)
        ready = time.perf_counter()
        raw_text, score = self._answer(inputs)
        done = time.perf_counter()
        path: Path = parse(raw_text, self.family.dialect)
        return Plan((replace(path, score=score),), raw_text, {"prepare_s": ready - began, "generate_s": done - ready})

    def _harmless(self, instruction: str) -> str:
        """What looks like one of the model's own marks is only text in an instruction."""
        return instruction if self._marks is None else self._marks.sub(lambda mark: " ".join(mark.group()), instruction)

    def _inputs(self, image: Image.Image, text: str) -> Any:
        content = [{"type": "image", "image": image}, {"type": "text", "text": text}]
        inputs = self.processor.apply_chat_template(
            [{"role": "user", "content": content}],
            add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
        )  # fmt: skip
        room = getattr(self.model.config, "max_prompt_tokens", None)
        if room is not None and inputs["input_ids"].shape[1] > room:
            raise PlanError("the instruction has too many words for this planner; say it shorter")
        return inputs.to(self.device)

    @torch.inference_mode()
    def _answer(self, inputs: Any) -> tuple[str, float]:
        """The model's text and the mean probability of its tokens."""
        length = inputs["input_ids"].shape[1]
        out = self.model.generate(
            **inputs, do_sample=False, max_new_tokens=self.family.max_new_tokens,
            logits_processor=self.family.constraints(length), return_dict_in_generate=True, output_scores=True,
        )  # fmt: skip
        said = out.sequences[:, length:]
        log_p = self.model.compute_transition_scores(out.sequences, out.scores, normalize_logits=True)
        text: str = self.processor.tokenizer.decode(said[0], skip_special_tokens=self.family.dialect != "nano")
        return text, float(log_p[0].exp().mean().clamp(0, 1))
