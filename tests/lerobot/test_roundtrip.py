"""The real `lerobot` package opens what we wrote, and we open what it wrote: `make test-lerobot`."""

import numpy as np
import pytest

pytest.importorskip("lerobot", reason="lerobot is not installed here; `make test-lerobot` runs this beside it")

from lerobot.datasets import LeRobotDataset
from lerobot.datasets.language import validate_camera_field
from PIL import Image

from hamster.data import Episode
from hamster.data.lerobot import LeRobot, trace_from_content
from hamster.label import read_annotated, read_episodes
from hamster.label.export import export
from tests.data.lerobot_files import STATE, picture, read_picture, states
from tests.label.export import made

FRONT = "observation.images.front"


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))


def opened(folder, **options):
    return LeRobotDataset("hamster/test", root=folder, video_backend="pyav", **options)


def test_lerobot_opens_our_episodes(tmp_path):
    labels = made.episodes(tmp_path, lengths=(6, 4, 5), phrases=("reach it", "go there"))
    export(labels, tmp_path / "out", "lerobot")
    theirs, row = opened(tmp_path / "out"), 0
    assert (theirs.num_episodes, len(theirs), theirs.fps) == (3, 15, 20)
    depth_keys = [f"{FRONT}_depth", "observation.images.wrist_depth"]
    assert theirs.meta.camera_keys == [FRONT, "observation.images.wrist", *depth_keys]
    assert theirs.meta.depth_keys == depth_keys
    for labelled in read_episodes(labels):
        for t, observation in enumerate(labelled.episode.observations):
            item = theirs[row]
            assert item["task"] == "reach it" and item["timestamp"].item() == pytest.approx(t / 20)
            rgb = (item[FRONT].numpy().transpose(1, 2, 0) * 255).round()
            assert np.abs(rgb - observation.views["front"].rgb).mean() < 12
            depth_mm = item[f"{FRONT}_depth"].numpy()[0]  # LeRobot converts metres to the unit that it is asked for
            assert np.allclose(depth_mm, observation.views["front"].depth_m * 1000, rtol=1e-6)
            assert np.allclose(item["observation.state"][:3], observation.tool_pose_world[:3, 3], atol=1e-6)
            row += 1


def test_lerobot_finds_our_paths_where_it_expects_language(tmp_path):
    labels = made.episodes(tmp_path, phrases=("reach it", "go there"))
    export(labels, tmp_path / "out", "lerobot")
    theirs = opened(tmp_path / "out")
    wanted = [label.path for labelled in read_episodes(labels) for label in labelled.labels]
    for index, path in enumerate(wanted):
        (event,) = theirs[index]["language_events"]
        validate_camera_field(event["style"], event["camera"])
        assert (event["style"], event["camera"]) == ("trace", FRONT)
        assert trace_from_content(event["content"])[0] == path
        (words,) = theirs[index]["language_persistent"]
        assert (words["style"], words["content"]) == ("task_aug", "go there")


def test_lerobot_windows_over_our_episodes(tmp_path):
    export(made.episodes(tmp_path), tmp_path / "out", "lerobot")
    windows = {"observation.state": [-0.05, 0.0], FRONT: [0.0, 0.05], "action": [0.0, 0.05, 0.1]}
    theirs = opened(tmp_path / "out", delta_timestamps=windows)
    item = theirs[4]
    assert item["action"].shape == (3, 8) and item[FRONT].shape == (2, 3, 32, 32)
    assert item["action_is_pad"].tolist() == [False, False, True]
    assert theirs.meta.stats["action"]["mean"].shape == (8,)
    assert theirs.meta.stats[FRONT]["mean"].shape == (3, 1, 1)


def test_lerobot_opens_our_images(tmp_path):
    labels = made.images(tmp_path)
    export(labels, tmp_path / "out", "lerobot")
    theirs = opened(tmp_path / "out")
    for index, image in enumerate(read_annotated(labels)):
        rgb = (theirs[index]["observation.images.main"].numpy().transpose(1, 2, 0) * 255).round()
        assert np.array_equal(rgb, image.view.rgb) and theirs[index]["task"] == image.annotations[0].instruction
        (event,) = theirs[index]["language_events"]
        assert trace_from_content(event["content"])[0] == image.annotations[0].path


@pytest.mark.parametrize("videos", [True, False], ids=["av1", "images"])
def test_we_open_what_lerobot_wrote(tmp_path, videos):
    size = (64, 48)
    features = {
        FRONT: {
            "dtype": "video" if videos else "image",
            "shape": (48, 64, 3),
            "names": ["height", "width", "channels"],
        },
        "observation.state": {"dtype": "float32", "shape": (8,), "names": STATE},
    }
    theirs = LeRobotDataset.create("hamster/test", 10, features, root=tmp_path / "out", use_videos=videos)
    lengths = [7, 5, 6]
    for number, frames in enumerate(lengths):
        for i, state in enumerate(states(frames).astype(np.float32)):
            theirs.add_frame(
                {FRONT: picture(number, i, size), "observation.state": state, "task": f"task {number % 2}"}
            )
        theirs.save_episode()
    theirs.finalize()
    ours = LeRobot(tmp_path / "out")
    assert len(ours) == 3
    for number, frames in enumerate(lengths):
        episode = ours[number]
        assert isinstance(episode, Episode), episode
        assert episode.instructions == (f"task {number % 2}",)
        assert np.allclose(episode.tool_poses_world[:, :3, 3], states(frames)[:, :3], atol=1e-6)
        assert episode.gripper.tolist() == states(frames)[:, 7].tolist()
        shown = [read_picture(observation.views["front"].rgb) for observation in episode.observations]
        assert shown == [(number, i) for i in range(frames)]


def test_datasets_opens_our_rows_for_trl(tmp_path):
    import datasets

    export(made.images(tmp_path), tmp_path / "out", "trl")
    rows = datasets.load_dataset("parquet", data_files=str(tmp_path / "out" / "data" / "*.parquet"), split="train")
    first = rows[0]
    assert isinstance(first["images"][0], Image.Image) and first["images"][0].size == (16, 16)
    assert [part["type"] for part in first["messages"][0]["content"]] == ["image", "text"]
    assert first["messages"][1]["role"] == "assistant" and isinstance(rows.features["images"].feature, datasets.Image)
