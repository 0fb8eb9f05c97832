import numpy as np
import pytest

from hamster.data import Drawing, Provenance
from hamster.label.method import Skipped
from hamster.label.sketch import Step, label_drawing, path_of
from hamster.path import Gripper

C, O = Gripper.CLOSED, Gripper.OPEN  # noqa: E741
PHOTO = np.zeros((48, 64, 3), np.uint8)
LINE = np.array([[0.2, 0.2], [0.5, 0.25], [0.8, 0.7]])


def circle(centre, radius=0.05):
    turn = np.linspace(0, 2 * np.pi, 40)
    return np.array(centre) + radius * np.stack([np.cos(turn), np.sin(turn)], -1)


def path(*strokes):
    drawing = Drawing(None, "put it there", Provenance("t:", "d.svg"), PHOTO, (), strokes)
    return label_drawing(drawing).annotations[0].path


def test_a_stroke_is_the_path_in_the_order_it_was_drawn():
    assert np.abs(path(LINE).uv[[0, -1]] - LINE[[0, -1]]).max() < 1e-9
    assert np.abs(path(LINE[::-1]).uv[[0, -1]] - LINE[[-1, 0]]).max() < 1e-9


def test_the_barbs_of_an_arrow_are_no_steps():
    barbs = [np.array([LINE[-1], LINE[-1] + d]) for d in ([-0.06, -0.02], [-0.01, -0.07])]
    v = np.array([LINE[-1] + [-0.06, -0.02], LINE[-1], LINE[-1] + [-0.01, -0.07]])
    assert path(LINE, *barbs) == path(LINE, v) == path(LINE)


def test_circles_at_the_ends_are_grasp_and_release_whenever_they_were_drawn():
    assert path(circle(LINE[0]), LINE, circle(LINE[-1])).events[0] == (0, C)
    found = path(LINE, circle(LINE[-1]), circle(LINE[0]))
    assert found.events == [(0, C), (len(found) - 1, O)]
    assert path(LINE, circle((0.2, 0.9))).events == path(LINE).events


def test_lines_are_steps_one_after_the_other():
    second = np.array([[0.1, 0.9], [0.9, 0.9]])
    found = path(circle(LINE[0]), LINE, circle(second[0]), second)
    assert np.allclose(found.uv[-2:], second)
    assert [event for _, event in found.events] == [C, O, C, O]


def test_waypoints_outside_are_brought_to_the_edge():
    assert np.allclose(path_of([Step(np.array([[-0.1, 0.5], [1.2, 0.5]]))]).uv, [[0, 0.5], [1, 0.5]])


@pytest.mark.parametrize(
    ("drawing", "reason"),
    [
        (Drawing(None, "x", Provenance("t:"), None, (), (LINE,)), "photograph"),
        (Drawing(None, "x", Provenance("t:"), PHOTO, (), (LINE[:1],)), "long enough"),
        (Drawing(None, "x", Provenance("t:"), PHOTO), "neither"),
        (Drawing(None, " ", Provenance("t:"), PHOTO, (), (LINE,)), "instruction"),
    ],
)
def test_too_little_is_no_label(drawing, reason):
    labelled = label_drawing(drawing)
    assert isinstance(labelled, Skipped) and reason in labelled.reason
    with pytest.raises(ValueError, match="step"):
        path_of([])
