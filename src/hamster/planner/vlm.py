"""A planner over any vision-language model: prompts in, sampled answers out, and the paths they agree on."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hamster.dialects import DIALECTS, Size, grammar, hamster, parse, refusal
from hamster.dialects.regex import quoted
from hamster.path import NotInViewError, Path2D, PlanError
from hamster.planner.backend import Backend, Completion, GenerationRequest, SamplingParams, TokenCallback, for_subset
from hamster.planner.base import Plan, validate_image, validate_instruction
from hamster.planner.calibration import Calibration
from hamster.planner.error import PlannerConfigurationError
from hamster.planner.families import unscaled
from hamster.planner.prompts import PromptConfig
from hamster.planner.self_consistency import likelihood, probability_of_log, rank_by_agreement

UV = tuple[float, float]
REFUSAL_TOKENS = 32


@dataclass(frozen=True)
class PreparedRequest:
    """A request, the size of its image as the model sees it, and the grammar of its answer ("" for none).

    Pixels only matter where the dialect counts them.
    """

    request: GenerationRequest
    size: Size
    grammar: str


@dataclass(frozen=True)
class Answers:
    """The sampled completions of one request, and the probability that nothing is in view where it is known."""

    completions: list[Completion]
    p_not_in_view: float | None


@dataclass(frozen=True)
class VlmPlanner:
    """Draws paths with a vision-language model.

    Attributes:
        backend: runs the model.
        prompt_config: the prompt, and the dialect of the answers.
        samples: completions of each prompt; if more than one, they are drawn at `temperature` and grouped by agreement.
        max_new_tokens: after which an answer is cut off.
        constrained: whether only well-formed answers can be given, where the backend can do that.
        seed: of the samples.
        image_scaling: from an image's size to its size as the model sees it.
        calibration: of the scores, and the threshold above which the planner refuses.
        may_refuse: whether the planner may answer that nothing is in view. False holds for every model: it is not asked
            for refusals, one that decides by itself, as the bundled one, is kept from them, and one that refuses all
            the same has given no path.
    """

    backend: Backend
    prompt_config: PromptConfig
    samples: int = 1
    temperature: float = 0.7
    max_new_tokens: int = 256
    constrained: bool = True
    seed: int | None = 0
    image_scaling: Callable[[Size], Size] = unscaled
    calibration: Calibration = field(default_factory=Calibration)
    may_refuse: bool = True

    @property
    def dialect(self) -> str:
        """The dialect of the answers."""
        return self.prompt_config.dialect

    @property
    def _abstains(self) -> bool:
        """Whether the model is offered a refusal as an answer."""
        return self.may_refuse and self.prompt_config.abstains

    def without_refusals(self) -> VlmPlanner:
        """Return the same planner, which always draws a path and never answers that nothing is in view."""
        return replace(self, prompt_config=self.prompt_config.with_abstention(False), may_refuse=False)

    def plan(self, image: NDArray[np.uint8] | Image.Image, instruction: str, *, gripper_uv: UV | None = None) -> Plan:
        """Draw the path of an instruction.

        Args:
            image: (H, W, 3) uint8 RGB, or a PIL image.
            instruction: what the robot should do.
            gripper_uv: where the gripper is on the image, relative, if the prompt shall say it.

        Raises:
            NotInViewError: if the model answers that what the instruction names is not in the image.
            PlanError: if there is no path in the answer.
            PlannerUnavailableError: if the model cannot be reached now.
            PlannerConfigurationError: if it will never answer requests of this kind.
        """
        plan = self.plan_many([image], [instruction], [gripper_uv])[0]
        if isinstance(plan, PlanError):
            raise plan
        return plan

    def plan_many(
        self,
        images: Sequence[NDArray[np.uint8] | Image.Image],
        instructions: Sequence[str],
        gripper_uv: Sequence[UV | None] | None = None,
        on_token: TokenCallback | None = None,
    ) -> list[Plan | PlanError]:
        """Draw the paths of many instructions, in batches.

        Args:
            images: each (H, W, 3) uint8 RGB, or a PIL image.
            instructions: one for each image.
            gripper_uv: for each where the gripper is on its image, relative, or None.
            on_token: see `Backend.generate`.

        Returns:
            In order, the plan, or the error that says why there is none.

        Raises:
            PlannerUnavailableError, PlannerConfigurationError: as `plan`.
        """
        start = time.perf_counter()
        grippers = gripper_uv or [None] * len(images)
        prepared = [self._prepare(*inputs) for inputs in zip(images, instructions, grippers, strict=True)]
        prepare_s = time.perf_counter() - start
        answers = self._generate(prepared, on_token)
        timings = {"prepare_s": prepare_s, "generate_s": time.perf_counter() - start - prepare_s}
        return [
            self._plan(request, answers[i], timings) if isinstance(request, PreparedRequest) else request
            for i, request in enumerate(prepared)
        ]

    def _prepare(
        self, image: NDArray[np.uint8] | Image.Image, instruction: str, gripper_uv: UV | None
    ) -> PreparedRequest | PlanError:
        try:
            instruction, pixels = validate_instruction(instruction), validate_image(image)
            if gripper_uv is not None and not all(0 <= value <= 1 for value in gripper_uv):
                raise PlanError(f"the gripper's place {gripper_uv} is not on the image: two numbers from 0 to 1")
            size = self.image_scaling((pixels.shape[1], pixels.shape[0]))
            text = self.prompt_config.format_prompt(instruction, gripper_uv, size)
            pattern = grammar(self.dialect, size) if self.constrained else ""
            return PreparedRequest(GenerationRequest(pixels, text), size, pattern)
        except PlanError as error:
            return error
        except PlannerConfigurationError:
            raise
        except ValueError as error:  # the image's shape is one that the model cannot take
            return PlanError(str(error))

    def _generate(
        self, prepared: Sequence[PreparedRequest | PlanError], on_token: TokenCallback | None
    ) -> dict[int, Answers]:
        """Return the answers by index of the request; those of one grammar are generated together."""
        valid = {i: request for i, request in enumerate(prepared) if isinstance(request, PreparedRequest)}
        answers: dict[int, Answers] = {}
        for pattern in dict.fromkeys(request.grammar for request in valid.values()):
            indices = [i for i, request in valid.items() if request.grammar == pattern]
            requests, callback = [valid[i].request for i in indices], for_subset(on_token, indices)
            p_not_in_view = self.p_not_in_view(requests, callback)
            allowed = pattern
            if self._abstains and pattern and None in p_not_in_view:
                allowed = f"(?:{pattern}|{quoted(refusal(self.dialect))})"
            completions = self.backend.generate(requests, self._sampling(allowed), callback)
            answers.update(zip(indices, map(Answers, completions, p_not_in_view), strict=True))
        return answers

    def p_not_in_view(
        self, requests: Sequence[GenerationRequest], on_token: TokenCallback | None = None
    ) -> list[float | None]:
        """Return the probability of a refusal, from its own tokens; None where model or backend cannot tell."""
        if not (self._abstains and self.constrained):
            return [None] * len(requests)
        text = refusal(self.dialect)
        sampling = SamplingParams(REFUSAL_TOKENS, grammar=quoted(text))
        return [
            probability_of_log(sum(refused.log_probs)) if refused.log_probs and refused.text.strip() == text else None
            for (refused,) in self.backend.generate(requests, sampling, on_token)
        ]

    def _sampling(self, pattern: str) -> SamplingParams:
        greedy = SamplingParams(
            self.max_new_tokens, grammar=pattern, closing=DIALECTS[self.dialect].closing, may_refuse=self.may_refuse
        )
        if self.samples == 1:
            return greedy
        return replace(greedy, temperature=self.temperature, n=self.samples, seed=self.seed)

    def _plan(self, prepared: PreparedRequest, answers: Answers, timings: dict[str, float]) -> Plan | PlanError:
        completions = answers.completions
        parsed = [self._parse(completion, prepared.size) for completion in completions]
        p_not_in_view = answers.p_not_in_view
        if p_not_in_view is None:
            p_not_in_view = sum(isinstance(path, NotInViewError) for path in parsed) / len(parsed)
        if self.may_refuse and p_not_in_view > self.calibration.refuse_above:
            refusals = [error.raw_text for error in parsed if isinstance(error, NotInViewError)]
            return _not_in_view([*refusals, completions[0].text][0])
        candidates = [
            (path, completion) for path, completion in zip(parsed, completions, strict=True) if isinstance(path, Path2D)
        ]
        if not candidates:
            error = next(error for error in parsed if isinstance(error, PlanError))
            return error if self.may_refuse else _without_refusal(error)
        try:
            groups = rank_by_agreement(
                [path for path, _ in candidates],
                [likelihood(completion) for _, completion in candidates],
                len(completions),
            )
        except PlanError as error:  # probabilities that are no numbers, from a server say
            return error
        paths = [replace(candidates[i][0], score=self.calibration.apply(raw_score)) for i, raw_score in groups]
        return Plan(paths, candidates[groups[0][0]][1].text, timings)

    def _parse(self, completion: Completion, size: Size) -> Path2D | PlanError:
        text = completion.text
        try:
            path = parse(hamster.restored(text) if self.dialect == "hamster" else text, self.dialect, size)
        except PlanError as error:
            return error
        return replace(path, height_m=np.array(completion.height_m)) if len(completion.height_m) == len(path) else path


def _not_in_view(text: str) -> NotInViewError:
    return NotInViewError("the model thinks it likely that what the instruction speaks of is not in view", text)


def _without_refusal(error: PlanError) -> PlanError:
    """Return an error as it is, but for a refusal of a model that was not to refuse."""
    if not isinstance(error, NotInViewError):
        return error
    return PlanError("the model answers that nothing is in view although refusals are switched off", error.raw_text)
