import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from hamster.data import Episode
from hamster.data.lerobot import LeRobot, read_traces
from hamster.data.rlbench import RLBench
from hamster.label import read_annotated, read_episodes, write
from hamster.label.export import export
from tests.data.lerobot_files import FRONT, write_dataset
from tests.data.rlbench_files import camera, write_episode
from tests.label.export import made
from tests.label.made import Listed, image


@pytest.fixture
def written(tmp_path):
    folder = made.episodes(tmp_path, phrases=("reach it", "go there"))
    return folder, tmp_path / "out", export(folder, tmp_path / "out", "lerobot")


def test_our_reader_finds_what_was_labelled(written):
    folder, out, summary = written
    source = LeRobot(out)
    assert len(source) == summary["episodes"] == 2 and summary["rows"] == summary["paths"] == 10
    for number, labelled in enumerate(read_episodes(folder)):
        episode = source[number]
        assert isinstance(episode, Episode), episode
        assert episode.instructions == ("reach it", "go there")
        assert np.allclose(episode.tool_poses_world, labelled.episode.tool_poses_world, atol=1e-6)
        assert np.allclose(episode.gripper, labelled.episode.gripper)
        for ours, theirs in zip(episode.observations, labelled.episode.observations, strict=True):
            assert list(ours.views) == ["front", "wrist"] and ours.time_s == pytest.approx(theirs.time_s)
            for name, view in theirs.views.items():
                assert np.abs(ours.views[name].rgb.astype(int) - view.rgb).mean() < 12  # H.264 of 32 pixels
                camera = ours.views[name].camera
                assert np.allclose(camera.world_from_camera, view.camera.world_from_camera)
                assert np.allclose(camera.intrinsics, view.camera.intrinsics)


def test_every_frame_has_its_path(written):
    folder, out, _ = written
    for number, labelled in enumerate(read_episodes(folder)):
        traces = read_traces(out, number)
        assert len(traces) == len(labelled.labels)
        for found, label in zip(traces, labelled.labels, strict=True):
            path, record = found["observation.images.front"]
            assert path == label.path and record["instruction"] == "reach it"
            assert record["how"]["method"] == "projection" and record["visible"] == label.to_json()["visible"]


def test_other_words_for_the_task_are_kept(written):
    _, out, _ = written
    rows = pq.read_table(out / "data/chunk-000/file-000.parquet")["language_persistent"].to_pylist()
    assert {(row["style"], row["role"], row["content"]) for row in rows[3]} == {("task_aug", "user", "go there")}


def test_the_files_are_what_the_format_says(written):
    _, out, _ = written
    info = json.loads((out / "meta" / "info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["total_frames"]) == ("v3.0", 20, 10)
    assert info["features"]["observation.images.wrist"]["shape"] == [32, 32, 3]
    table = pq.read_table(out / "data/chunk-000/file-000.parquet")
    stored = {name for name, feature in info["features"].items() if feature["dtype"] != "video"}
    assert set(table.column_names) == stored and table["index"].to_pylist() == list(range(10))
    assert pq.ParquetFile(out / "data/chunk-000/file-000.parquet").num_row_groups == 2
    _, second = pq.read_table(out / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert (second["dataset_from_index"], second["dataset_to_index"]) == (6, 10)
    assert second["videos/observation.images.front/from_timestamp"] == pytest.approx(6 / 20)
    assert pq.read_table(out / "meta/tasks.parquet").to_pylist() == [{"task_index": 0, "task": "reach it"}]
    stats = json.loads((out / "meta" / "stats.json").read_text())
    assert stats["observation.state"]["count"] == [10] and np.shape(stats["observation.images.front"]["mean"]) == (
        3,
        1,
        1,
    )
    states = np.array(table["observation.state"].to_pylist())
    assert np.allclose(stats["observation.state"]["mean"], states.mean(0), atol=1e-6)
    assert np.allclose(stats["observation.state"]["std"], states.std(0), atol=1e-5)


def test_a_camera_that_stands_still_is_in_the_sidecar(written):
    _, out, _ = written
    sidecar = json.loads((out / "meta" / "cameras.json").read_text())
    front = sidecar["observation.images.front"]
    assert front["convention"] == "opencv" and np.shape(front["world_from_camera"]) == (4, 4)
    assert sidecar["robot"]["tool_position"] == "observation.state[0:3]"


def test_annotated_images_are_episodes_of_one_frame(tmp_path):
    folder = made.images(tmp_path)
    summary = export(folder, tmp_path / "out", "lerobot")
    assert (summary["episodes"], summary["rows"], summary["paths"]) == (5, 5, 5)
    source = LeRobot(tmp_path / "out")
    for number, shown in enumerate(read_annotated(folder)):
        (observation,) = source[number].observations
        assert np.array_equal(observation.views["main"].rgb, shown.view.rgb)  # PNG: nothing is lost
        assert source[number].instructions == (shown.annotations[0].instruction,)
        ((path, _),) = read_traces(tmp_path / "out", number)[0].values()
        assert path == shown.annotations[0].path


def test_files_are_bounded(tmp_path, monkeypatch):
    monkeypatch.setattr("hamster.label.export.lerobot.MAX_DATA_BYTES", 1)
    monkeypatch.setattr("hamster.label.export.lerobot.MAX_VIDEO_BYTES", -1)
    folder = made.episodes(tmp_path, lengths=(4, 3, 5), cameras=("front",))
    export(folder, tmp_path / "out", "lerobot")
    assert len(list((tmp_path / "out").glob("data/*/*.parquet"))) == 3
    assert len(list((tmp_path / "out").glob("videos/*/*/*.mp4"))) == 3
    source = LeRobot(tmp_path / "out")
    assert [len(source[i].observations) for i in range(3)] == [4, 3, 5]
    assert [read_traces(tmp_path / "out", i)[-1] != {} for i in range(3)] == [True] * 3


def test_conversations_alone_are_no_dataset_of_episodes(tmp_path):
    with pytest.raises(ValueError, match="nothing that could be written as lerobot"):
        export(made.conversations(tmp_path), tmp_path / "out", "lerobot")


def test_episodes_with_different_cameras_share_the_one_with_the_paths(tmp_path):
    write_episode(tmp_path / "a" / "episode0", steps=4, cameras=("front", "wrist"), phrases=["one"])
    write_episode(tmp_path / "b" / "episode0", steps=3, cameras=("overhead",), phrases=["two"])
    write([RLBench(tmp_path / "a"), RLBench(tmp_path / "b")], tmp_path / "labels")
    export(tmp_path / "labels", tmp_path / "out", "lerobot")
    source = LeRobot(tmp_path / "out")
    assert [list(source[i].observations[0].views) for i in range(2)] == [["main"], ["main"]]
    assert [source[i].instructions for i in range(2)] == [("one",), ("two",)]
    assert list(read_traces(tmp_path / "out", 1)[0]) == ["observation.images.main"]


def test_images_of_another_size_are_scaled_and_their_cameras_with_them(tmp_path):
    sizes = (16, 16, 24)
    write([Listed(tuple(image(i, size) for i, size in enumerate(sizes)))], tmp_path / "labels")
    export(tmp_path / "labels", tmp_path / "out", "lerobot")
    source = LeRobot(tmp_path / "out")
    for i, size in enumerate(sizes):
        (observation,) = source[i].observations
        view, was = observation.views["main"], camera(size)
        assert view.rgb.shape == (16, 16, 3)
        point = [0.4, 0.1, 0.1]
        assert np.allclose(view.camera.project(point)[0] / 16, was.project(point)[0] / size, atol=1e-6)
    front = json.loads((tmp_path / "out" / "meta" / "cameras.json").read_text())["observation.images.main"]
    assert np.shape(front["world_from_camera"]) == (4, 4)


def test_what_has_no_pictures_is_left_out_and_counted(tmp_path):
    folder = write_dataset(tmp_path / "set", "v2.1", images="none", lengths=(4, 3))
    info = json.loads((folder / "meta" / "info.json").read_text())
    info["features"][FRONT]["dtype"] = "video"
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    write_episode(tmp_path / "in" / "episode0", steps=4)
    write([LeRobot(folder), RLBench(tmp_path / "in")], tmp_path / "labels")
    for form in ("lerobot", "trl", "llava"):
        summary = export(tmp_path / "labels", tmp_path / form, form)
        assert summary["left_out"] == 2 and summary["rows"] == 4
    write([LeRobot(folder)], tmp_path / "blind")
    with pytest.raises(ValueError, match=r"2 item\(s\) without a picture"):
        export(tmp_path / "blind", tmp_path / "none", "lerobot")


def test_our_own_dataset_can_be_labelled_again(tmp_path):
    folder = made.episodes(tmp_path)
    export(folder, tmp_path / "out", "lerobot")
    write([LeRobot(tmp_path / "out")], tmp_path / "again")
    for before, after in zip(read_episodes(folder), read_episodes(tmp_path / "again"), strict=True):
        assert before.camera == after.camera
        for one, other in zip(before.labels, after.labels, strict=True):
            assert one.path.events == other.path.events and one.path.uv.shape == other.path.uv.shape
            assert np.allclose(one.path.uv, other.path.uv, atol=1e-5)
