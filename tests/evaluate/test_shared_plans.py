import numpy as np
import pytest

from hamster.evaluate import shared_plans
from hamster.evaluate.shared_plans import SharedPlans
from hamster.path import PlanError
from hamster.planner.error import PlannerUnavailableError

IMAGE = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)


class Counting:
    """Answers with the number of the call."""

    def __init__(self) -> None:
        self.n_calls = 0

    def plan(self, image, instruction):
        self.n_calls += 1
        if instruction == "refuse":
            raise PlanError("no path", raw_text=str(self.n_calls))
        if instruction == "offline":
            raise PlannerUnavailableError("no connection")
        return self.n_calls


def test_the_same_question_has_the_same_answer_and_any_other_one_is_asked():
    planner = SharedPlans(Counting())
    brighter = IMAGE + 1
    questions = [(IMAGE, "a"), (IMAGE.copy(), "a"), (IMAGE, "b"), (brighter, "a"), (IMAGE.reshape(2, 8, 3), "a")]
    assert [planner.plan(*question) for question in questions] == [1, 1, 2, 3, 4]
    assert planner.plan(IMAGE[::-1], "a") == 5  # not in C's order


def test_plan_errors_are_answers_and_outages_are_not():
    counting = Counting()
    planner = SharedPlans(counting)
    for _ in range(2):
        with pytest.raises(PlanError, match="no path") as info:
            planner.plan(IMAGE, "refuse")
        assert info.value.raw_text == "1"
    for _ in range(2):
        with pytest.raises(PlannerUnavailableError):
            planner.plan(IMAGE, "offline")
    assert counting.n_calls == 3


def test_the_oldest_answers_are_forgotten(monkeypatch):
    monkeypatch.setattr(shared_plans, "KEPT", 2)
    planner = SharedPlans(Counting())
    assert [planner.plan(IMAGE, name) for name in "abcba"] == [1, 2, 3, 2, 4]
