import numpy as np
import pytest

from hamster.label.sketch.steps import Step
from hamster.label.sketch.words import kinds_of, with_events

LINE = np.array([[0.2, 0.2], [0.8, 0.7]])


@pytest.mark.parametrize(
    ("instruction", "kinds"),
    [
        ("put the fork inside the pot, then move the pot to the left bottom corner", ["moves", "moves"]),
        ("put the lid on the stove, then place the pear on the plate, at last place the egg there", ["moves"] * 3),
        ("Pick up the can and put it in the bin.", ["moves"]),
        ("Picking up the red and green blocks", ["holds"]),
        ("place the pepper on the upper level, then close the door", ["moves", "touches"]),
        ("use the gripper to move the cup onto the plate", ["moves"]),
        ("move to the left", ["touches"]),
        ("turn on the stove", ["touches"]),
        ("push the button", ["touches"]),
        ("frowny", []),
        ("", []),
    ],
)
def test_what_an_instruction_speaks_of(instruction, kinds):
    assert kinds_of(instruction) == kinds


def test_steps_that_nobody_speaks_of_are_moved_if_they_are_arrows():
    steps, source = with_events([Step(LINE), Step(LINE, arrow=False)], "frowny")
    assert source == "arrows" and [(s.grasps, s.releases) for s in steps] == [(True, True), (False, False)]
    assert with_events([Step(LINE, arrow=False)], "frowny")[1] == "circles"


def test_a_circle_counts_whatever_the_words_say():
    (step,), source = with_events([Step(LINE, grasps=True)], "knock the can over")
    assert source == "words" and step.grasps and not step.releases


def test_words_for_other_steps_than_are_drawn():
    two = [Step(LINE), Step(LINE)]
    assert with_events(two, "knock the can over, then push the box, then put A in B")[1] == "unclear"
    steps, source = with_events(two, "put A, B and C in the box")
    assert source == "words" and all(s.grasps and s.releases for s in steps)
