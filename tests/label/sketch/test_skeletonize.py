import numpy as np
import pytest
from PIL import Image, ImageDraw

from hamster.label.sketch.circles import find_circles
from hamster.label.sketch.skeletonize import Lines, skeletonize


def canvas(draw, size=(120, 100)):
    image = Image.new("1", size)
    draw(ImageDraw.Draw(image))
    return np.array(image)


@pytest.mark.parametrize("angle", range(0, 180, 15))
@pytest.mark.parametrize("width", [1, 3, 8])
def test_a_line_keeps_its_length_and_loses_its_width(angle, width):
    ahead = 40 * np.array([np.cos(np.radians(angle)), np.sin(np.radians(angle))])
    a, b = 60 - ahead - [0, 10], 60 + ahead - [0, 10]
    thinned = skeletonize(canvas(lambda c: c.line([*a, *b], fill=1, width=width)))
    way = np.array(Lines(thinned).longest())[:, ::-1]
    ends = sorted([way[0], way[-1]], key=lambda p: tuple(np.abs(p - a)))
    assert np.linalg.norm(ends[0] - a) <= width / 2 + 2.5 and np.linalg.norm(ends[1] - b) <= width / 2 + 2.5
    assert not (thinned[:-1, :-1] & thinned[1:, :-1] & thinned[:-1, 1:] & thinned[1:, 1:]).any()


@pytest.mark.parametrize("pixels", [1, 2, 3, 7])
@pytest.mark.parametrize("upright", [False, True])
def test_the_longest_way_along_a_line_has_all_its_pixels_however_few(pixels, upright):
    row = [(4, x) for x in range(2, 2 + pixels)]
    mask = np.zeros((9, 12), bool)
    mask[tuple(np.transpose(row))] = True
    lines = Lines(mask.T if upright else mask)
    expected = [(x, y) for y, x in row] if upright else row
    assert sorted(lines.longest()) == expected
    length, _ = lines.shortest(expected[0])
    assert [length[pixel] for pixel in expected] == list(range(pixels))


def test_nothing_stays_nothing_and_the_mask_is_left_alone():
    mask = np.ones((20, 30), bool)
    skeletonize(mask)
    assert mask.all() and not skeletonize(np.zeros((5, 5), bool)).any()


@pytest.mark.parametrize("entering", [None, (60, 50), (60, 22), (20, 50)])
def test_a_ring_is_found_also_where_a_line_starts_inside_or_crosses_it(entering):
    def draw(c):
        c.ellipse((30, 20, 90, 80), outline=1, width=3)
        if entering:
            c.line([*entering, 118, 50], fill=1, width=3)

    (circle,) = find_circles(canvas(draw), 3.0)
    assert abs(circle.x - 60) < 2 and abs(circle.y - 50) < 2 and abs(circle.radius - 29) < 2.5


def test_triangles_squares_and_open_hooks_are_no_rings():
    shapes = [
        lambda c: c.polygon([(20, 80), (60, 20), (100, 80)], outline=1, width=3),
        lambda c: c.rectangle((30, 20, 90, 40), outline=1, width=3),
        lambda c: c.arc((30, 20, 90, 80), 0, 270, fill=1, width=3),
    ]
    assert [find_circles(canvas(shape), 3.0) for shape in shapes] == [[], [], []]
