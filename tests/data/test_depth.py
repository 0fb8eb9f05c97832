import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hamster.data.depth import (
    camera_of_depth,
    check_plausible,
    decode_depth,
    encode_depth,
    fit_depth,
    is_depth_name,
    to_metres,
)
from tests.data.depth_files import encoded, millimetres, scene_m


@given(hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.floats(0, 1e6, width=32)))
def test_every_bit_of_a_written_depth_image_comes_back(depth_m):
    assert np.array_equal(decode_depth(encode_depth(depth_m), "it"), depth_m)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bits_are_millimetres(kind):
    stored = millimetres(scene_m())
    decoded = decode_depth(encoded(stored, kind), "it")
    assert decoded.dtype == np.uint16 and np.array_equal(decoded, stored)
    assert np.allclose(to_metres(decoded, "it"), scene_m(), atol=0.00051)


def test_what_was_not_measured_is_zero():
    stored = np.array([[np.nan, np.inf, -np.inf, -1, 0, 0.7]], np.float32)
    assert to_metres(stored, "it").tolist() == [[0, 0, 0, 0, 0, np.float32(0.7)]]


def test_a_stated_unit_holds():
    assert to_metres(np.full((2, 2, 1), 5000, np.uint16), "it", 1e-4) == pytest.approx(np.full((2, 2), 0.5))


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (encoded(np.full((4, 4), 90, np.uint8)), "shades or colours, not metric depth"),
        (encoded(np.full((4, 4, 3), 90, np.uint8)), "shades or colours, not metric depth"),
        (encoded(np.full((4, 4, 3), 90, np.uint8), "JPEG"), "shades or colours, not metric depth"),
        (encoded(millimetres(scene_m()))[:-60], "cut off or damaged"),
        (b"nothing", "neither PNG nor TIFF"),
    ],
)
def test_pictures_that_are_no_depth_are_refused_in_one_line(data, reason):
    with pytest.raises(ValueError, match=reason) as error:
        decode_depth(data, "front, frame 3")
    assert str(error.value).startswith("front, frame 3") and "\n" not in str(error.value)


@pytest.mark.parametrize("stored", [np.zeros((2, 2, 3), np.uint16), np.zeros(4, np.uint16), np.zeros((2, 2), np.uint8)])
def test_arrays_that_are_no_depth_are_refused(stored):
    with pytest.raises(ValueError, match=r"depth is \(height, width\) numbers|8-bit"):
        to_metres(stored, "it")


def test_a_wrong_unit_is_named_with_its_evidence():
    check_plausible(scene_m(), "it")
    with pytest.raises(ValueError, match=r"median of 0\.000\d+ m.*metres read as millimetres"):
        check_plausible(scene_m() / 1000, "it")
    with pytest.raises(ValueError, match=r"median of \d\d\d m.*millimetres read as metres"):
        check_plausible(scene_m() * 1000, "it")
    with pytest.raises(ValueError, match="no measurement at all"):
        check_plausible(np.zeros((4, 4), np.float32), "it")


def test_another_size_takes_the_nearest_pixel_and_another_shape_is_refused():
    depth_m = scene_m(32, 48)
    assert np.array_equal(fit_depth(np.repeat(np.repeat(depth_m, 2, 0), 2, 1), 48, 32, "it"), depth_m)
    assert set(np.unique(fit_depth(depth_m, 96, 64, "it"))) == set(np.unique(depth_m))  # no mean of two surfaces
    with pytest.raises(ValueError, match=r"48 x 32 pixels, its colour image 64 x 64: another shape"):
        fit_depth(depth_m, 64, 64, "it")


def test_names_say_whose_depth_it_is():
    cameras = ["front", "wrist_rgb", "image_0"]
    assert camera_of_depth("observation.images.front_depth", cameras) == "front"
    assert camera_of_depth("depth_wrist", cameras) == "wrist_rgb"
    assert camera_of_depth("observation/depth_0", cameras) == "image_0"
    assert camera_of_depth("depth", cameras) is None
    assert camera_of_depth("depth", ["front"]) == "front"
    assert camera_of_depth("head_depth", ["front"]) is None
    assert is_depth_name("front.depth") and not is_depth_name("depthwise")


def test_a_picture_of_more_pixels_than_pillow_opens_is_refused_as_too_large(monkeypatch):
    data = encoded(millimetres(scene_m()))
    monkeypatch.setattr("PIL.Image.MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match="it has too many pixels"):
        decode_depth(data, "it")
