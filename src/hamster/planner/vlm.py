"""A planner over any vision-language model: questions in, samples out, and what they agree on."""

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
from hamster.planner.backend import Answer, Backend, Question, Sampling
from hamster.planner.base import Plan, validate_image, validate_instruction
from hamster.planner.calibration import Calibration
from hamster.planner.error import PlannerConfigurationError
from hamster.planner.prompts import Speech
from hamster.planner.self_consistency import likelihood, probability_of_log, ranked
from hamster.planner.token_callback import numbered

Place = tuple[float, float]
REFUSAL_TOKENS = 32


@dataclass(frozen=True)
class Asked:
    """A question, and the size of its image as the model sees it; pixels only matter where the dialect counts them."""

    question: Question
    size: Size
    grammar: str


@dataclass(frozen=True)
class VlmPlanner:
    """Draws paths with a vision-language model.

    Attributes:
        backend: that answers.
        speech: in which words it is asked, and in which dialect it answers.
        samples: answers to each question; more than one are drawn at `temperature` and grouped by agreement.
        max_new_tokens: after which an answer is cut off.
        constrained: whether only well-formed answers can be given, where the backend can do that.
        seed: of the samples.
        seen: from an image's size to its size as the model sees it.
        calibration: what scores mean, and from when on the planner says that nothing is in view.
        may_refuse: whether a model that decides that by itself, as the bundled one, may say that nothing is in view.
    """

    backend: Backend
    speech: Speech
    samples: int = 1
    temperature: float = 0.7
    max_new_tokens: int = 256
    constrained: bool = True
    seed: int | None = 0
    seen: Callable[[Size], Size] = lambda size: size
    calibration: Calibration = field(default_factory=Calibration)
    may_refuse: bool = True

    @property
    def dialect(self) -> str:
        """In which the model answers."""
        return self.speech.dialect

    def always_drawing(self) -> VlmPlanner:
        """The same planner, which is never told, nor free, to say that nothing is in view."""
        return replace(self, speech=self.speech.abstaining(False), may_refuse=False)

    def plan(
        self, image: NDArray[np.uint8] | Image.Image, instruction: str, *, gripper_uv: Place | None = None
    ) -> Plan:
        """See `Planner.plan`; `gripper_uv` is where the gripper is on the image, relative, if the model shall know.

        Raises:
            NotInViewError: if the model says that what the instruction speaks of is not in the image.
            PlanError: if no path can be had.
            PlannerUnavailableError: if the model cannot be asked now, which says nothing about it.
            PlannerConfigurationError: if it will never answer as it is asked.
        """
        plan = self.plan_many([image], [instruction], [gripper_uv])[0]
        if isinstance(plan, PlanError):
            raise plan
        return plan

    def plan_many(
        self,
        images: Sequence[NDArray[np.uint8] | Image.Image],
        instructions: Sequence[str],
        gripper_uv: Sequence[Place | None] | None = None,
    ) -> list[Plan | PlanError]:
        """Plans for many images at once, in order; where there is none, the error that says why.

        Raises as `plan` does where the model cannot be asked.
        """
        began = time.perf_counter()
        places = gripper_uv or [None] * len(images)
        asked = [self._asked(*each) for each in zip(images, instructions, places, strict=True)]
        prepared_s = time.perf_counter() - began
        answers = self._answers(asked)
        generated_s = time.perf_counter() - began - prepared_s
        timings = {"prepare_s": prepared_s, "generate_s": generated_s}
        return [self._plan(e, answers[i], timings) if isinstance(e, Asked) else e for i, e in enumerate(asked)]

    def _asked(
        self, image: NDArray[np.uint8] | Image.Image, instruction: str, gripper_uv: Place | None
    ) -> Asked | PlanError:
        try:
            words, pixels = validate_instruction(instruction), validate_image(image)
            if gripper_uv is not None and not all(0 <= value <= 1 for value in gripper_uv):
                raise PlanError(f"the gripper's place {gripper_uv} is not on the image: two numbers from 0 to 1")
            size = self.seen((pixels.shape[1], pixels.shape[0]))
            text = self.speech.question(words, gripper_uv, size)
            return Asked(Question(pixels, text), size, grammar(self.dialect, size) if self.constrained else "")
        except PlanError as error:
            return error
        except PlannerConfigurationError:
            raise
        except ValueError as error:  # the image's shape is one that the model cannot take
            return PlanError(str(error))

    def _answers(self, asked: Sequence[Asked | PlanError]) -> dict[int, tuple[list[Answer], float | None]]:
        """By number: a question's samples, and how likely it is that nothing is in view, where that is known."""
        found: dict[int, tuple[list[Answer], float | None]] = {}
        good = {i: each for i, each in enumerate(asked) if isinstance(each, Asked)}
        for pattern in dict.fromkeys(each.grammar for each in good.values()):
            same = [i for i, each in good.items() if each.grammar == pattern]
            with numbered(same):
                found.update(zip(same, self._same(pattern, [good[i].question for i in same]), strict=True))
        return found

    def _same(self, pattern: str, questions: Sequence[Question]) -> list[tuple[list[Answer], float | None]]:
        """`_answers` to questions whose answers match the same expression."""
        absent = self.p_not_in_view(questions)
        if self.speech.abstains and pattern and None in absent:
            pattern = f"(?:{pattern}|{quoted(refusal(self.dialect))})"
        return list(zip(self.backend.answer(questions, self._sampling(pattern)), absent, strict=True))

    def p_not_in_view(self, questions: Sequence[Question]) -> list[float | None]:
        """The probability of a refusal, from its own tokens; None where the model or its backend cannot tell."""
        if not (self.speech.abstains and self.constrained):
            return [None] * len(questions)
        said = refusal(self.dialect)
        answers = self.backend.answer(questions, Sampling(REFUSAL_TOKENS, grammar=quoted(said)))
        return [probability_of_log(sum(a.log_p)) if a.log_p and a.text.strip() == said else None for (a,) in answers]

    def _sampling(self, pattern: str) -> Sampling:
        closing = DIALECTS[self.dialect].closing
        if self.samples == 1:
            return Sampling(self.max_new_tokens, grammar=pattern, closing=closing, may_refuse=self.may_refuse)
        return Sampling(
            self.max_new_tokens, self.temperature, 1.0, self.samples, self.seed, pattern, closing,
            may_refuse=self.may_refuse,
        )  # fmt: skip

    def _plan(
        self, asked: Asked, answered: tuple[list[Answer], float | None], timings: dict[str, float]
    ) -> Plan | PlanError:
        answers, absent = answered
        read = [self._read(answer.text, asked.size) for answer in answers]
        if absent is None:
            absent = sum(isinstance(each, NotInViewError) for each in read) / len(read)
        if absent > self.calibration.refuse_above:
            return _not_in_view(next((e.raw_text for e in read if isinstance(e, NotInViewError)), answers[0].text))
        good = [(each, answer) for each, answer in zip(read, answers, strict=True) if isinstance(each, Path2D)]
        if not good:
            return next(each for each in read if isinstance(each, PlanError))
        try:
            order = ranked([path for path, _ in good], [likelihood(answer) for _, answer in good], len(read))
        except PlanError as error:  # probabilities that are no numbers, from a server say
            return error
        best = (replace(good[i][0], score=self.calibration.apply(raw)) for i, raw in order)
        return Plan(tuple(best), good[order[0][0]][1].text, timings)

    def _read(self, text: str, size: Size) -> Path2D | PlanError:
        try:
            return parse(hamster.restored(text) if self.dialect == "hamster" else text, self.dialect, size)
        except PlanError as error:
            return error


def _not_in_view(text: str) -> NotInViewError:
    return NotInViewError("the model thinks it likely that what the instruction speaks of is not in view", text)
