"""Samples, scores, refusals: a planner over a backend that says what the test wants."""

import math
import re

import numpy as np
import pytest

from hamster.dialects import refusal, render
from hamster.path import NotInViewError, Path2D, PlanError
from hamster.planner.backend import Completion, SamplingParams
from hamster.planner.calibration import Calibration
from hamster.planner.prompts import PromptConfig
from hamster.planner.self_consistency import are_consistent, likelihood, rank_by_agreement
from hamster.planner.vlm import VlmPlanner

IMAGE = np.zeros((30, 40, 3), np.uint8)
LEFT = Path2D([[0.1, 0.1], [0.2, 0.8]], [0, 1])
NEARLY = Path2D([[0.12, 0.1], [0.2, 0.78]], [0, 1])
RIGHT = Path2D([[0.9, 0.1], [0.8, 0.8]], [0, 1])


class Said:
    """A backend that gives the same answers to every question, and notes what it was asked."""

    name = "said"

    def __init__(self, *answers, absent=None):
        self.answers, self.absent, self.asked = answers, absent, []

    def generate(self, requests, sampling, on_token=None):
        self.asked.append((list(requests), sampling))
        if self.absent is not None and sampling.grammar == refusal("compact"):
            return [[Completion(refusal("compact"), (math.log(self.absent), 0.0))] for _ in requests]
        return [[self.said(answer) for answer in self.answers] for _ in requests]

    def said(self, answer):
        if isinstance(answer, Completion):
            return answer
        path, probability = answer if isinstance(answer, tuple) else (answer, 1.0)
        return Completion(path if isinstance(path, str) else render(path, "compact"), (math.log(probability),) * 3)


def planner(*answers, absent=None, **options):
    prompt_config = options.pop("prompt_config", PromptConfig("compact"))
    return VlmPlanner(Said(*answers, absent=absent), prompt_config, samples=len(answers), **options)


def test_samples_are_grouped_and_scored():
    plan = planner((LEFT, 0.5), (RIGHT, 0.9), (NEARLY, 0.7), "nonsense").plan(IMAGE, "go")
    assert [path.score for path in plan.paths] == pytest.approx([(0.5 + 0.7) / 4, 0.9 / 4])
    assert plan.path.uv.tolist() == NEARLY.uv.tolist() and plan.raw_text == render(NEARLY, "compact")


def test_agreement_wants_the_same_events():
    assert are_consistent(LEFT, NEARLY) and not are_consistent(LEFT, RIGHT)
    assert not are_consistent(LEFT, Path2D(LEFT.uv, [1, 0])) and not are_consistent(LEFT, Path2D(LEFT.uv, [-1, -1]))


def test_scores_are_shares():
    rng = np.random.default_rng(0)
    for _ in range(6):
        paths = [Path2D(rng.random((3, 2)) * rng.choice([0.05, 1]), [-1] * 3) for _ in range(6)]
        likelihoods = rng.random(6).tolist()
        order = rank_by_agreement(paths, likelihoods, 8)
        scores = [score for _, score in order]
        assert scores == sorted(scores, reverse=True) and sum(scores) == pytest.approx(sum(likelihoods) / 8)
        assert len({i for i, _ in order}) == len(order)
    assert likelihood(Completion("x")) == 1 and likelihood(Completion("x", (math.log(0.25), 0.0))) == pytest.approx(0.5)


def test_scores_are_calibrated():
    calibration = Calibration(a=2.0, b=0.5, c=-0.3)
    plan = planner((LEFT, 0.6), calibration=calibration).plan(IMAGE, "go")
    assert plan.path.score == pytest.approx(calibration.apply(0.6))


def test_one_sample_is_greedy_and_more_are_drawn():
    for count in (1, 3):
        asked = planner(*[LEFT] * count, temperature=0.9, seed=4)
        asked.plan(IMAGE, "go")
        sampling = asked.backend.asked[0][1]
        assert (sampling.n, sampling.temperature) == (count, 0.9 if count > 1 else 0)
        assert sampling.seed == (4 if count > 1 else None) and sampling.closing == "."
        assert re.fullmatch(sampling.grammar, "254317c.") and not re.fullmatch(sampling.grammar, "not in view")


def test_a_refusal_is_an_error_of_its_own():
    with pytest.raises(NotInViewError):
        planner("not in view").plan(IMAGE, "go")
    with pytest.raises(NotInViewError):
        planner("not in view", LEFT, "not in view").plan(IMAGE, "go")
    assert planner("not in view", LEFT, LEFT).plan(IMAGE, "go").path.score == pytest.approx(2 / 3)


@pytest.mark.parametrize(("absent", "threshold", "refused"), [(0.6, 0.5, True), (0.6, 0.7, False), (0.2, 0.1, True)])
def test_who_was_taught_to_abstain_does_so_from_a_threshold_on(absent, threshold, refused):
    prompt_config = PromptConfig("compact", abstains=True)
    asked = planner(LEFT, absent=absent, prompt_config=prompt_config, calibration=Calibration(refuse_above=threshold))
    if refused:
        with pytest.raises(NotInViewError, match="not in view"):
            asked.plan(IMAGE, "go")
    else:
        assert asked.plan(IMAGE, "go").path.uv.tolist() == LEFT.uv.tolist()
        assert not re.fullmatch(asked.backend.asked[-1][1].grammar, refusal("compact"))


def test_without_probabilities_a_refusal_is_one_of_the_answers():
    asked = planner(Completion("not in view"), prompt_config=PromptConfig("compact", abstains=True))
    with pytest.raises(NotInViewError):
        asked.plan(IMAGE, "go")
    assert re.fullmatch(asked.backend.asked[-1][1].grammar, refusal("compact"))


@pytest.mark.parametrize("taught", [True, False])
@pytest.mark.parametrize("absent", [None, 0.99])
def test_without_refusals_no_answer_and_no_probability_is_one(taught, absent):
    prompt_config = PromptConfig("compact", abstains=taught)
    options = {"absent": absent, "prompt_config": prompt_config, "calibration": Calibration(refuse_above=0.01)}
    asked = planner("not in view", LEFT, "not in view", may_refuse=False, **options)
    assert asked.plan(IMAGE, "go").path.uv.tolist() == LEFT.uv.tolist()
    ((_, sampling),) = asked.backend.asked  # no probability of a refusal is asked for
    assert not sampling.may_refuse and not re.fullmatch(sampling.grammar, refusal("compact"))


def test_a_model_that_refuses_all_the_same_has_given_no_path():
    with pytest.raises(PlanError, match="although refusals are switched off") as raised:
        planner("not in view").without_refusals().plan(IMAGE, "go")
    assert not isinstance(raised.value, NotInViewError) and raised.value.raw_text == "not in view"


def test_many_at_once_with_their_errors():
    asked = planner(LEFT)
    plans = asked.plan_many([IMAGE] * 3 + [IMAGE[..., 0]], ["go", "", "stop", "go"], [(0.5, 0.5), None, (2, 0), None])
    assert [type(plan).__name__ for plan in plans] == ["Plan", "PlanError", "PlanError", "PlanError"]
    assert [plan.reason.split(";")[0] for plan in plans[1:]] == [
        "the instruction is empty",
        "the gripper's place (2, 0) is not on the image: two numbers from 0 to 1",
        "an image must be RGB, (H, W, 3) uint8, not (30, 40) uint8",
    ]
    ((questions, _),) = asked.backend.asked
    assert len(questions) == 1 and "go" in questions[0].text and "gripper is: 500500." in questions[0].text
    assert asked.plan_many([], []) == []


def test_images_of_different_sizes_have_grammars_of_their_own_in_pixels():
    asked = VlmPlanner(Said("x"), PromptConfig("qwen2.5-vl"))
    asked.plan_many([IMAGE, np.zeros((280, 280, 3), np.uint8), IMAGE], ["a", "b", "c"])
    assert [[question.text[-1:] for question in questions] for questions, _ in asked.backend.asked]
    assert [len(questions) for questions, _ in asked.backend.asked] == [2, 1]


def test_no_path_at_all_is_the_first_error():
    with pytest.raises(PlanError, match="full stop") as caught:
        planner("nonsense", "more of it").plan(IMAGE, "go")
    assert caught.value.raw_text == "nonsense"


@pytest.mark.parametrize(
    "text", ["(0.25, 0.32), (0.32, 0.17), <action>Close Gripper</action>", "[(0.25, 0.32), (0.32, 0.17)]"]
)
def test_an_answer_that_lost_its_tags_is_read(text):
    """The released checkpoint, asked without an empty turn of its own, drops brackets and tags."""
    plan = VlmPlanner(Said(text), PromptConfig("hamster")).plan(IMAGE, "go")
    assert plan.path.uv.tolist() == [[0.25, 0.32], [0.32, 0.17]] and plan.raw_text == text
    with pytest.raises(PlanError, match="<ans>"):
        VlmPlanner(Said("I go to (0.25, 0.32)"), PromptConfig("hamster")).plan(IMAGE, "go")


def test_samplings_that_make_no_sense():
    with pytest.raises(ValueError, match="temperature"):
        SamplingParams(n=2)
