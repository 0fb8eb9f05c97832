import os
import pickle
import struct

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hamster.data.video import DamagedFrameError, VideoFile
from hamster.data.video_writer import VideoWriter, write_video

SIZE = (64, 48)


def picture(i, size=SIZE):
    """Grey, brighter with every frame, with a red patch in the upper left corner."""
    rgb = np.full((size[1], size[0], 3), 20 + 9 * i, np.uint8)
    rgb[: size[1] // 4, : size[0] // 4] = [250, 20, 20]
    return rgb


def number_of(rgb):
    return round((float(np.median(rgb[-8:, -8:])) - 20) / 9)


def encode(file, codec, **options):
    """Writes a video; SVT-AV1 gives root's process real-time priority, with which it would starve all others."""
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        return _encoded(file, codec, **options)
    finally:
        os.sched_setscheduler(0, policy, parameters)


def _encoded(file, codec, frames=24, size=SIZE, pts=None, options=None, container="mp4", rotation=0):
    with av.open(str(file), "w", format=container) as out:
        stream = out.add_stream(codec, rate=30, options=options or {})
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(picture(i, size), format="rgb24")
            frame.pts = i if pts is None else pts[i]
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return file


def h264(file, **options):
    return encode(file, "libx264", options={"g": "8", "preset": "ultrafast"}, **options)


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    return h264(tmp_path_factory.mktemp("video") / "clip.mp4")


def test_frames_come_in_order(video):
    film = VideoFile(video)
    assert len(film) == 24 and film.size == SIZE and film.fps == pytest.approx(30, rel=1e-3)
    assert film.times_s[0] == 0 and film.times_s[-1] == pytest.approx(23 / 30, abs=1e-3)
    assert [number_of(rgb) for rgb in film] == list(range(24))
    assert film.frame(0).shape == (48, 64, 3) and np.abs(film.frame(0)[2, 2].astype(int) - [250, 20, 20]).max() < 12


@given(st.lists(st.integers(0, 23), max_size=12))
@settings(max_examples=20, deadline=None)
def test_any_frame_in_any_order_is_the_one_asked_for(video, numbers):
    assert [number_of(rgb) for rgb in VideoFile(video).frames(numbers)] == numbers


@pytest.mark.parametrize(
    ("codec", "options", "container"),
    [
        ("libx264", {"g": "300", "bf": "3", "preset": "fast"}, "mp4"),
        ("libsvtav1", {"g": "4", "preset": "8", "crf": "4", "svtav1-params": "lp=1"}, "mp4"),
        ("libx264", {"g": "5", "preset": "ultrafast"}, "matroska"),
        ("mpeg4", {"g": "5", "b": "8000000"}, "avi"),
    ],
)
def test_codecs_and_containers(tmp_path, codec, options, container):
    film = VideoFile(encode(tmp_path / "clip", codec, options=options, container=container))
    assert len(film) == 24
    assert [number_of(rgb) for rgb in film] == list(range(24))
    assert [number_of(rgb) for rgb in film.frames([17, 3, 23])] == [17, 3, 23]


def test_a_variable_frame_rate_changes_times_and_nothing_else(tmp_path):
    pts = [0, 1, 2, 10, 11, 30, 31, 32, 60, 61]
    film = VideoFile(h264(tmp_path / "clip.mp4", frames=10, pts=pts))
    assert np.allclose(film.times_s, np.array(pts) / 30, atol=1e-3) and film.fps == pytest.approx(9 / 61 * 30, rel=0.01)
    assert [number_of(rgb) for rgb in film.frames([0, 5, 9, 3])] == [0, 5, 9, 3]


@pytest.mark.parametrize(
    ("matrix", "turns"), [((0, 1, -1, 0), -1), ((0, -1, 1, 0), 1), ((-1, 0, 0, -1), 2)], ids=["right", "left", "over"]
)
def test_a_phone_held_sideways(tmp_path, video, matrix, turns):
    a, b, c, d = (v * 65536 for v in matrix)
    data, plain = video.read_bytes(), struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    at = data.rindex(plain)  # the track's; the movie's comes first
    (tmp_path / "clip.mp4").write_bytes(
        data[:at] + struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30) + data[at + 36 :]
    )
    film = VideoFile(tmp_path / "clip.mp4")
    upright = np.rot90(VideoFile(video).frame(3), turns)
    assert film.size == (upright.shape[1], upright.shape[0]) and np.array_equal(film.frame(3), upright)


def faststart(file):
    return write_video(file, (np.random.default_rng(i).integers(0, 255, (48, 64, 3), np.uint8) for i in range(24)), 30)


@pytest.mark.parametrize("keep", [0.98, 0.7, 0.3, 0.1])
def test_a_file_cut_off_says_where(tmp_path, keep):
    faststart(tmp_path / "whole.mp4")
    data = (tmp_path / "whole.mp4").read_bytes()
    (tmp_path / "part.mp4").write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(ValueError, match=r"part\.mp4 is cut off.* frame \d+ of 24") as caught:
        VideoFile(tmp_path / "part.mp4")
    assert "\n" not in str(caught.value)


def test_a_file_whose_table_was_cut_off(tmp_path, video):
    (tmp_path / "part.mp4").write_bytes(video.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"part\.mp4.* is cut off"):
        VideoFile(tmp_path / "part.mp4")


def test_damage_in_the_middle_names_the_frame(tmp_path):
    faststart(tmp_path / "clip.mp4")
    data = bytearray((tmp_path / "clip.mp4").read_bytes())
    middle = len(data) * 2 // 3
    data[middle : middle + 6000] = bytes(6000)
    (tmp_path / "clip.mp4").write_bytes(data)
    film = VideoFile(tmp_path / "clip.mp4")
    with pytest.raises(ValueError, match=r"clip\.mp4: frame \d+ of 24 cannot be decoded"):
        list(film)
    assert film.frame(0).shape == (48, 64, 3)  # what is whole can still be read


def moving(i):
    y, x = np.mgrid[:120, :160]
    rgb = np.stack([(x + 3 * i) % 256, (2 * y + i) % 256, (x * y // 64 + 5 * i) % 256], -1).astype(np.uint8)
    rgb[30 + i : 50 + i, 20 + 2 * i : 40 + 2 * i] = [250, 20, 20]
    return rgb


def film_of(file, codec, options, frames=36):
    with av.open(str(file), "w") as out:
        stream = out.add_stream(codec, rate=30, options=options)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for i in range(frames):
            frame = av.VideoFrame.from_ndarray(moving(i), format="rgb24")
            frame.pts = i
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with av.open(str(file)) as film:
        return [(packet.pos, packet.size) for packet in film.demux(film.streams.video[0]) if packet.size]


def readable(film, numbers):
    """By number, the frames that are not damaged."""
    found = {}
    for number in numbers:
        try:
            found[number] = film.frame(number)
        except DamagedFrameError as error:
            assert f"frame {number} of 36 cannot be decoded" in str(error)
    return found


@pytest.mark.parametrize("order", ["forwards", "backwards", "some"])
@pytest.mark.parametrize("damage", [0, 255])
@pytest.mark.parametrize(
    ("codec", "options"),
    [("libx264", {"g": "12", "bf": "0"}), ("libx264", {"g": "12", "bf": "3"}), ("mpeg4", {"g": "12"})],
    ids=["h264", "h264 with B-frames", "mpeg4"],
)
def test_frames_that_are_damaged_or_predicted_from_damaged_ones_are_never_returned(
    tmp_path, codec, options, damage, order
):
    packets = film_of(tmp_path / "clip.mp4", codec, options)
    whole = list(VideoFile(tmp_path / "clip.mp4"))
    data, (pos, size) = bytearray((tmp_path / "clip.mp4").read_bytes()), packets[17]
    third = size // 3  # of the numbers of one frame; single bits may go unnoticed
    data[pos + third : pos + 2 * third] = bytes([damage]) * third
    (tmp_path / "bad.mp4").write_bytes(data)
    numbers = {"forwards": range(36), "backwards": range(35, -1, -1), "some": [20, 18, 30, 16, 23, 12, 22, 0]}[order]
    found = readable(VideoFile(tmp_path / "bad.mp4"), numbers)
    for number, rgb in found.items():
        assert np.abs(rgb.astype(int) - whole[number]).max() == 0, number
    gone = set(numbers) - found.keys()
    assert gone and min(gone) >= 12 and max(gone) <= 23  # between the key frames around it


def test_a_video_whose_first_frames_are_damaged_still_has_a_size(tmp_path):
    packets = film_of(tmp_path / "clip.mp4", "libx264", {"g": "12", "bf": "0"})
    data, (pos, size) = bytearray((tmp_path / "clip.mp4").read_bytes()), packets[0]
    data[pos + size // 4 : pos + size] = bytes(size - size // 4)
    (tmp_path / "clip.mp4").write_bytes(data)
    film = VideoFile(tmp_path / "clip.mp4")
    assert film.size == (160, 120) and set(readable(film, range(36))) == set(range(12, 36))


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"hello",
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile x.mp4\n",
    ],
    ids=["empty", "text", "playlist", "list"],
)
def test_what_is_no_video(tmp_path, content):
    (tmp_path / "clip.mp4").write_bytes(content)
    with pytest.raises(ValueError, match=r"clip\.mp4 is not a video"):
        VideoFile(tmp_path / "clip.mp4")
    with pytest.raises(FileNotFoundError):
        VideoFile(tmp_path / "nowhere.mp4")


@given(st.integers(0, 6000), st.binary(min_size=1, max_size=60))
@settings(max_examples=25, deadline=None)
def test_noise_in_a_file_is_a_value_error_or_harmless(tmp_path_factory, video, at, noise):
    file = tmp_path_factory.mktemp("noise") / "clip.mp4"
    data = video.read_bytes()
    at %= len(data)
    file.write_bytes(data[:at] + noise + data[at + len(noise) :])
    try:
        for rgb in VideoFile(file):
            assert rgb.dtype == np.uint8 and rgb.ndim == 3
    except ValueError as error:
        assert "clip.mp4" in str(error) and "\n" not in str(error)


def test_there_is_no_frame_beyond_the_last(video):
    film = VideoFile(video)
    assert number_of(film.frame(-1)) == 23
    with pytest.raises(IndexError):
        film.frame(24)


def test_a_video_goes_to_another_process_and_lets_go_of_its_file(video):
    film = VideoFile(video)
    film.frame(5)
    assert number_of(pickle.loads(pickle.dumps(film)).frame(7)) == 7
    film.close()
    assert number_of(film.frame(6)) == 6


def test_a_file_that_changed_is_read_again(tmp_path):
    file = h264(tmp_path / "clip.mp4", frames=10)
    assert len(VideoFile(file)) == 10
    h264(file, frames=12)
    os.utime(file, ns=(1, 1))
    assert len(VideoFile(file)) == 12


@pytest.mark.parametrize("size", [(64, 48), (63, 47)], ids=["even", "odd"])
def test_what_is_written_comes_back_and_is_the_same_bytes(tmp_path, size):
    for name in ("a.mp4", "b.mp4"):
        assert write_video(tmp_path / name, (picture(i, size) for i in range(12)), 15) == 12
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    film = VideoFile(tmp_path / "a.mp4")
    assert film.size == size and film.fps == pytest.approx(15, rel=1e-3)
    assert [number_of(rgb) for rgb in film] == list(range(12))
    assert np.abs(film.frame(3).astype(int) - picture(3, size)).mean() < 4


def test_what_cannot_be_written(tmp_path):
    with pytest.raises(ValueError, match="no frames"):
        write_video(tmp_path / "a.mp4", [], 30)
    with VideoWriter(tmp_path / "b.mp4", 30) as writer:
        writer.add(picture(0))
        with pytest.raises(ValueError, match=r"frame 1 is \(20, 20, 3\)"):
            writer.add(picture(1, (20, 20)))
    with pytest.raises(ValueError, match="0 < fps"):
        VideoWriter(tmp_path / "c.mp4", float("nan"))


def test_small_frames_are_the_same_picture(tmp_path):
    picture = np.kron(np.random.default_rng(0).integers(0, 255, (6, 8, 3)), np.ones((40, 40, 1))).astype(np.uint8)
    write_video(tmp_path / "a.mp4", [picture] * 3, 10)
    small = VideoFile(tmp_path / "a.mp4").small_frame(1, 80)
    assert small.shape == (60, 80, 3)
    assert np.abs(small[5::10, 5::10].astype(int) - picture[20::40, 20::40]).mean() < 12
    assert VideoFile(tmp_path / "a.mp4").small_frame(1, 1000).shape == picture.shape


def test_small_images_give_the_same_bytes_whatever_memory_held_before(tmp_path):
    """x264 reads more than the frames of images below 64 pixels a side, unless it is kept from looking ahead."""
    rng = np.random.default_rng(0)
    squares = rng.integers(0, 256, (8, 8, 3), np.uint8).repeat(4, 0).repeat(4, 1)
    written = set()
    for _ in range(100):
        with VideoWriter(tmp_path / "small.mp4", 5) as writer:
            for shift in range(12):
                writer.add(np.roll(squares, shift, 1))
                blocks = [np.full(size, rng.integers(256), np.uint8) for size in rng.integers(64, 100_000, 60)]
                del blocks[::2]
        written.add((tmp_path / "small.mp4").read_bytes())
    assert len(written) == 1
