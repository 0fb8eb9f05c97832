import numpy as np
from PIL import Image, ImageDraw

from hamster.label.sketch.arrow import find_arrow


def mask(draw, size=(400, 240)):
    image = Image.new("1", size)
    draw(ImageDraw.Draw(image))
    return np.array(image)


def found(draw):
    ink = mask(draw)
    arrow = find_arrow(ink, np.zeros_like(ink))
    assert arrow is not None
    return arrow


def head(c, tip):
    x, y = tip
    c.line([x + 12, y - 9, x, y, x + 12, y + 9], fill=1, width=3)


def test_what_frays_a_ring_is_no_tail():
    def draw(c):
        c.ellipse((240, 60, 360, 160), outline=1, width=3)
        c.line([60, 100, 270, 108], fill=1, width=3)
        head(c, (60, 100))
        c.arc((234, 54, 366, 166), 110, 180, fill=1, width=2)  # of the picture, in the ink's colour

    px = found(draw).px
    assert np.abs(px[0] - [270, 108]).max() < 6 and np.abs(px[-1] - [60, 100]).max() < 6


def test_a_line_goes_on_where_the_picture_has_its_colour():
    def draw(c):
        c.line([94, 99, 330, 140], fill=1, width=3)
        c.line([70, 95, 86, 98], fill=1, width=3)
        head(c, (70, 95))

    arrow = found(draw)
    assert np.abs(arrow.px[0] - [330, 140]).max() < 6 and np.abs(arrow.px[-1] - [70, 95]).max() < 6
    assert arrow.share > 0.95
