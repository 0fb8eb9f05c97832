from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from hamster.data.images import MAX_SIDE_PX, read_image


@pytest.fixture
def picture():
    return np.random.default_rng(1).integers(0, 256, (40, 60, 3), np.uint8)


def test_a_png_comes_back_as_it_was(tmp_path, picture):
    Image.fromarray(picture).save(tmp_path / "a.png")
    assert np.array_equal(read_image(tmp_path / "a.png"), picture)


def test_a_webp_comes_back_as_it_was(tmp_path, picture):
    Image.fromarray(picture).save(tmp_path / "a.webp", lossless=True)
    assert np.array_equal(read_image(tmp_path / "a.webp"), picture)


@pytest.mark.parametrize("cut", [0.3, 0.9])
def test_a_webp_that_is_cut_off_is_refused(tmp_path, picture, cut):
    Image.fromarray(picture).save(tmp_path / "a.webp")
    whole = (tmp_path / "a.webp").read_bytes()
    (tmp_path / "a.webp").write_bytes(whole[: int(len(whole) * cut)])
    with pytest.raises(ValueError, match=r"a\.webp is (not a PNG, JPEG or WebP image|cut off or damaged)"):
        read_image(tmp_path / "a.webp")


def test_the_format_is_read_from_the_content_not_from_the_name(tmp_path, picture):
    Image.fromarray(picture).save(tmp_path / "a.txt", "PNG")
    assert np.array_equal(read_image(tmp_path / "a.txt"), picture)


def test_a_large_image_is_scaled_down_and_keeps_its_shape(tmp_path):
    Image.new("L", (5000, 2500), 77).save(tmp_path / "a.png")
    image = read_image(tmp_path / "a.png")
    assert image.shape == (MAX_SIDE_PX // 2, MAX_SIDE_PX, 3) and (image == 77).all()


def test_a_phones_rotation_is_applied(tmp_path, picture):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter, clockwise to view
    Image.fromarray(picture).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(read_image(tmp_path / "a.png"), np.rot90(picture, -1))


def test_transparency_becomes_white(tmp_path):
    Image.new("RGBA", (8, 8), (255, 0, 0, 0)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == 255).all()


def test_sixteen_bits_are_scaled_not_clipped(tmp_path):
    Image.fromarray(np.full((8, 8), 0x8040, np.uint16)).save(tmp_path / "a.png")
    assert (read_image(tmp_path / "a.png") == 0x80).all()


@pytest.mark.parametrize("form", ["GIF", "BMP", "TIFF"])
def test_other_formats_are_refused(tmp_path, picture, form):
    Image.fromarray(picture).save(tmp_path / "a.png", form)
    with pytest.raises(ValueError, match="not a PNG, JPEG or WebP"):
        read_image(tmp_path / "a.png")


def test_no_cut_or_flipped_byte_escapes_as_anything_but_a_clear_error(tmp_path, picture):
    Image.fromarray(picture).save(tmp_path / "a.jpg", quality=80)
    whole, rng = (tmp_path / "a.jpg").read_bytes(), np.random.default_rng(0)
    for _ in range(150):
        damaged = bytearray(whole[: rng.integers(len(whole))])
        for at in rng.integers(0, max(1, len(damaged)), 3):
            if damaged:
                damaged[at] = rng.integers(256)
        (tmp_path / "b.jpg").write_bytes(bytes(damaged))
        try:
            image = read_image(tmp_path / "b.jpg")
        except ValueError as error:
            assert "b.jpg" in str(error)
        else:
            assert image.dtype == np.uint8 and image.shape[2] == 3
