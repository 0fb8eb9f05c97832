import json
import pickle

import numpy as np
import pytest

from hamster.data import Episode, Unreadable
from hamster.data.video_source import Video, read_video
from hamster.data.video_writer import write_video
from tests.data.real import real_data


@pytest.fixture(scope="module")
def film():
    """Left half dark, right half bright, a little brighter with every frame."""
    frames = np.full((6, 32, 64, 3), 40, np.uint8)
    frames[:, :, 32:] = 180
    return frames + np.arange(6, dtype=np.uint8)[:, None, None, None] * 5


def put(folder, name, film):
    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / name, film, 10)
    return folder / name


def test_an_episode_per_file_in_natural_order(tmp_path, film):
    for name in ("clip_10_push_it.mp4", "clip_9_push_it.mp4", "deep/er/a_b.MP4"):
        put((tmp_path / name).parent, (tmp_path / name).name, film)
    (tmp_path / "notes.txt").write_text("not a video")
    source = Video(str(tmp_path))
    assert [source[i].provenance.file for i in range(3)] == ["clip_9_push_it.mp4", "clip_10_push_it.mp4", "a_b.MP4"]
    assert len(Video(str(tmp_path / "*.mp4"))) == 2 and Video(str(tmp_path / "*.mp4")).uri.startswith("video:")
    assert pickle.loads(pickle.dumps(source))[0].provenance.sha256 == source[0].provenance.sha256


def test_frames_come_when_they_are_asked_for(tmp_path, film):
    episode = read_video(put(tmp_path, "a.mp4", film))
    assert isinstance(episode, Episode) and len(episode.observations) == 6
    assert episode.tool_poses_world is None and episode.gripper is None
    last = episode.observations[-1]
    assert last.time_s == pytest.approx(0.5) and last.tool_pose_world is None
    view = last.views["video"]
    assert view.camera is None and abs(float(view.rgb[:, :24].mean()) - 65) < 6
    assert episode.provenance.extra["fps"] == pytest.approx(10)
    assert [o.time_s for o in episode.observations[1:3]] == pytest.approx([0.1, 0.2])


def test_words_come_from_beside_the_file(tmp_path, film):
    put(tmp_path / "clips", "ep_0_press_the_button.mp4", film)
    file = tmp_path / "clips" / "ep_0_press_the_button.mp4"
    assert read_video(file).instructions == ("press the button",)
    lines = [{"file": "other.mp4", "task": "no"}, {"file": "clips/ep_0_press_the_button.mp4", "task": "press it"}]
    (tmp_path / "index.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert read_video(file).instructions == ("press it",)
    file.with_suffix(".json").write_text(json.dumps({"instructions": ["press", "push"], "licence": "CC0"}))
    assert read_video(file).instructions == ("press", "push") and read_video(file).provenance.licence == "CC0"
    file.with_suffix(".json").write_text("{}")
    file.with_suffix(".txt").write_text("one\n\ntwo\n")
    assert read_video(file).instructions == ("one", "two")


def test_of_two_pictures_side_by_side_one_is_cut_out(tmp_path, film):
    file = put(tmp_path, "a.mp4", film)
    file.with_suffix(".json").write_text(json.dumps({"crop": [0.5, 0, 1, 0.5], "click": [2, 0.25, 0.5]}))
    episode = read_video(file)
    rgb = episode.observations[0].views["video"].rgb
    assert rgb.shape == (16, 32, 3) and rgb[:, 8:].mean() > 150
    assert episode.provenance.extra["click"] == (2, 0.25, 0.5)


@pytest.mark.parametrize(
    ("notes", "reason"),
    [
        ("{", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "not a JSON object"),
        ('{"instruction": 7}', "instruction"),
        ('{"instruction": [7]}', "instruction"),
        ('{"crop": [0.5, 0, 0.5, 1]}', "left < right"),
        ('{"crop": [0, 0, 1]}', "crop must be"),
        ('{"crop": [0, 0, NaN, 1]}', "crop must be"),
        ('{"crop": [-1, 0, 1, 1]}', "crop must be"),
        ('{"click": [-1, 0.5, 0.5]}', "click must be"),
        ('{"click": [0, 0.5, 1.5]}', "click must be"),
        ('{"click": true}', "click must be"),
    ],
)
def test_damaged_notes_are_said_to_be_so(tmp_path, film, notes, reason):
    file = put(tmp_path, "a.mp4", film)
    file.with_suffix(".json").write_text(notes)
    item = Video(str(file))[0]
    assert isinstance(item, Unreadable) and reason in item.reason and "\n" not in item.reason


def test_damaged_videos_come_as_unreadable(tmp_path, film):
    put(tmp_path, "good.mp4", film)
    cut = (tmp_path / "good.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(cut[: len(cut) // 2])
    (tmp_path / "empty.mp4").write_bytes(b"")
    items = [Video(str(tmp_path))[i] for i in range(3)]
    assert [type(item) for item in items] == [Unreadable, Unreadable, Episode]


def test_no_video_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="names no video"):
        Video(str(tmp_path / "*.mp4"))


def test_real_clips_with_their_instructions():
    source = Video(str(real_data("a-droid-clips") / "clips" / "*.mp4"))
    episode = source[len(source) - 1]
    assert len(source) > 1 and isinstance(episode, Episode)
    assert " " in episode.instructions[0]
    assert episode.observations[0].views["video"].rgb.shape[2] == 3
