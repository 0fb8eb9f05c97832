import json

import cv2
import numpy as np
import pytest

from hamster.data import Drawing, Provenance
from hamster.data.sketch import Sketch
from hamster.label.method import Skipped
from hamster.label.sketch import label_drawing, raster
from hamster.label.sketch.arrow import Arrow
from hamster.label.sketch.ink import Ink
from hamster.path import Gripper, Path2D
from hamster.path.draw import draw as draw_path
from hamster.path.simplify import resample
from tests.data.real import real_data
from tests.label.sketch.drawings import BLUE, GREEN, PINK, STYLES, Style, curve, draw, jpeg, photograph, write

pytestmark = pytest.mark.slow

C, O = Gripper.CLOSED, Gripper.OPEN  # noqa: E741
NEAR = 0.05


def label(rgb, clean=None, siblings=(), instruction="put it there"):
    return label_drawing(Drawing(rgb, instruction, Provenance("test:", "d.png"), clean, siblings))


def path(*args, **kwargs):
    labelled = label(*args, **kwargs)
    assert not isinstance(labelled, Skipped), labelled.reason
    return labelled.annotations[0].path


def apart(a, b):
    """The largest distance between two lines at the same share of their length."""
    return np.linalg.norm(resample(a, 64) - resample(b, 64), axis=1).max()


def ends_apart(found, line):
    return np.linalg.norm(found.uv[[0, -1]] - line[[0, -1]], axis=1).max()


def test_a_stroke_drawn_in_another_style_gives_the_same_path():
    rng = np.random.default_rng(3)
    right = wrong = 0
    for style in STYLES:
        photo, line = photograph(rng), curve(rng)
        found = label(draw(photo, [line], [style]))
        if isinstance(found, Skipped):
            continue
        (annotation,) = found.annotations
        same = ends_apart(annotation.path, line) < NEAR and apart(annotation.path.uv, line) < 2 * NEAR
        right, wrong = right + same, wrong + (not same)
        assert annotation.path.events == [(0, C), (len(annotation.path) - 1, O)] and 0.15 <= annotation.path.score <= 1
    assert right >= 0.85 * len(STYLES) and wrong == 0, (right, wrong)


@pytest.mark.parametrize("colour", [(0, 0, 0), (255, 255, 255), (250, 20, 20)])
def test_with_the_clean_picture_any_colour_is_ink(colour):
    rng = np.random.default_rng(5)
    photo, line = photograph(rng), curve(rng)
    photo = photo // 2 + 60  # never as black or as white as the ink
    drawn = draw(photo, [line], [Style(colour, 4)])
    labelled = label(drawn, photo)
    assert ends_apart(labelled.annotations[0].path, line) < NEAR
    assert (labelled.view.rgb == photo).all()


def test_green_comes_before_blue_before_pink_and_each_grasp_lets_go_before_the_next():
    rng = np.random.default_rng(1)
    photo = photograph(rng)
    t = np.linspace(0, 1, 64)[:, None]
    lines = [(1 - t) * a + t * b for a, b in ([(0.2, 0.2), (0.6, 0.15)], [(0.2, 0.5), (0.7, 0.55)])]
    styles = [Style(BLUE), Style(GREEN)]
    circles = [((0.2, 0.2, 0.06), 0), ((0.2, 0.5, 0.06), 1)]
    found = path(draw(photo, lines, styles, circles))
    corners = [lines[1][0], lines[1][-1], lines[0][0], lines[0][-1]]
    assert len(found) == 4 and np.abs(found.uv - corners).max() < NEAR
    assert found.events == [(0, C), (1, O), (2, C), (3, O)]
    third = draw(draw(photo, lines, styles), [(1 - t) * (0.8, 0.3) + t * (0.85, 0.8)], [Style(PINK, 6)])
    assert np.abs(path(third).uv - [*corners, (0.8, 0.3), (0.85, 0.8)]).max() < NEAR


TWO = [np.linspace((0.2, 0.25), (0.6, 0.15), 64), np.linspace((0.2, 0.6), (0.7, 0.55), 64)]


@pytest.mark.parametrize(
    ("texts", "ink", "order", "first"),
    [
        ("12", None, "numbers", 0),
        ("21", None, "numbers", 1),
        ("12", (20, 20, 20), "numbers", 0),
        ("13", None, "colours", 1),
        ("1", None, "colours", 1),
        ("M#", (250, 250, 250), "colours", 1),
    ],
)
def test_digits_at_the_starts_say_the_order_and_other_scribbles_do_not(texts, ink, order, first):
    colours = [BLUE, GREEN]
    rgb = draw(photograph(np.random.default_rng(1)), TWO, [Style(c, 4) for c in colours])
    for text, line, colour in zip(texts, TWO, colours, strict=False):
        rgb = write(rgb, text, line[0] - (0.07, 0), ink or colour)
    labelled = label(rgb)
    assert labelled.provenance.extra["how"]["order"] == order
    corners = [line[i] for line in (TWO[first], TWO[1 - first]) for i in (0, -1)]
    found = labelled.annotations[0].path
    assert len(found) == 4 and np.abs(found.uv - corners).max() < NEAR


@pytest.mark.parametrize(("at", "event"), [(0, C), (-1, O)])
def test_a_circle_is_a_grasp_at_the_tail_and_a_release_at_the_tip(at, event):
    rng = np.random.default_rng(7)
    photo, line = photograph(rng), np.linspace((0.25, 0.6), (0.75, 0.4), 64)
    found = path(draw(photo, [line], [Style()], [((*line[at], 0.07), 0)]), instruction="push it")  # words say neither
    assert ends_apart(found, line) < NEAR
    assert [(i % len(found), e) for i, e in found.events] == [(at % len(found), event)]


@pytest.mark.parametrize("style", ["jet", "red"])
def test_the_gradient_of_our_own_drawings_says_where_they_start(style):
    rng = np.random.default_rng(2)
    photo, line = photograph(rng), curve(rng)
    truth = Path2D(line, np.full(len(line), Gripper.UNKNOWN))
    drawn = draw_path(photo, truth, style, weight=2.0)
    assert ends_apart(path(drawn, photo), line) < NEAR


def test_siblings_show_what_is_ink_and_what_is_behind_it():
    rng = np.random.default_rng(4)
    photo, a, b = photograph(rng), curve(rng), curve(rng)
    first, second = (draw(photo, [line], [Style(GREEN, 6)]) for line in (a, b))
    labelled = label(first, siblings=(second,))
    assert ends_apart(labelled.annotations[0].path, a) < NEAR
    off = np.abs(labelled.view.rgb.astype(int) - photo).max(-1)
    assert off.mean() < 0.5 and (off > 60).mean() < 0.003


def test_alone_the_stroke_is_painted_over():
    rng = np.random.default_rng(6)
    photo, line = photograph(rng), curve(rng)
    drawn = draw(photo, [line], [Style(GREEN, 6)])
    labelled = label(drawn)
    ink = np.linalg.norm(drawn.astype(float) - GREEN, axis=-1) < 10
    left = np.linalg.norm(labelled.view.rgb[ink].astype(float) - GREEN, axis=-1) < 40
    assert ink.sum() > 500 and left.mean() < 0.1


@pytest.mark.parametrize("seed", range(3))
def test_a_photograph_that_nobody_drew_on_gets_no_path(seed):
    photo = jpeg(photograph(np.random.default_rng(seed + 20)), 80)
    assert isinstance(label(photo), Skipped)


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 200, 3), (16, 64, 3)])  # looked at 640 pixels wide
def test_noise_and_plain_pictures_do_not_crash_it(shape):
    rng = np.random.default_rng(0)
    noise, plain = rng.integers(0, 256, shape).astype(np.uint8), np.full(shape, 255, np.uint8)
    label(noise)
    label(plain)
    label(plain, noise)


def test_the_label_says_how_it_was_made():
    rng = np.random.default_rng(3)
    labelled = label(draw(photograph(rng), [curve(rng)], [Style()]))
    how = labelled.provenance.extra["how"]
    assert how["order"] == "heads" and how["method"] == "stroke" and how["score"] == labelled.annotations[0].path.score
    assert labelled.annotations[0].instruction == "put it there" and labelled.provenance.file == "d.png"


def straight(a, b):
    return np.linspace(a, b, 64)


def test_tail_and_tip_of_every_step_are_waypoints_even_on_one_straight_line():
    photo = photograph(np.random.default_rng(1))
    lines = [straight((0.85, 0.5), (0.55, 0.5)), straight((0.45, 0.5), (0.15, 0.5))]
    labelled = label(draw(photo, lines, [Style(GREEN, 4), Style(BLUE, 4)]), instruction="put A in B, then move B there")
    found = labelled.annotations[0].path
    assert np.abs(found.uv - [line[i] for line in lines for i in (0, -1)]).max() < NEAR
    assert found.events == [(0, C), (1, O), (2, C), (3, O)]
    assert labelled.provenance.extra["how"]["events"] == "words"


@pytest.mark.parametrize(
    ("instruction", "events", "source"),
    [
        ("move the peeler and place it at the edge", [(0, C), (1, O)], "words"),
        ("pick the apple from the bowl", [(0, C)], "words"),
        ("knock the can over", [], "words"),
        ("peeler to the left edge", [(0, C), (1, O)], "arrows"),
        ("knock the can over, then move the cucumber into the pot", [], "unclear"),
    ],
)
def test_the_words_say_what_the_gripper_does_and_without_words_an_arrow_moves_things(instruction, events, source):
    rgb = draw(photograph(np.random.default_rng(1)), [straight((0.2, 0.3), (0.7, 0.4))], [Style(GREEN, 4)])
    labelled = label(rgb, instruction=instruction)
    assert labelled.annotations[0].path.events == events
    assert labelled.provenance.extra["how"]["events"] == source


@pytest.mark.parametrize(("width", "head"), [(14, "filled"), (12, "open"), (2, "open")])
@pytest.mark.parametrize("scale", [0.5, 1, 2])
def test_bold_and_thin_arrows_point_the_way_that_their_heads_say(width, head, scale):
    rng = np.random.default_rng(11)
    line = straight((0.25, 0.7), (0.7, 0.3))
    photo = cv2.resize(photograph(rng), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    labelled = label(draw(photo, [line], [Style(GREEN, width * scale, head)]))
    if width * scale > 1 or not isinstance(labelled, Skipped):  # a line of one pixel may be too little
        assert ends_apart(labelled.annotations[0].path, line) < NEAR


def test_a_circle_of_another_colour_across_a_line_does_not_cut_it():
    photo = photograph(np.random.default_rng(8))
    lines = [straight((0.15, 0.5), (0.85, 0.5)), straight((0.5, 0.45), (0.55, 0.12))]
    rgb = draw(photo, lines, [Style(GREEN, 4), Style(BLUE, 6)], [((0.48, 0.5, 0.09), 1)])
    found = path(rgb)
    assert np.abs(found.uv[[0, 1]] - lines[0][[0, -1]]).max() < NEAR


def test_unexplained_ink_lowers_the_score_and_too_little_certainty_is_no_label():
    rng = np.random.default_rng(9)
    photo, line = photograph(rng), straight((0.2, 0.3), (0.8, 0.35))
    alone = draw(photo, [line], [Style(GREEN, 4)])
    scribble = [straight(rng.uniform(0.55, 0.95, 2), rng.uniform(0.55, 0.95, 2)) for _ in range(6)]
    scribbled = alone.copy()
    for piece in scribble:
        px = (piece * [photo.shape[1], photo.shape[0]]).round().astype(np.int32)
        cv2.polylines(scribbled, [px], False, GREEN, 4, cv2.LINE_AA)
    labelled = label(scribbled)
    assert isinstance(labelled, Skipped) or labelled.annotations[0].path.score < path(alone).score


def test_a_thing_of_a_pens_colour_is_hardly_a_step_beside_an_arrow_of_another_pen():
    def layer(colour, rank):
        ink = Ink(np.ones((4, 4), bool), np.array(colour, np.float32), 1.0, 50.0)
        return raster._Layer(ink, Arrow(np.array([[0.0, 0.0], [9.0, 9.0]]), (), 5.0, 1.0, 1.0), rank)

    blue = layer(BLUE, 0.13)
    assert blue.rank < raster._enough(blue, [layer((250, 220, 20), 0.4)], False)
    assert blue.rank > raster._enough(blue, [layer(GREEN, 0.4)], False)


def test_thin_lines_of_one_scene_keep_their_ends():
    """Of which one passes a thing of its hue, one a bright rim, and one a circle that the picture frays."""
    folder = real_data("d-rovi-book-arrows")
    names = [json.loads(line)["file"] for line in (folder / "index.jsonl").read_text().splitlines()]
    ends = {
        "circle_1": [(0.418, 0.236), (0.073, 0.285), (0.179, 0.419), (0.456, 0.662), (0.666, 0.668), (0.666, 0.961)],
        "plain_1": [(0.417, 0.241), (0.089, 0.241), (0.172, 0.411), (0.494, 0.647), (0.645, 0.665), (0.621, 0.935)],
    }
    for kind, places in ends.items():
        drawing = Sketch(folder)[names.index(f"pics_multi_step_06_{kind}.jpg")]
        found = label_drawing(drawing).annotations[0].path
        for place in places:
            assert np.linalg.norm(found.uv - place, axis=1).min() < NEAR, (kind, place)
