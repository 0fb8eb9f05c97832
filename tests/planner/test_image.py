import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hamster.planner.image import KEPT_SIDE, load_image

QUARTERS = np.zeros((8, 16, 3), np.uint8)
QUARTERS[:4, :8] = [250, 0, 0]
QUARTERS[:4, 8:] = [0, 250, 0]
QUARTERS[4:, :8] = [0, 0, 250]
PICTURE = np.kron(QUARTERS, np.ones((8, 8, 1), np.uint8))


def _huge_png(side):
    """A valid header that claims side x side pixels, and next to no data."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


def _saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "GIF", "WEBP", "JPEG"])
def test_every_format_gives_the_same_rgb(tmp_path, kind):
    (tmp_path / "image").write_bytes(_saved(Image.fromarray(PICTURE), kind))
    rgb = load_image(tmp_path / "image")
    assert rgb.shape == PICTURE.shape and rgb.dtype == np.uint8
    centres = np.ix_([16, 48], [32, 96])
    assert np.abs(rgb[centres].astype(int) - PICTURE[centres]).max() < 30


@pytest.mark.parametrize("mode", ["1", "L", "P", "CMYK", "YCbCr", "I", "F", "LA"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    kind = "PNG" if mode in ("1", "L", "P", "LA") else "TIFF"
    Image.fromarray(PICTURE).convert("L" if mode in ("I", "F", "LA") else "RGB").convert(mode).save(
        tmp_path / "image", kind
    )
    assert load_image(tmp_path / "image").shape == PICTURE.shape


def test_sixteen_bits_keep_their_scale(tmp_path):
    Image.fromarray(np.full((4, 4), 128 * 257, np.uint16)).save(tmp_path / "grey.png")
    assert np.abs(load_image(tmp_path / "grey.png").astype(int) - 128).max() <= 1


def test_transparency_lies_on_white(tmp_path):
    Image.new("RGBA", (4, 4), (0, 0, 0, 0)).save(tmp_path / "glass.png")
    assert (load_image(tmp_path / "glass.png") == 255).all()


def test_exif_rotation_is_undone(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned: to be shown turned by 90 degrees clockwise
    Image.fromarray(PICTURE).save(tmp_path / "turned.jpg", exif=exif, quality=95)
    rgb = load_image(tmp_path / "turned.jpg")
    assert rgb.shape == (128, 64, 3)
    assert rgb[32, 16, 2] > 200 and rgb[32, 48, 0] > 200  # blue comes to the top left, red to the top right


def test_an_animation_is_its_first_frame(tmp_path):
    frames = [Image.new("RGB", (8, 8), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / "film.gif", save_all=True, append_images=frames[1:])
    assert (load_image(tmp_path / "film.gif")[0, 0] == [255, 0, 0]).all()


def test_a_large_jpeg_is_decoded_small(tmp_path):
    Image.new("RGB", (4800, 4000), "green").save(tmp_path / "large.jpg")
    rgb = load_image(tmp_path / "large.jpg")
    assert max(rgb.shape) <= KEPT_SIDE and abs(rgb.shape[1] / rgb.shape[0] - 1.2) < 0.01


BROKEN = {
    "huge.png": (_huge_png(20_000), "pixels"),
    "large.png": (_huge_png(5_000), "16 megapixels"),
    "empty.png": (b"", "no image"),
    "text.png": (b"hello " * 100, "no image"),
    "cut.jpg": (_saved(Image.fromarray(PICTURE), "JPEG")[:400], "cannot be read|broken"),
    "cut.png": (_saved(Image.fromarray(PICTURE), "PNG")[:60], "broken"),
    "liar.png": (_huge_png(1_000), "broken"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_good_is_refused_in_one_line(tmp_path, name):
    data, reason = BROKEN[name]
    (tmp_path / name).write_bytes(data)
    with pytest.raises(ValueError, match=reason) as caught:
        load_image(tmp_path / name)
    assert "\n" not in str(caught.value) and name in str(caught.value)


def test_a_folder_and_a_missing_file_are_refused(tmp_path):
    with pytest.raises(ValueError, match="a folder"):
        load_image(tmp_path)
    with pytest.raises(ValueError, match="not there"):
        load_image(tmp_path / "nothing.png")


GOOD = [_saved(Image.fromarray(PICTURE[:24, :24]), kind) for kind in ("PNG", "JPEG", "GIF", "TIFF", "WEBP", "BMP")]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_damage_never_raises_anything_but_value_error(tmp_path_factory, data):
    damaged = bytearray(data.draw(st.sampled_from(GOOD)))
    for place, value in data.draw(st.lists(st.tuples(st.integers(0, 10**4), st.integers(0, 255)), max_size=8)):
        damaged[place % len(damaged)] = value
    file = tmp_path_factory.getbasetemp() / "damaged"
    file.write_bytes(damaged)
    try:
        rgb = load_image(file)
    except ValueError as error:
        assert "\n" not in str(error)
    else:
        assert rgb.ndim == 3 and rgb.dtype == np.uint8
