import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from hamster.data import Unreadable
from hamster.data.rlbench import RLBench
from hamster.label import annotated, read_annotated, read_conversations, read_episodes, write
from hamster.label.dataset import left_out, read_manifest, shards
from hamster.label.label_item import Options
from hamster.label.label_run import label, summary
from hamster.path import Gripper
from tests.data.rlbench_files import camera, depth_image, write_episode
from tests.label.made import Images, Listed, image, talk


def same(a, b):
    return (
        np.array_equal(a.view.rgb, b.view.rgb)
        and np.allclose(a.view.camera.world_from_camera, b.view.camera.world_from_camera)
        and np.array_equal(a.segmentation, b.segmentation)
        and a.annotations[0].path == b.annotations[0].path
        and a.annotations[0].instruction == b.annotations[0].instruction
        and [vars(m) for m in a.annotations[0].mentions] == [vars(m) for m in b.annotations[0].mentions]
        and list(a.objects) == list(b.objects)
        and a.provenance == replace(b.provenance, extra={k: v for k, v in b.provenance.extra.items() if k != "how"})
    )


def test_images_round_trip(tmp_path):
    manifest = write([Images(10)], tmp_path, seed=3)
    counts = {"items": 10, "labelled": 10, "abstained": 0, "failed": 0, "images": 10, "paths": 10}
    assert manifest["counts"] == counts and [shard["n"] for shard in shards(tmp_path)] == [4, 4, 2]
    back = list(read_annotated(tmp_path))
    assert len(back) == 10 and all(same(image(i), b) for i, b in enumerate(back))
    assert {b.provenance.extra["how"]["method"] for b in back} == {"simulation"}
    assert (manifest["sources"], manifest["seed"]) == (["test:images"], 3)
    assert {"versions", "git_commit", "command"} <= set(manifest["run"])


def test_what_is_asked_for_in_vain_is_kept_and_older_sets_have_none(tmp_path):
    vain = replace(image(0), absent=("take the purple cup",))
    stored = annotated.pack([vain], "new")
    older = {
        "old.npz": stored["new.npz"],
        "old.jsonl": stored["new.jsonl"].replace(b'"absent": ["take the purple cup"], ', b""),
    }
    for name, data in (stored | older).items():
        (tmp_path / name).write_bytes(data)
    assert b"purple" not in older["old.jsonl"]
    found = [next(annotated.unpack(tmp_path, [f"{stem}.npz", f"{stem}.jsonl"])).absent for stem in ("new", "old")]
    assert list(map(list, found)) == [["take the purple cup"], []]


def test_the_arrays_and_lines_are_where_the_format_says(tmp_path):
    write([Images(2)], tmp_path)
    with np.load(tmp_path / "shard-00000.npz", allow_pickle=False) as arrays:
        assert arrays["rgb"].shape == (2, 16, 16, 3) and arrays["segmentation"].dtype == np.uint8
    lines = [json.loads(line) for line in (tmp_path / "shard-00000.jsonl").read_text().splitlines()]
    assert lines[1]["annotations"][0]["mentions"] == [[0, 4, [0, 1]], [5, 9, [1]]]
    assert lines[1]["objects"] == [{"colour": "red", "kind": "cube"}, {"colour": "blue", "kind": "cup"}]


class PulledPlugError(Exception):
    """What a power cut looks like from inside."""


def stop_after(done):
    """For `on_items`: pull the plug when so many are done."""

    def on_items(so_far):
        if so_far >= done:
            raise PulledPlugError

    return on_items


@pytest.mark.parametrize("stop", [0, 4, 8, 10])
def test_an_interrupted_run_goes_on_and_ends_up_the_same(tmp_path, stop):
    whole = write([Images(10)], tmp_path / "whole", engine="inline")
    with pytest.raises(PulledPlugError):
        write([Images(10)], tmp_path / "broken", on_items=stop_after(stop))
    assert not (tmp_path / "broken" / "manifest.json").exists()
    done = [PulledPlugError()] * stop  # what was written is not read again
    rest = Listed((*done, *map(image, range(stop, 10))), uri="test:images")
    assert write([rest], tmp_path / "broken", strict=True)["digest"] == whole["digest"]


def test_killed_at_random_moments_it_ends_up_the_same(tmp_path):
    """kill -9, not an exception; two processes, so that one shard may be done while an earlier one is not."""
    code = f"""
from pathlib import Path
from hamster.label import write
from tests.label.made import Images
if __name__ == "__main__":
    write([Images(30, delay_s=0.02, broken=7)], Path({str(tmp_path / "out")!r}), workers=2)
"""
    script = tmp_path / "run.py"
    script.write_text(code)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    for seed in range(3):
        run = subprocess.Popen([sys.executable, script], env=env, start_new_session=True)
        time.sleep(random.Random(seed).uniform(0.5, 2.0))
        os.killpg(run.pid, signal.SIGKILL)
        run.wait()
    subprocess.run([sys.executable, script], env=env, check=True)
    found, whole = read_manifest(tmp_path / "out"), write([Images(30, broken=7)], tmp_path / "whole")
    assert found["digest"] == whole["digest"] and found["counts"] == whole["counts"]
    assert whole["counts"]["failed"] == 1 and [each["file"] for each in left_out(tmp_path / "out")] == ["file 7"]


@pytest.mark.parametrize("engine", ["local", "ray"])
def test_neither_engine_nor_workers_show_in_what_is_written(tmp_path, engine):
    if engine == "ray":
        pytest.importorskip("ray", reason="Ray is an extra: the extra `ray`")
    alone = write([Images(12, broken=5)], tmp_path / "alone")
    shared = write([Images(12, broken=5)], tmp_path / engine, workers=2, engine=engine)
    assert shared["digest"] == alone["digest"] and shared["counts"] == alone["counts"]
    with pytest.raises(ValueError, match="there are local, ray"):
        write([Images(1)], tmp_path / "x", engine="spark")


def test_a_finished_run_is_not_done_again(tmp_path):
    first = write([Images(5)], tmp_path)
    assert write([Listed((PulledPlugError(),) * 5, uri="test:images")], tmp_path) == first


def test_a_damaged_shard_is_made_again(tmp_path):
    digest = write([Images(10)], tmp_path)["digest"]
    (tmp_path / "shard-00001.npz").write_bytes(b"")
    assert write([Images(10)], tmp_path)["digest"] == digest
    assert len(list(read_annotated(tmp_path))) == 10


def test_a_journal_that_was_cut_off_is_believed_up_to_there(tmp_path):
    with pytest.raises(PulledPlugError):
        write([Images(10)], tmp_path, on_items=stop_after(8))
    journal = (tmp_path / "journal.jsonl").read_bytes()
    (tmp_path / "journal.jsonl").write_bytes(journal[:-20])
    write([Images(10)], tmp_path)
    assert len(list(read_annotated(tmp_path))) == 10


def test_another_run_is_not_mixed_in(tmp_path):
    write([Images(1)], tmp_path, seed=0)
    with pytest.raises(ValueError, match="another run"):
        write([Images(1)], tmp_path, seed=1)
    with pytest.raises(ValueError, match="another run"):
        write([Images(1)], tmp_path, seed=0, options=Options(epsilon=0.1))


def test_damage_is_noticed_when_reading(tmp_path):
    write([Images(1)], tmp_path)
    file = tmp_path / "shard-00000.jsonl"
    file.write_text(file.read_text().replace("take", "push"))
    with pytest.raises(ValueError, match="not what the manifest says"):
        list(read_annotated(tmp_path))


def test_images_of_different_sizes_share_a_shard(tmp_path):
    items = (image(0), image(1, 24), image(2))
    write([Listed(items)], tmp_path)
    assert all(same(a, b) for a, b in zip(items, read_annotated(tmp_path), strict=True))


def test_what_could_not_be_read_is_counted_with_its_reason(tmp_path, capsys):
    torn = [Unreadable(name, "torn") for name in "abc"]
    items = (torn[0], image(0), torn[1], *map(image, range(1, 6)), torn[2])
    manifest = label([Listed(items)], tmp_path)
    told = summary(manifest)
    assert (told["episodes"], told["labelled"], told["abstained"], told["failed"]) == (9, 6, 0, 3)
    assert [each["file"] for each in left_out(tmp_path)] == ["a", "b", "c"]
    assert "failed: b: torn" in capsys.readouterr().err
    with pytest.raises(ValueError, match="a: torn"):
        write([Listed(items)], tmp_path / "strict", strict=True)


def test_nothing_readable_is_an_error_with_the_first_reason(tmp_path):
    with pytest.raises(ValueError, match=r"nothing in test: could be labelled.*a: torn"):
        write([Listed((Unreadable("a", "torn"),))], tmp_path)


def test_several_sources_of_several_kinds_make_one_set(tmp_path):
    write_episode(tmp_path / "in" / "episode0", steps=3)
    folder = tmp_path / "out"
    manifest = write([Images(3), RLBench(tmp_path / "in"), Listed((talk(0), talk(1)))], folder)
    assert manifest["counts"]["items"] == 6 and [s["kind"] for s in shards(folder)] == [
        "annotated", "episodes", "conversations",
    ]  # fmt: skip
    assert list(read_conversations(folder)) == [talk(0), talk(1)]
    assert (len(list(read_annotated(folder))), len(list(read_episodes(folder)))) == (3, 1)
    write([Images(1)], tmp_path / "images")
    with pytest.raises(ValueError, match="kind annotated, not 'episodes'"):
        list(read_episodes(tmp_path / "images"))
    with pytest.raises(ValueError, match=r"manifest\.json is missing"):
        list(read_annotated(tmp_path))


@pytest.fixture
def labelled(tmp_path):
    poses = write_episode(tmp_path / "in" / "episode0", cameras=("front", "wrist"), phrases=["reach it"])
    write([RLBench(tmp_path / "in")], tmp_path / "out")
    return tmp_path / "out", poses


def test_an_episode_has_a_label_for_every_frame(labelled):
    folder, poses = labelled
    (found,) = read_episodes(folder)
    assert found.camera == "front" and list(found.episode.instructions) == ["reach it"]
    assert found.method.name == "projection" and len(found.episode.provenance.sha256) == 64
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


def test_a_camera_without_depth_is_kept_as_a_video(tmp_path):
    write_episode(tmp_path / "in" / "episode0", steps=5)
    (episode,) = [RLBench(tmp_path / "in")[0]]
    flat = [replace(o, views={"front": replace(o.views["front"], depth_m=None)}) for o in episode.observations]
    write([Listed((replace(episode, observations=flat),), per_shard=1)], tmp_path / "out")
    assert (tmp_path / "out" / "ep-00000.front.mp4").is_file()
    (found,) = read_episodes(tmp_path / "out")
    for before, after in zip(flat, found.episode.observations, strict=True):
        assert np.abs(before.views["front"].rgb.astype(int) - after.views["front"].rgb).mean() < 12
        assert np.allclose(before.views["front"].camera.intrinsics, after.views["front"].camera.intrinsics)


def test_an_episode_whose_image_breaks_is_left_out_and_the_rest_is_kept(tmp_path):
    for number in range(3):
        write_episode(tmp_path / "in" / f"episode{number}", steps=3)
    (tmp_path / "in" / "episode1" / "front_rgb" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\n torn")
    manifest = write([RLBench(tmp_path / "in")], tmp_path / "out")
    counts = manifest["counts"]
    assert (counts["items"], counts["labelled"], counts["failed"], counts["frames"]) == (3, 2, 1, 6)
    (left,) = left_out(tmp_path / "out")
    assert "2.png" in left["reason"] and "episode1" in left["file"]
    assert len(list(read_episodes(tmp_path / "out"))) == 2


def test_an_unknown_camera_is_a_reason(tmp_path):
    write_episode(tmp_path / "in" / "episode0", steps=3)
    with pytest.raises(ValueError, match="no camera 'side'; there are front"):
        write([RLBench(tmp_path / "in")], tmp_path / "a", options=Options(camera="side"))


def test_a_run_with_a_page_to_look_at(tmp_path, capsys):
    write_episode(tmp_path / "in" / "episode0", steps=3)
    write_episode(tmp_path / "in" / "episode1", steps=3, cameras=())
    label([RLBench(tmp_path / "in")], tmp_path / "out")
    page = np.asarray(Image.open(tmp_path / "out" / "paths.png"))
    assert page.shape[1] >= 200 and page.std() > 10
    out, err = capsys.readouterr()
    assert out == "" and "failed: episode1: low-dimensional data only" in err


def test_the_page_of_a_set_of_images(tmp_path):
    label([Images(30)], tmp_path, seed=0)
    width, height = Image.open(tmp_path / "paths.png").size
    assert width == 6 * 224 and height == 4 * 254  # the first 24
