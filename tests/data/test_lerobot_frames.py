"""Which image a row of a LeRobot dataset has: its own, or none."""

import io
import json

import av
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hamster.data.lazy import without_image
from hamster.data.lerobot import LeRobot
from hamster.data.video import VideoFile
from tests.data.lerobot_files import FPS, FRONT, picture, png, read_picture, write_dataset, write_video
from tests.data.real import real_data

WRIST = "observation.images.wrist"


def pictures(episode, camera="front"):
    """(episode, frame) of each row's image, None for a row without one."""
    found = [read_picture(o.views[camera].rgb) if camera in o.views else None for o in episode.observations]
    assert {i for i, shown in enumerate(found) if shown is None} == without_image(episode.observations, camera)
    return found


def own(episode, frames, total):
    return [(episode, i) if i in frames else None for i in range(total)]


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
@pytest.mark.parametrize(
    "shown",
    [range(7), range(5), [0, 1, 2, 4, 5, 6, 7], [1, 2, 3, 4, 5, 6, 7], [3, 7]],
    ids=["one too few", "three too few", "one dropped", "the first dropped", "most dropped"],
)
def test_a_row_whose_frame_is_not_in_the_video_has_no_image(tmp_path, version, shown):
    lengths, films = (8, 8, 8), [range(8), shown, range(8)]
    source = LeRobot(write_dataset(tmp_path / "set", version, lengths=lengths, shown=films))
    for number, frames in enumerate(films):
        assert pictures(source[number]) == own(number, frames, 8)


def test_a_row_whose_frame_is_damaged_has_no_image_and_says_why(tmp_path):
    folder = write_dataset(tmp_path / "set", "v2.1", lengths=(16, 16))
    file = folder / "videos/chunk-000" / FRONT / "episode_000000.mp4"
    with av.open(str(file)) as film:
        packets = [(packet.pos, packet.size) for packet in film.demux(film.streams.video[0]) if packet.size]
    pos, size = packets[5]
    data = bytearray(file.read_bytes())
    data[pos + size // 2 : pos + size] = bytes(size - size // 2)
    file.write_bytes(data)
    source = LeRobot(folder)
    observations = list(source[0].observations)
    gone = [i for i, o in enumerate(observations) if o.damaged == ("front",) and not o.views]
    assert 0 < len(gone) < 16 and min(gone) <= 5
    assert all(read_picture(o.views["front"].rgb) == (0, i) for i, o in enumerate(observations) if i not in gone)
    assert not any(o.damaged for o in source[1].observations)


def test_no_row_takes_a_frame_of_the_next_episode_whatever_the_list_says(tmp_path):
    """Also where the window's end is not declared: then it ends where the next one begins."""
    folder = write_dataset(tmp_path / "set", lengths=(6, 6), shown=[range(4), range(6)])
    file = folder / "meta/episodes/chunk-000/file-000.parquet"
    table = pq.read_table(file)
    end = f"videos/{FRONT}/to_timestamp"
    later = pa.array([0.6, 1.2], pa.float64())
    for changed in (table.drop_columns([end]), table.set_column(table.column_names.index(end), end, later)):
        pq.write_table(changed, file)
        assert pictures(LeRobot(folder)[0]) == own(0, range(4), 6)
        assert pictures(LeRobot(folder)[1]) == own(1, range(6), 6)


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_trimmed_rows_show_the_frames_that_they_were_recorded_with(tmp_path, version):
    """The first three rows of the second episode were cut off, its video is as it was."""
    times = iter([np.arange(8) / FPS, np.arange(3, 8) / FPS])
    folder = write_dataset(tmp_path / "set", version, lengths=(8, 5), shown=[range(8), range(8)],
                           timestamps=lambda n: next(times))  # fmt: skip
    episode = LeRobot(folder)[1]
    assert pictures(episode) == [(1, i) for i in range(3, 8)]
    assert episode.observations[0].time_s == 0


@pytest.mark.parametrize("late", [0, 3])
def test_a_v2_video_whose_clock_starts_late_is_shown_by_that_clock(tmp_path, late):
    """A file per episode, so that nothing but its own first time says where its frames belong."""
    recorded = range(late, 8)
    folder = write_dataset(tmp_path / "set", "v2.1", lengths=(8 - late,), shown=[recorded],
                           timestamps=lambda n: np.array(recorded) / FPS)  # fmt: skip
    episode = LeRobot(folder)[0]
    assert pictures(episode) == [(0, i) for i in recorded]
    np.testing.assert_allclose([o.time_s for o in episode.observations], np.arange(8 - late) / FPS, atol=1e-6)
    assert "notes" not in episode.provenance.extra  # matched by the rows' times, not by their numbers


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_rows_that_count_another_time_are_matched_by_their_numbers_and_it_is_said(tmp_path, version):
    folder = write_dataset(tmp_path / "set", version, timestamps=lambda n: 1000 + np.arange(n) / FPS)
    episode = LeRobot(folder)[1]
    assert pictures(episode) == own(1, range(6), 6)
    assert "matched by frame_index" in episode.provenance.extra["notes"][0]


def test_times_that_contradict_the_numbers_show_nothing(tmp_path):
    folder = write_dataset(tmp_path / "set", timestamps=lambda n: 1000 + np.arange(n) * 3 / FPS)
    assert pictures(LeRobot(folder)[1]) == [None] * 6


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
@pytest.mark.parametrize(
    "times",
    [lambda n: np.zeros(n), lambda n: np.arange(n)[::-1] / FPS, lambda n: 1.7e9 + np.arange(n) / FPS,
     lambda n: np.arange(n) / (1.5 * FPS), lambda n: (np.arange(n) + 0.5) / FPS],
    ids=["all zero", "backwards", "too large for 32 bits", "another rate", "between two frames"],
)  # fmt: skip
def test_rows_whose_times_do_not_go_on_or_share_a_frame_have_those_of_their_numbers(tmp_path, version, times):
    folder = write_dataset(tmp_path / "set", version, timestamps=times)
    for number, frames in enumerate((8, 6, 7)):
        episode = LeRobot(folder)[number]
        assert pictures(episode) == own(number, range(frames), frames)
        assert "matched by frame_index" in episode.provenance.extra["notes"][0]


def test_times_that_do_not_go_on_are_refused_where_no_numbers_help(tmp_path):
    folder = write_dataset(tmp_path / "set", "v2.1", timestamps=np.zeros)
    file = folder / "data/chunk-000/episode_000000.parquet"
    pq.write_table(pq.read_table(file).drop_columns(["frame_index"]), file)
    assert "times of the rows do not increase at frame 1" in LeRobot(folder)[0].reason


def test_few_rows_take_no_frame_of_the_episode_before(tmp_path):
    """Rows 0.8 s apart, a little early, in a video of ten frames a second."""
    folder = write_dataset(tmp_path / "set", lengths=(3, 3), shown=[range(20), range(20)],
                           timestamps=lambda n: 0.8 * np.arange(n) - 0.3)  # fmt: skip
    assert pictures(LeRobot(folder)[1]) == [None, (1, 5), (1, 13)]


def test_a_camera_with_depth_is_left_out_beside_one_with_colours(tmp_path):
    def depth(n):
        buffer = io.BytesIO()
        Image.fromarray(np.arange(32 * 48, dtype=np.uint16).reshape(32, 48) * 30).save(buffer, "PNG")
        return {WRIST: [{"bytes": buffer.getvalue(), "path": None}] * n}

    folder = write_dataset(tmp_path / "set", "v2.1", images="parquet", keys=(WRIST, FRONT), extra=depth)
    episode = LeRobot(folder)[0]
    assert set(episode.observations[0].views) == {"front"}
    assert episode.provenance.extra["notes"] == [
        f"{WRIST} holds depth, but of which camera its name does not say: it is not used"
    ]


def test_images_of_another_shape_than_the_calibration_are_refused(tmp_path):
    """By EXIF these images stand upright, and are not those that info.json declares."""

    def turned(n):
        return {FRONT: [{"bytes": png(np.rot90(picture(0, i))), "path": None} for i in range(n)]}

    episode = LeRobot(write_dataset(tmp_path / "set", "v2.1", images="parquet", extra=turned))[0]
    with pytest.raises(ValueError, match="front was calibrated for images of 48 x 32, but that of frame 2 has 32 x 48"):
        episode.observations[2]


@pytest.mark.parametrize("number", [0.5, np.nan])
def test_the_number_of_a_task_is_whole(tmp_path, number):
    folder = write_dataset(tmp_path / "set", "v2.1")
    file = folder / "data/chunk-000/episode_000000.parquet"
    table = pq.read_table(file)
    at = table.column_names.index("task_index")
    pq.write_table(table.set_column(at, "task_index", pa.array([number] * len(table))), file)
    assert LeRobot(folder)[0].reason == f"task_index is {number} at frame 0, no whole number"


def test_a_video_may_have_more_frames_than_rows_or_other_cameras_have(tmp_path):
    shown = {FRONT: [range(8), range(6)], WRIST: [range(5), range(3)]}
    source = LeRobot(write_dataset(tmp_path / "set", lengths=(6, 6), shown=shown, keys=(FRONT, WRIST)))
    assert pictures(source[0]) == own(0, range(6), 6) and pictures(source[0], "wrist") == own(0, range(5), 6)
    assert pictures(source[1]) == own(1, range(6), 6) and pictures(source[1], "wrist") == own(1, range(3), 6)


@pytest.mark.parametrize(("fps", "rows"), [(FPS * 3, range(8)), (FPS // 2, range(0, 8, 2))])
def test_a_video_of_another_rate_shows_each_row_what_was_there_at_its_time(tmp_path, fps, rows):
    folder = write_dataset(tmp_path / "set", "v2.1", lengths=(8,))
    film = {i: picture(0, round(i * FPS / fps, 3)) for i in range(round(8 * fps / FPS))}
    write_video(folder / "videos/chunk-000" / FRONT / "episode_000000.mp4", film, fps)
    assert pictures(LeRobot(folder)[0]) == own(0, rows, 8)


def test_a_row_without_an_image_in_its_column_has_none(tmp_path):
    def cells(n):
        filled = [{"bytes": png(picture(0, i)), "path": None} for i in range(n)]
        filled[2], filled[4] = None, {"bytes": None, "path": None}
        return {FRONT: filled}

    folder = write_dataset(tmp_path / "set", "v2.1", lengths=(6,), images="parquet", extra=cells)
    assert pictures(LeRobot(folder)[0]) == own(0, [0, 1, 3, 5], 6)


def test_a_video_knows_when_its_first_frame_is_shown(tmp_path):
    write_video(tmp_path / "late.mp4", {i: picture(0, i) for i in range(3, 9)})
    write_video(tmp_path / "whole.mp4", {i: picture(0, i) for i in range(6)})
    late, whole = VideoFile(tmp_path / "late.mp4"), VideoFile(tmp_path / "whole.mp4")
    assert late.start_s == pytest.approx(0.3) and whole.start_s == 0
    assert late.times_s == pytest.approx(np.arange(6) / FPS)


def test_real_frames_carry_their_own_numbers():
    source = LeRobot(real_data("f-user-cases") / "lr" / "short_v3")

    def number(rgb):
        return sum((rgb[60, 4 + 12 * bit + 5].mean() > 127) << bit for bit in range(12))

    for episode, first, total in ((0, 0, 19), (1, 100, 20)):
        views = [o.views for o in source[episode].observations]
        assert [number(v["front"].rgb) for v in views if v] == [first + i for i in range(total)]
        assert [bool(v) for v in views] == [True] * total + [False] * (20 - total)


def test_the_list_of_episodes_is_still_checked(tmp_path):
    folder = write_dataset(tmp_path / "set", "v2.1")
    lines = [json.loads(line) for line in (folder / "meta/episodes.jsonl").read_text().splitlines()]
    lines[1]["length"] = 9
    (folder / "meta/episodes.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert "6 frames, but the list of episodes says 9" in LeRobot(folder)[1].reason
