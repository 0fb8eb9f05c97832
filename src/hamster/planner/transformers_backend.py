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
import torch.nn.functional as F
from PIL import Image
from torch import Tensor
from transformers import GenerationConfig, LogitsProcessor

from hamster.dialects import close_truncated
from hamster.path import PlanError
from hamster.planner.backend import Completion, GenerationRequest, SamplingParams, TokenCallback, for_subset
from hamster.planner.detokenize import token_strings
from hamster.planner.families import family_of, without_center_crop
from hamster.planner.load_model import load_model
from hamster.planner.token_callback import CallbackStoppingCriteria

if TYPE_CHECKING:
    from hamster.planner.constrained_decoding import GrammarVocabulary

NEVER = 1.0  # no probability is above


class TransformersBackend:
    """Generates with a checkpoint on this machine."""

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
        self.refuse_above = refuse_above
        self.model_type = str(model.config.model_type)
        self.family = family_of(self.model_type)
        special_tokens = sorted(processor.tokenizer.get_added_vocab(), key=len, reverse=True)
        self._special_tokens = re.compile("|".join(map(re.escape, special_tokens))) if special_tokens else None

    @classmethod
    def load(
        cls, name: Path | str, device: str | None = None, dtype: str = "auto", refuse_above: float = 0.5
    ) -> TransformersBackend:
        """Load a checkpoint from a folder or the hub; arguments and ValueError as `load_model`."""
        return cls(*load_model(name, device, dtype), name=str(name), refuse_above=refuse_above)

    def with_refuse_above(self, refuse_above: float) -> TransformersBackend:
        """Return a backend over the same model with another threshold."""
        return TransformersBackend(self.model, self.processor, self.name, self.batch, refuse_above)

    def generate(
        self, requests: Sequence[GenerationRequest], sampling: SamplingParams, on_token: TokenCallback | None = None
    ) -> list[list[Completion]]:
        """See `Backend.generate`. Log-probabilities are the model's own, before grammar and temperature."""
        completions: dict[int, list[Completion]] = {}
        with _seeded(sampling.seed):
            for batch in self._batches(requests, sampling.n):
                generated = self._generate([requests[i] for i in batch], sampling, for_subset(on_token, batch))
                completions.update(zip(batch, generated, strict=True))
        return [completions[i] for i in range(len(requests))]

    def inputs(self, requests: Sequence[GenerationRequest]) -> Any:
        """Return the model's input tensors, padded on the left; either all requests have an image, or none has."""
        conversations = [[{"role": "user", "content": self._content(request)}] for request in requests]
        return self.processor.apply_chat_template(
            conversations, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
            processor_kwargs={"padding": True},
        )  # fmt: skip

    def _batches(self, requests: Sequence[GenerationRequest], n: int) -> Iterator[list[int]]:
        """Yield indices of requests: batches that fit in memory, each either all with or all without image."""
        for has_image in (True, False):
            group = [i for i, request in enumerate(requests) if (request.image is not None) is has_image]
            step = max(1, self.batch // n)
            yield from (group[i : i + step] for i in range(0, len(group), step))

    def _content(self, request: GenerationRequest) -> list[dict[str, Any]]:
        text = {"type": "text", "text": self._without_special_tokens(request.text)}
        if request.image is None:
            return [text]
        image = without_center_crop(Image.fromarray(request.image), self.processor)
        return [{"type": "image", "image": image}, text]

    def _without_special_tokens(self, text: str) -> str:
        """Spell out what looks like one of the model's special tokens: in a prompt it is only text."""
        return text if self._special_tokens is None else self._special_tokens.sub(lambda m: " ".join(m.group()), text)

    @torch.inference_mode()
    def _generate(
        self, requests: Sequence[GenerationRequest], sampling: SamplingParams, on_token: TokenCallback | None
    ) -> list[list[Completion]]:
        inputs = self.inputs(requests)
        inputs.pop("labels", None)  # PaliGemma's processor is made for training
        length = inputs["input_ids"].shape[1]
        self._check_length(length, sampling.max_new_tokens)
        stopping = []
        if on_token is not None:
            request_of_row = [i for i in range(len(requests)) for _ in range(sampling.n)]
            stopping = [CallbackStoppingCriteria(on_token, request_of_row, length, self._decode)]
        output = self.model.generate(
            **inputs.to(self.model.device),
            generation_config=self._generation_config(sampling),
            logits_processor=[FiniteLogitsCheck(), *self._logits_processors(sampling, length)],
            stopping_criteria=stopping,
        )
        heights_m = self._waypoint_heights(inputs, output.sequences, sampling.n)
        prompt_tokens = inputs["attention_mask"].sum(1).repeat_interleave(sampling.n).tolist()
        completions = [
            replace(
                self._completion(
                    output.sequences[row, length:], [step[row] for step in output.logits], prompt_tokens[row], sampling
                ),
                height_m=heights_m[row],
            )
            for row in range(len(output.sequences))
        ]
        return [completions[i : i + sampling.n] for i in range(0, len(completions), sampling.n)]

    def _waypoint_heights(self, inputs: Any, sequences: Tensor, n: int) -> list[tuple[float, ...]]:
        """Return the heights of the waypoints of n answers to each request; () where the model has none."""
        if self.family.waypoint_heights is None or "pixel_values" not in inputs:
            return [()] * len(sequences)
        mask = F.pad(inputs["attention_mask"], (0, sequences.shape[1] - inputs["attention_mask"].shape[1]), value=1)
        repeated = [tensor.repeat_interleave(n, 0).to(self.model.device) for tensor in (mask, inputs["pixel_values"])]
        return [tuple(height_m.tolist()) for height_m in self.family.waypoint_heights(self.model, sequences, *repeated)]

    def _completion(
        self, generated: Tensor, logits: list[Tensor], prompt_tokens: int, sampling: SamplingParams
    ) -> Completion:
        """Read one row of generated ids (T,), up to its end, and the logits (V,) of each step."""
        ids = generated.tolist()
        stop = next((i for i, token in enumerate(ids) if token in self.ends), None)
        count = len(ids) if stop is None else stop + 1
        logits_used = torch.stack(logits[:count])
        log_probs = logits_used.float().log_softmax(-1).gather(1, generated[:count, None])[:, 0]
        confidence = None if self.family.confidence is None else self.family.confidence(ids[:count], logits_used)
        text = self._decode(ids[:count] if stop is None or self.family.ends_in_text else ids[:stop])
        strings = self._token_strings(ids[:count], stop is not None) if sampling.return_token_strings else ()
        completion = Completion(text, tuple(log_probs.tolist()), "stop", prompt_tokens, count, confidence, strings)
        return completion if stop is not None else _cut_off(completion, sampling)

    def _decode(self, ids: list[int]) -> str:
        return str(self.processor.tokenizer.decode(ids, skip_special_tokens=not self.family.ends_in_text))

    def _token_strings(self, ids: list[int], is_ended: bool) -> tuple[str, ...]:
        """Return each token's text; of the token that ended the answer its name."""
        end = self.processor.tokenizer.convert_ids_to_tokens(ids[-1:]) if is_ended else []
        return (*token_strings(ids[: len(ids) - len(end)], self._decode), *end)

    def _check_length(self, length: int, max_new_tokens: int) -> None:
        config = self.model.config
        text_config = config.get_text_config()
        longest = getattr(config, "max_prompt_tokens", None) or (
            getattr(text_config, "max_position_embeddings", 1 << 30) - max_new_tokens
        )
        if length > longest:
            raise PlanError(
                f"the question is too long for this model: with its image it has {length} tokens, {longest} are "
                "allowed; say it shorter"
            )

    def _generation_config(self, sampling: SamplingParams) -> GenerationConfig:
        # Stated in full: generate() would fill in the defaults of the checkpoint's own generation_config.json.
        how: dict[str, Any] = {"do_sample": False}
        if sampling.temperature > 0:
            how = {"do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        return GenerationConfig(
            max_new_tokens=sampling.max_new_tokens, num_return_sequences=sampling.n, **how,
            repetition_penalty=1.0, no_repeat_ngram_size=0,
            eos_token_id=self.ends, pad_token_id=self._padding, bos_token_id=self.processor.tokenizer.bos_token_id,
            return_dict_in_generate=True, output_logits=True,
        )  # fmt: skip

    def _logits_processors(self, sampling: SamplingParams, length: int) -> list[Any]:
        if self.family.logits_processors is not None:
            return self.family.logits_processors(length, self.refuse_above if sampling.may_refuse else NEVER)
        if not sampling.grammar:
            return []
        from hamster.planner.constrained_decoding import GrammarLogitsProcessor

        return [GrammarLogitsProcessor(self._vocabulary, sampling.grammar, length)]

    @cached_property
    def ends(self) -> list[int]:
        """The tokens that end a completion."""
        ids = self.model.generation_config.eos_token_id
        ids = self.processor.tokenizer.eos_token_id if ids is None else ids
        return [ids] if isinstance(ids, int) else list(ids)

    @property
    def _padding(self) -> int:
        ids = self.processor.tokenizer.pad_token_id
        return self.ends[0] if ids is None else int(ids)

    @cached_property
    def _vocabulary(self) -> GrammarVocabulary:
        from hamster.planner.constrained_decoding import GrammarVocabulary

        return GrammarVocabulary(
            self.processor.tokenizer, self.model.get_output_embeddings().weight.shape[0], self.ends
        )


class FiniteLogitsCheck(LogitsProcessor):  # type: ignore[misc]  # transformers is untyped
    """Checks the logits of every token before any is masked or sampled: argmax of NaN would be a token, too."""

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the scores (B, V) as they are.

        Raises:
            PlanError: if a row of them holds NaN or plus infinity, or allows no token at all.
        """
        if not torch.isfinite(scores.amax(-1)).all():
            raise PlanError(
                "the model's logits are no numbers: its weights are at fault, or numbers that its dtype cannot hold; "
                "try dtype float32, or another checkpoint"
            )
        return scores


def _cut_off(completion: Completion, sampling: SamplingParams) -> Completion:
    """Return a completion that ran out of tokens, ended after its last whole waypoint if the grammar says how."""
    if sampling.grammar and sampling.closing:
        text = close_truncated(completion.text, sampling.grammar, sampling.closing) or completion.text
        completion = replace(completion, text=text)
    return replace(completion, finish_reason="length")


@contextlib.contextmanager
def _seeded(seed: int | None) -> Iterator[None]:
    """Seed torch's random numbers in this block, and restore their state after it."""
    if seed is None:
        yield
        return
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(seed)
        yield
