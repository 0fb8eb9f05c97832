from hypothesis import given

from hamster.path import Gripper, Path2D
from hamster.path.redundant_close import drop_redundant_close
from tests.path.strategies import paths

U, C, O = Gripper.UNKNOWN, Gripper.CLOSED, Gripper.OPEN  # noqa: E741
UV = [[0.1, 0.1], [0.2, 0.2], [0.3, 0.3], [0.4, 0.4]]


def test_a_close_that_is_undone_before_the_grasp_is_not_said():
    assert drop_redundant_close(Path2D(UV, [C, O, C, O])) == Path2D(UV, [U, U, C, O])


def test_every_other_close_is():
    for states in ([C, C, C, O], [C, C, C, C], [U, C, O, C], [C, O, O, O], [U, U, C, O]):
        assert drop_redundant_close(Path2D(UV, states)) == Path2D(UV, states)


@given(paths())
def test_waypoints_and_the_last_events_stay(path):
    found = drop_redundant_close(path)
    assert (found.uv == path.uv).all()
    assert found.events == path.events[len(path.events) - len(found.events) :]
