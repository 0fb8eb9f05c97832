import json
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hamster.data import AnnotatedImage, Annotation, ImageObject, Mention, Provenance, Unreadable, View
from hamster.data.rlbench import episodes
from hamster.label import dataset, read_annotated, read_episodes, write
from hamster.label.run import label
from hamster.path import Gripper, Path
from tests.data.rlbench_files import camera, depth_image, write_episode


def image(i, size=16):
    rgb = np.full((size, size, 3), i % 256, np.uint8)
    path = Path([[0.1, 0.2], [0.5, i / 1000]], [Gripper.UNKNOWN, Gripper.CLOSED], [0.5, 0.6])
    mentions = [Mention(0, 4, (0, 1)), Mention(5, 9, (1,))]
    annotation = Annotation(f"take thing {i}", path, "pick_place", mentions, 1, None)
    objects = [ImageObject("red", "cube"), ImageObject("blue", "cup")]
    mask = np.full((size, size), 255, np.uint8)
    return AnnotatedImage(
        View(rgb, None, camera(size)), [annotation], Provenance("test:", extra={"i": i}), objects, mask
    )


def same(a, b):
    return (
        np.array_equal(a.view.rgb, b.view.rgb)
        and np.allclose(a.view.camera.world_from_camera, b.view.camera.world_from_camera)
        and np.array_equal(a.segmentation, b.segmentation)
        and a.annotations[0].path == b.annotations[0].path
        and a.annotations[0].instruction == b.annotations[0].instruction
        and [vars(m) for m in a.annotations[0].mentions] == [vars(m) for m in b.annotations[0].mentions]
        and list(a.objects) == list(b.objects)
        and a.provenance == b.provenance
    )


def digests(folder):
    return [(s["file"], s["sha256"], [f["sha256"] for f in s["also"]]) for s in dataset.read_manifest(folder)["shards"]]


@pytest.fixture(autouse=True)
def small_shards(monkeypatch):
    monkeypatch.setattr(dataset, "IMAGES_PER_SHARD", 4)


def test_images_round_trip(tmp_path):
    images = [image(i) for i in range(10)]
    manifest = write(images, tmp_path, source="test:10", seed=3)
    assert manifest["counts"] == {"items": 10, "images": 10, "annotations": 10, "unreadable": 0}
    assert [shard["n"] for shard in manifest["shards"]] == [4, 4, 2]
    back = list(read_annotated(tmp_path))
    assert len(back) == 10 and all(same(a, b) for a, b in zip(images, back, strict=True))
    assert (manifest["format"], manifest["kind"], manifest["seed"]) == ("hamster-labels/1", "annotated", 3)
    assert {"source", "versions", "commit", "command"} <= set(manifest)


def test_the_arrays_and_lines_are_where_the_format_says(tmp_path):
    write([image(0), image(1)], tmp_path)
    with np.load(tmp_path / "shard-00000.npz", allow_pickle=False) as arrays:
        assert arrays["rgb"].shape == (2, 16, 16, 3) and arrays["segmentation"].dtype == np.uint8
    lines = [json.loads(line) for line in (tmp_path / "shard-00000.jsonl").read_text().splitlines()]
    assert lines[1]["annotations"][0]["mentions"] == [[0, 4, [0, 1]], [5, 9, [1]]]
    assert lines[1]["objects"] == [{"colour": "red", "kind": "cube"}, {"colour": "blue", "kind": "cup"}]


class InterruptedRunError(Exception):
    """What a pulled plug looks like from inside."""


def until(stop, n=10):
    for i in range(n):
        if i == stop:
            raise InterruptedRunError
        yield image(i)


@pytest.mark.parametrize("stop", [0, 3, 4, 5, 9])
def test_an_interrupted_run_goes_on_and_ends_up_the_same(tmp_path, stop):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    write(until(None), whole, source="test:10")
    with pytest.raises(InterruptedRunError):
        write(until(stop), broken, source="test:10")
    assert not (broken / "manifest.json").exists()
    asked = []

    def rest(start):
        asked.append(start)
        return (image(i) for i in range(start, 10))

    manifest = write(rest, broken, source="test:10")
    assert asked == [stop // 4 * 4]
    assert digests(broken) == digests(whole) and manifest["counts"]["items"] == 10


def test_a_finished_run_is_not_done_again(tmp_path):
    first = write(until(None), tmp_path, source="test:10")
    assert write(until(0), tmp_path, source="test:10") == first


def test_a_damaged_shard_and_what_follows_is_made_again(tmp_path):
    write(until(None), tmp_path, source="test:10")
    before = digests(tmp_path)
    (tmp_path / "shard-00001.npz").write_bytes(b"")
    write(until(None), tmp_path, source="test:10")
    assert digests(tmp_path) == before and len(list(read_annotated(tmp_path))) == 10


def test_a_journal_that_was_cut_off_is_believed_up_to_there(tmp_path):
    with pytest.raises(InterruptedRunError):
        write(until(9), tmp_path, source="test:10")
    journal = (tmp_path / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(journal[:-20])
    write(until(None), tmp_path, source="test:10")
    assert len(list(read_annotated(tmp_path))) == 10


def test_another_run_is_not_mixed_in(tmp_path):
    write([image(0)], tmp_path, source="test:1", seed=0)
    with pytest.raises(ValueError, match="another run"):
        write([image(0)], tmp_path, source="test:1", seed=1)


def test_damage_is_noticed_when_reading(tmp_path):
    write([image(0)], tmp_path)
    file = tmp_path / "shard-00000.jsonl"
    file.write_text(file.read_text().replace("take", "push"))
    with pytest.raises(ValueError, match="not what the manifest says"):
        list(read_annotated(tmp_path))


def test_images_of_different_sizes_go_to_different_shards(tmp_path):
    manifest = write([image(0), image(1), image(2, 24), image(3, 24), image(4)], tmp_path)
    assert [shard["n"] for shard in manifest["shards"]] == [2, 2, 1]
    assert manifest["counts"]["items"] == 5
    assert [back.view.rgb.shape[0] for back in read_annotated(tmp_path)] == [16, 16, 24, 24, 16]


def test_what_could_not_be_read_is_counted_with_its_reason(tmp_path):
    items = [
        Unreadable("a", "torn"),
        image(0),
        Unreadable("b", "burnt"),
        *map(image, range(1, 6)),
        Unreadable("c", "wet"),
    ]
    manifest = write(items, tmp_path)
    assert manifest["counts"] == {"items": 9, "images": 6, "annotations": 6, "unreadable": 3}
    assert [u["file"] for u in manifest["unreadable"]] == ["a", "b", "c"]


def test_nothing_readable_is_an_error_with_the_first_reason(tmp_path):
    with pytest.raises(ValueError, match=r"nothing in test: could be labelled.*a: torn"):
        write([Unreadable("a", "torn")], tmp_path, source="test:")


def test_kinds_are_not_mixed_and_not_confused(tmp_path):
    write_episode(tmp_path / "in" / "episode0", steps=3)
    with pytest.raises(ValueError, match="not both"):
        write([image(0), *episodes(tmp_path / "in")], tmp_path / "out")
    write([image(0)], tmp_path / "images")
    with pytest.raises(ValueError, match="'annotated', not 'episodes'"):
        list(read_episodes(tmp_path / "images"))
    with pytest.raises(ValueError, match=r"manifest\.json is missing"):
        list(read_annotated(tmp_path))


@pytest.fixture
def labelled(tmp_path):
    poses = write_episode(tmp_path / "in" / "episode0", cameras=("front", "wrist"), phrases=["reach it"])
    write(episodes(tmp_path / "in"), tmp_path / "out", source="rlbench:in")
    return tmp_path / "out", poses


def test_an_episode_has_a_label_for_every_frame(labelled):
    folder, poses = labelled
    (found,) = read_episodes(folder)
    assert found.camera == "front" and list(found.episode.instructions) == ["reach it"]
    assert len(found.labels) == len(found.episode.observations) == 12
    for t, one in enumerate(found.labels):
        px, _ = camera().project(poses[t, :3, 3])
        assert np.allclose(one.path.uv[0] * 32, px) and one.frames[-1] == 11
        assert [s for _, s in one.path.events] == [Gripper.CLOSED]


def test_an_episode_comes_back_as_it_was(labelled):
    folder, poses = labelled
    (found,) = read_episodes(folder)
    observation = found.episode.observations[5]
    assert list(observation.views) == ["front", "wrist"]
    view = observation.views["front"]
    assert np.allclose(view.depth_m, depth_image(poses, 5), atol=1e-4)
    assert np.allclose(view.camera.world_from_camera, camera().world_from_camera)
    assert np.allclose(observation.tool_pose_world, poses[5]) and observation.time_s == pytest.approx(0.25)


def test_the_arrays_of_an_episode_are_where_the_format_says(labelled):
    folder, _ = labelled
    with np.load(folder / "ep-00000.npz", allow_pickle=False) as arrays:
        shapes = {name: arrays[name].shape for name in arrays.files}
        assert arrays["depth_mm10_front"].dtype == np.uint16
        assert arrays["gripper_open"].tolist() == [True] * 7 + [False] * 5
        index, keyframe = arrays["keypose_index"], arrays["keyframe"]
        assert index[0] == 0 and (np.diff(index) >= 0).all() and index.max() == len(arrays["keyposes"]) - 1
        assert keyframe[7] and keyframe[11] and not keyframe[0]
        assert np.allclose(arrays["keyposes"][index[0]], arrays["tool_poses_world"][np.flatnonzero(keyframe)[0]])
    assert shapes["rgb_wrist"] == (12, 32, 32, 3) and shapes["world_from_camera_front"] == (12, 4, 4)
    record = json.loads((folder / "ep-00000.json").read_text())
    assert len(record["labels"]) == 12 and record["labels"][0]["visible"]


def test_the_path_is_drawn_on_the_first_frame(labelled):
    folder, poses = labelled
    drawn = np.asarray(Image.open(folder / "drawn" / "ep-00000.png"))
    u, v = camera().project(poses[-1, :3, 3])[0].astype(int)
    assert drawn.shape == (32, 32, 3) and np.ptp(drawn[v - 1 : v + 2, u - 1 : u + 2].astype(int)) > 60


def test_an_episode_whose_image_breaks_is_left_out_and_the_rest_is_kept(tmp_path):
    for number in range(3):
        write_episode(tmp_path / "in" / f"episode{number}", steps=3)
    (tmp_path / "in" / "episode1" / "front_rgb" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    manifest = write(episodes(tmp_path / "in"), tmp_path / "out", source="rlbench:in")
    assert manifest["counts"] == {"items": 3, "episodes": 2, "frames": 6, "unreadable": 1}
    assert "2.png" in manifest["unreadable"][0]["reason"] and "episode1" in manifest["unreadable"][0]["file"]
    assert [e.episode.provenance.source for e in read_episodes(tmp_path / "out")] == [
        "rlbench:episode0",
        "rlbench:episode2",
    ]


def test_an_unknown_camera_or_a_missing_robot_is_a_reason(tmp_path):
    write_episode(tmp_path / "in" / "episode0", steps=3)
    (episode,) = episodes(tmp_path / "in")
    with pytest.raises(ValueError, match="no camera 'side'; there are front"):
        write([episode], tmp_path / "a", camera="side")
    with pytest.raises(ValueError, match="not recorded"):
        write([replace(episode, tool_poses_world=None)], tmp_path / "b")


def test_a_run_with_a_page_to_look_at(tmp_path, capsys):
    write_episode(tmp_path / "in" / "episode0", steps=3)
    write_episode(tmp_path / "in" / "episode1", steps=3, cameras=())
    label(episodes(tmp_path / "in"), tmp_path / "out", source="rlbench:in")
    page = np.asarray(Image.open(tmp_path / "out" / "paths.png"))
    assert page.shape[1] >= 200 and page.std() > 10
    out, err = capsys.readouterr()
    assert out == "" and "left out episode1: low-dimensional data only" in err


def test_the_page_of_a_set_of_images(tmp_path):
    label([image(i) for i in range(30)], tmp_path, source="test:30", seed=0, total=30)
    width, height = Image.open(tmp_path / "paths.png").size
    assert width == 6 * 224 and height == 4 * 254  # the first 24
