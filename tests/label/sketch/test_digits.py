import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from hamster.label.sketch.digits import read_digit


def cut(mask):
    x, y, w, h = cv2.boundingRect(mask.astype(np.uint8))
    return mask[y : y + h, x : x + w]


def printed(text, height):
    image = Image.new("L", (120, 120))
    ImageDraw.Draw(image).text((40, 30), text, fill=255, font=ImageFont.load_default(height))
    return cut(np.array(image) > 127)


def pen(text, font, height, width):
    canvas = np.zeros((160, 160), np.uint8)
    cv2.putText(canvas, text, (40, 120), font, height / 21, 255, width)
    return cut(canvas > 127)


@pytest.mark.parametrize("height", [12, 20, 45])
def test_digits_are_read_in_any_size_and_thickness(height):
    for font in (cv2.FONT_HERSHEY_SIMPLEX, cv2.FONT_HERSHEY_COMPLEX):
        for width in (1, max(2, height // 7)):
            read = [read_digit(pen(str(digit), font, height, width))[0] for digit in range(1, 10)]
            assert sum(a == b for a, b in enumerate(read, 1)) >= 8, (font, width, read)


@pytest.mark.parametrize("height", [20, 30, 60])
def test_of_few_expected_ones_a_font_never_seen_is_read_as_well(height):
    assert [read_digit(printed(text, height), 3)[0] for text in "12"] == [1, 2]
    assert read_digit(printed("3", height), 3)[0] in (0, 3)


@pytest.mark.parametrize("text", "0MWX#@+")
def test_what_is_no_digit_is_not_read_as_one(text):
    assert read_digit(pen(text, cv2.FONT_HERSHEY_SIMPLEX, 30, 3))[0] == 0


def test_a_full_box_is_no_digit():
    assert read_digit(np.ones((20, 12), bool))[0] in (0, 1)
