import numpy as np
import pytest

from hamster.path import Gripper, Path2D
from hamster.planner.grounding import grounding

U, C, O = Gripper.UNKNOWN, Gripper.CLOSED, Gripper.OPEN  # noqa: E741


def _path(*points):
    return Path2D(np.array([p[:2] for p in points]), np.array([p[2] for p in points], np.int8))


def _square(u, v, half=0.08, side=100):
    rows, columns = (np.arange(side) + 0.5) / side, (np.arange(side) + 0.5) / side
    return (np.abs(rows[:, None] - v) < half) & (np.abs(columns[None] - u) < half)


TAKE = _path((0.5, 0.1, U), (0.2, 0.5, C), (0.5, 0.3, C), (0.8, 0.5, O))
TARGET, GOAL = _square(0.2, 0.5), _square(0.8, 0.5)


def test_the_truth_is_right():
    assert grounding(TAKE, TAKE, TARGET, GOAL, "pick_place") == {"start": True, "end": True, "path": True}


def test_the_object_may_be_taken_anywhere():
    edge = _path((0.5, 0.1, U), (0.27, 0.57, C), (0.8, 0.5, O))
    assert grounding(edge, TAKE, TARGET, GOAL, "pick_place")["path"]


@pytest.mark.parametrize(
    ("path", "start", "end"),
    [
        (_path((0.5, 0.1, U), (0.4, 0.5, C), (0.8, 0.5, O)), False, True),
        (_path((0.5, 0.1, U), (0.2, 0.5, C), (0.6, 0.5, O)), True, False),
        (_path((0.5, 0.1, U), (0.2, 0.5, U), (0.8, 0.5, O)), False, True),  # never closes
        (_path((0.5, 0.1, U), (0.8, 0.5, C), (0.2, 0.5, O)), False, False),  # the other way round
    ],
)
def test_each_end_is_judged_by_its_own(path, start, end):
    found = grounding(path, TAKE, TARGET, GOAL, "pick_place")
    assert (found["start"], found["end"], found["path"]) == (start, end, start and end)


def test_what_is_in_the_hand_already_need_not_be_taken():
    held = _path((0.2, 0.5, U), (0.5, 0.3, U), (0.8, 0.5, O))
    assert grounding(held, held, TARGET, GOAL, "pick_place")["path"]
    assert not grounding(TAKE, held, TARGET, GOAL, "pick_place")["start"]


def test_without_a_mask_only_nearness_counts():
    near = _path((0.5, 0.1, U), (0.24, 0.5, C), (0.8, 0.54, O))
    far = _path((0.5, 0.1, U), (0.26, 0.5, C), (0.8, 0.54, O))
    assert grounding(near, TAKE, None, None, "stack")["path"]
    assert grounding(far, TAKE, None, None, "stack") == {"start": False, "end": True, "path": False}


def test_a_press_ends_on_its_button():
    truth = _path((0.5, 0.1, U), (0.2, 0.5, C))
    assert grounding(truth, truth, TARGET, None, "press")["path"]
    assert not grounding(_path((0.2, 0.5, U), (0.5, 0.1, C)), truth, TARGET, None, "press")["path"]


def test_a_push_passes_over_its_object_and_ends_where_it_should():
    truth = _path((0.1, 0.1, U), (0.1, 0.5, U), (0.6, 0.5, U))
    around = _path((0.1, 0.1, U), (0.4, 0.2, U), (0.6, 0.5, U))
    short = _path((0.1, 0.1, U), (0.1, 0.5, U), (0.4, 0.5, U))
    assert grounding(truth, truth, TARGET, None, "push")["path"]
    assert grounding(around, truth, TARGET, None, "push") == {"start": False, "end": True, "path": False}
    assert grounding(short, truth, TARGET, None, "push") == {"start": True, "end": False, "path": False}


def test_unknown_tasks_are_judged_by_their_truth():
    assert grounding(TAKE, TAKE, TARGET, GOAL, "juggle")["path"]
    press = _path((0.5, 0.1, U), (0.2, 0.5, U))
    assert grounding(press, press, TARGET, None)["path"]
