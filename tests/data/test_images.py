from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from hamster.data.images import MAX_SIDE_PX, decode_image, read_image


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


def test_one_channel_of_sixteen_bits_is_depth_and_no_white_picture(tmp_path):
    Image.fromarray(np.full((8, 8), 0x8040, np.uint16)).save(tmp_path / "a.png")
    with pytest.raises(ValueError, match=r"a\.png has one channel of more than 8 bits, as depth has"):
        read_image(tmp_path / "a.png")
    Image.fromarray(np.full((8, 8), 0x80, np.uint8)).save(tmp_path / "b.png")
    assert (read_image(tmp_path / "b.png") == 0x80).all()


def test_images_of_data_sets_are_decoded_in_the_same_way_at_their_own_size(picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "PNG", exif=exif)
    assert np.array_equal(decode_image(encoded.getvalue(), "frame 3"), np.rot90(picture, -1))
    wide = io.BytesIO()
    Image.new("RGBA", (3000, 20), (0, 0, 0, 0)).save(wide, "PNG")
    assert decode_image(wide.getvalue(), "frame 3").shape == (20, 3000, 3)
    assert (decode_image(wide.getvalue(), "frame 3") == 255).all()
    with pytest.raises(ValueError, match="frame 3 is not a PNG"):
        decode_image(b"GIF89a", "frame 3")


@pytest.mark.parametrize("kind", ["segments", "fill", "scans", "chunks"])
def test_millions_of_empty_parts_are_refused_at_once(picture, kind):
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "PNG" if kind == "chunks" else "JPEG", progressive=True)
    data = encoded.getvalue()
    scan = data[data.rfind(b"\xff\xda") : -2]
    chunk = b"\0\0\0\0teSt" + zlib.crc32(b"teSt").to_bytes(4, "big")
    bomb = {
        "segments": data[:2] + b"\xff\xe5\0\2" * 100_000 + data[2:],
        "fill": data[:2] + b"\xff" * 100_000 + data[2:],
        "scans": data[:-2] + scan * 1000 + data[-2:],
        "chunks": data[:33] + chunk * 100_000 + data[33:],
    }[kind]
    with pytest.raises(ValueError, match="more segments or scans"):
        decode_image(bomb, "bomb")
    few = {"segments": data[:2] + b"\xff\xe5\0\2" * 100 + data[2:], "chunks": data[:33] + chunk * 100 + data[33:]}
    assert decode_image(few.get(kind, data), "fine").shape == picture.shape


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
