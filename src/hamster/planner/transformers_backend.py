"""A vision-language model in this process, by transformers."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from PIL import Image
from torch import Tensor
from transformers import GenerationConfig

from hamster.dialects import closed
from hamster.path import PlanError
from hamster.planner.backend import Answer, Question, Sampling
from hamster.planner.detokenize import pieces_of
from hamster.planner.families import family_of, prepared
from hamster.planner.load_model import load_model
from hamster.planner.sound import SoundLogits
from hamster.planner.token_callback import watcher
from hamster.planner.watched import Watched

if TYPE_CHECKING:
    from hamster.planner.constraint import Vocabulary

NEVER = 1.0  # no probability is above


class TransformersBackend:
    """Asks a checkpoint on this machine."""

    def __init__(self, model: Any, processor: Any, name: str = "", batch: int = 16, refuse_above: float = 0.5) -> None:
        """Take what `load_model` returns.

        Args:
            model, processor: of transformers.
            name: what a user calls the model.
            batch: sequences in memory at once, at most.
            refuse_above: the probability of "not in view" above which that is the answer, for families with logits
                processors of their own; the answers of others are judged by the planner.
        """
        self.model = model
        self.processor = processor
        self.name = name
        self.batch = batch
        self.model_type = str(model.config.model_type)
        self.family = family_of(self.model_type)
        self.refuse_above = refuse_above
        marks = processor.tokenizer.get_added_vocab()
        self._marks = re.compile("|".join(map(re.escape, sorted(marks, key=len, reverse=True)))) if marks else None

    @classmethod
    def load(
        cls, name: Path | str, device: str | None = None, dtype: str = "auto", refuse_above: float = 0.5
    ) -> TransformersBackend:
        """A checkpoint from a folder or the hub; ValueError as `load_model`."""
        return cls(*load_model(name, device, dtype), name=str(name), refuse_above=refuse_above)

    def with_refuse_above(self, refuse_above: float) -> TransformersBackend:
        """Return a backend over the same model with another threshold."""
        return TransformersBackend(self.model, self.processor, self.name, self.batch, refuse_above)

    def answer(self, questions: Sequence[Question], sampling: Sampling) -> list[list[Answer]]:
        """See `Backend.answer`. Log-probabilities are the model's own, whatever grammar and temperature did to them."""
        found: dict[int, list[Answer]] = {}
        with _seeded(sampling.seed):
            for part in self._batches(questions, sampling.n):
                answers = self._answer([questions[i] for i in part], sampling, part)
                found.update(zip(part, answers, strict=True))
        return [found[i] for i in range(len(questions))]

    def inputs(self, questions: Sequence[Question]) -> Any:
        """What the model is given: tensors padded on the left; either all questions have an image, or none has."""
        talks = [[{"role": "user", "content": self._content(question)}] for question in questions]
        return self.processor.apply_chat_template(
            talks, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
            processor_kwargs={"padding": True},
        )  # fmt: skip

    def _batches(self, questions: Sequence[Question], n: int) -> Iterator[list[int]]:
        """Questions by number: few enough, and with or without image."""
        for seen in (True, False):
            group = [i for i, question in enumerate(questions) if (question.image is not None) is seen]
            step = max(1, self.batch // n)
            yield from (group[i : i + step] for i in range(0, len(group), step))

    def _content(self, question: Question) -> list[dict[str, Any]]:
        text = {"type": "text", "text": self._harmless(question.text)}
        if question.image is None:
            return [text]
        image = prepared(Image.fromarray(question.image), self.processor)
        return [{"type": "image", "image": image}, text]

    def _harmless(self, text: str) -> str:
        """What looks like one of the model's own marks is only text in a question."""
        return text if self._marks is None else self._marks.sub(lambda mark: " ".join(mark.group()), text)

    @torch.inference_mode()
    def _answer(self, questions: Sequence[Question], sampling: Sampling, numbers: Sequence[int]) -> list[list[Answer]]:
        inputs = self.inputs(questions)
        inputs.pop("labels", None)  # PaliGemma's processor is made for training
        length = inputs["input_ids"].shape[1]
        self._check_room(length, sampling.max_new_tokens)
        # Said in full: generate() would fill in the checkpoint's own taste.
        out = self.model.generate(
            **inputs.to(self.model.device),
            generation_config=self._generation(sampling),
            logits_processor=[SoundLogits(), *self._constraints(sampling, length)],
            stopping_criteria=self._watched([number for number in numbers for _ in range(sampling.n)], length),
        )
        prompt_tokens = inputs["attention_mask"].sum(1).repeat_interleave(sampling.n).tolist()
        flat = [
            self._read(out.sequences[row, length:], [step[row] for step in out.logits], prompt_tokens[row], sampling)
            for row in range(len(out.sequences))
        ]
        return [flat[i : i + sampling.n] for i in range(0, len(flat), sampling.n)]

    def _read(self, said: Tensor, logits: list[Tensor], prompt_tokens: int, sampling: Sampling) -> Answer:
        """One answer: its tokens up to the end."""
        ids = said.tolist()
        stop = next((i for i, token in enumerate(ids) if token in self.ends), None)
        count = len(ids) if stop is None else stop + 1
        taken = torch.stack(logits[:count])
        chosen = taken.float().log_softmax(-1).gather(1, said[:count, None])[:, 0]
        certainty = None if self.family.certainty is None else self.family.certainty(ids[:count], taken)
        text = self._text(ids[:count] if stop is None or self.family.ends_in_text else ids[:stop])
        pieces = self._pieces(ids[:count], stop is not None) if sampling.pieces else ()
        answer = Answer(text, tuple(chosen.tolist()), "stop", prompt_tokens, count, certainty, pieces)
        return answer if stop is not None else _cut_off(answer, sampling)

    def _text(self, ids: list[int]) -> str:
        return str(self.processor.tokenizer.decode(ids, skip_special_tokens=not self.family.ends_in_text))

    def _pieces(self, ids: list[int], is_ended: bool) -> tuple[str, ...]:
        """What each token says; the last one's name where it ended the answer."""
        end = self.processor.tokenizer.convert_ids_to_tokens(ids[-1:]) if is_ended else []
        return (*pieces_of(ids[: len(ids) - len(end)], self._text), *end)

    def _check_room(self, length: int, new: int) -> None:
        config = self.model.config
        text = config.get_text_config()
        room = getattr(config, "max_prompt_tokens", None) or (getattr(text, "max_position_embeddings", 1 << 30) - new)
        if length > room:
            raise PlanError(
                f"the question is too long for this model: with its image it has {length} tokens, {room} are allowed; "
                "say it shorter"
            )

    def _generation(self, sampling: Sampling) -> GenerationConfig:
        drawn: dict[str, Any] = {"do_sample": False}
        if sampling.temperature > 0:
            drawn = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        return GenerationConfig(
            max_new_tokens=sampling.max_new_tokens, num_return_sequences=sampling.n, **drawn,
            repetition_penalty=1.0, no_repeat_ngram_size=0,
            eos_token_id=self.ends, pad_token_id=self._padding, bos_token_id=self.processor.tokenizer.bos_token_id,
            return_dict_in_generate=True, output_logits=True,
        )  # fmt: skip

    def _watched(self, owners: Sequence[int], length: int) -> list[Any]:
        look = watcher()
        return [] if look is None else [Watched(look, owners, length, self._text)]

    def _constraints(self, sampling: Sampling, length: int) -> list[Any]:
        if self.family.constraints is not None:
            return self.family.constraints(length, self.refuse_above if sampling.may_refuse else NEVER)
        if not sampling.grammar:
            return []
        from hamster.planner.constraint import Constraint

        return [Constraint(self._vocabulary, sampling.grammar, length)]

    @cached_property
    def ends(self) -> list[int]:
        """The tokens after which there is nothing more."""
        ids = self.model.generation_config.eos_token_id
        ids = self.processor.tokenizer.eos_token_id if ids is None else ids
        return [ids] if isinstance(ids, int) else list(ids)

    @property
    def _padding(self) -> int:
        ids = self.processor.tokenizer.pad_token_id
        return self.ends[0] if ids is None else int(ids)

    @cached_property
    def _vocabulary(self) -> Vocabulary:
        from hamster.planner.constraint import Vocabulary

        return Vocabulary(self.processor.tokenizer, self.model.get_output_embeddings().weight.shape[0], self.ends)


def _cut_off(answer: Answer, sampling: Sampling) -> Answer:
    """An answer that ran out of tokens: ended after its last whole waypoint where the grammar says how."""
    if sampling.grammar and sampling.closing:
        text = closed(answer.text, sampling.grammar, sampling.closing) or answer.text
        answer = replace(answer, text=text)
    return replace(answer, finish="length")


@contextlib.contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Random numbers from a seed, without touching anybody else's."""
    if seed is None:
        yield
        return
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
