import io
import json
import os
import pickle

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from hamster.data import Episode, Unreadable
from hamster.data.lerobot import LeRobot, read_traces, trace_content, trace_from_content
from hamster.data.robots import RECORDED_FROM_TOOL
from hamster.path import Gripper, Path2D
from tests.data.lerobot_files import (
    FPS,
    FRONT,
    SIZE,
    camera,
    keypoints,
    read_picture,
    states,
    tips,
    write_dataset,
    write_sidecar,
)  # fmt: skip
from tests.data.real import real_data

EVERY_FORM = [("v3.0", "video"), ("v3.0", "parquet"), ("v2.1", "video"), ("v2.1", "parquet")]


@pytest.mark.parametrize(("version", "images"), EVERY_FORM)
def test_every_form_gives_the_same_episodes(tmp_path, version, images):
    source = LeRobot(write_dataset(tmp_path / "set", version, images=images))
    assert len(source) == 3 and source.uri == f"lerobot:{tmp_path / 'set'}" and source.per_shard == 1
    for number, frames in enumerate([8, 6, 7]):
        episode = source[number]
        assert isinstance(episode, Episode), episode
        assert list(episode.instructions) == [f"do thing {number % 2}"] and len(episode.observations) == frames
        assert np.allclose(episode.tool_poses_world[:, :3, 3], tips(frames), atol=1e-6)
        assert np.allclose(episode.tool_poses_world[:, :3, :3], np.diag([1, -1, -1]), atol=1e-6)
        assert episode.gripper.tolist() == states(frames)[:, 7].tolist()
        assert [read_picture(o.views["front"].rgb) for o in episode.observations] == [
            (number, i) for i in range(frames)
        ]
        last = episode.observations[-1]
        assert last.time_s == pytest.approx((frames - 1) / FPS) and last.gripper == 0
        assert np.allclose(last.views["front"].camera.world_from_camera, camera().world_from_camera)
        assert len(episode.provenance.sha256) == 64 and episode.provenance.file.endswith(".parquet")


def test_images_may_be_webp(tmp_path, monkeypatch):
    def webp(rgb):
        file = io.BytesIO()
        Image.fromarray(rgb).save(file, "WEBP", lossless=True)
        return file.getvalue()

    monkeypatch.setattr("tests.data.lerobot_files.png", webp)
    episode = LeRobot(write_dataset(tmp_path / "set", "v3.0", images="parquet"))[1]
    assert [read_picture(o.views["front"].rgb) for o in episode.observations] == [(1, i) for i in range(6)]


def test_a_source_is_small_and_its_items_are_read_alone_and_in_any_order(tmp_path):
    source = LeRobot(write_dataset(tmp_path / "set"))
    assert len(pickle.dumps(source)) < 1000 and list(tmp_path.iterdir()) == [tmp_path / "set"]
    there = pickle.loads(pickle.dumps(source))
    assert read_picture(there[2].observations[5].views["front"].rgb) == (2, 5)
    assert read_picture(there[0].observations[1].views["front"].rgb) == (0, 1)
    with pytest.raises(IndexError):
        source[3]


def test_several_tasks_in_an_episode_hold_for_their_frames_only(tmp_path):
    tasks = [["second", "second", "first", "first", "second", "second", "second", "second"], "other", "other"]
    source = LeRobot(write_dataset(tmp_path / "set", tasks=tasks))
    assert source[0].instructions == () and source[0].texts == ("second", "first")
    assert [(part.text, part.first, part.stop) for part in source[0].parts] == [
        ("second", 0, 2), ("first", 2, 4), ("second", 4, 8)
    ]  # fmt: skip
    assert source[1].instructions == ("other",) and source[1].parts == ()


def test_a_camera_that_moves_is_a_column(tmp_path):
    def moved(n):
        poses = np.tile(camera().world_from_camera, (n, 1, 1))
        poses[:, 0, 3] += np.arange(n) / 100
        poses[1] = np.nan
        return {"camera.front.pose": poses.reshape(n, 16).tolist()}

    folder = write_dataset(tmp_path / "set", extra=moved)
    write_sidecar(folder, world_from_camera="camera.front.pose")
    views = [observation.views["front"] for observation in LeRobot(folder)[1].observations]
    assert views[1].camera is None and views[3].camera.world_from_camera[0, 3] == pytest.approx(1 + 0.03)
    write_sidecar(folder, world_from_camera="nowhere")
    assert "names the column 'nowhere'" in LeRobot(folder)[1].reason


def test_without_a_sidecar_there_is_no_camera_but_there_are_pictures(tmp_path):
    episode = LeRobot(write_dataset(tmp_path / "set", sidecar=False))[0]
    assert episode.observations[0].views["front"].camera is None and episode.tool_poses_world is not None


@pytest.mark.parametrize(
    ("names", "values", "poses", "opening"),
    [
        (["x", "y", "z", "roll", "pitch", "yaw", "pad", "gripper"], [1, 2, 3, 0, 0, np.pi / 2, 0, 1], True, None),
        (["x", "y", "z", "axis_angle1", "axis_angle2", "axis_angle3", "gripper", "gripper"],
         [1, 2, 3, 0, 0, np.pi / 2, 0.02, -0.02], True, 1.0),
        (["x", "y", "z", "qx", "qy", "qz", "qw", "gripper_closed"], [1, 2, 3, 0, 0, 0.5**0.5, 0.5**0.5, 1], True, 0.0),
        (["j1", "j2", "j3", "j4", "j5", "j6", "j7", "gripper_open"], [1, 2, 3, 4, 5, 6, 7, 0.25], False, 0.25),
    ],
    ids=["bridge", "libero", "quaternion", "joints"],
)  # fmt: skip
def test_the_robot_is_known_by_the_names_of_its_columns(tmp_path, names, values, poses, opening):
    folder = write_dataset(tmp_path / "set", names=names, states=lambda n: np.tile(np.array(values, float), (n, 1)))
    episode = LeRobot(folder)[0]
    assert (episode.tool_poses_world is not None) == poses
    if poses:
        turned = np.array([[0, -1, 0, 1], [1, 0, 0, 2], [0, 0, 1, 3], [0, 0, 0, 1.0]])
        if "axis_angle1" in names:  # LIBERO's, whose hand is turned against the tool
            turned = turned @ RECORDED_FROM_TOOL["robosuite"]
        assert np.allclose(episode.tool_poses_world, turned, atol=1e-6)
    assert (episode.gripper is None) == (opening is None)
    assert opening is None or np.allclose(episode.gripper, opening)


def test_the_sidecar_says_what_a_column_means(tmp_path):
    folder = write_dataset(tmp_path / "set", names=None, sidecar=False)
    assert LeRobot(folder)[0].tool_poses_world is None
    robot = {"tool_position": "observation.state[0:3]", "tool_rotation": "observation.state[3:7]",
             "rotation": "quaternion_wxyz", "gripper": "observation.state[7]", "open": 0, "closed": 1}  # fmt: skip
    (folder / "meta" / "cameras.json").write_text(json.dumps({"robot": robot}))
    episode = LeRobot(folder)[0]
    assert np.allclose(episode.tool_poses_world[:, :3, 3], tips(8), atol=1e-6)
    assert episode.gripper.tolist() == (1 - states(8)[:, 7]).tolist()
    (folder / "meta" / "cameras.json").write_text(json.dumps({"robot": robot | {"rotation": "quat"}}))
    with pytest.raises(ValueError, match="rotation 'quat'; there are quaternion_wxyz"):
        LeRobot(folder)


@pytest.mark.parametrize("moving", [False, True])
def test_keypoints_in_the_frames_calibrate_the_camera(tmp_path, moving):
    folder = write_dataset(tmp_path / "set", "v2.1", sidecar=False, extra=lambda n: keypoints(n, moving=moving))
    source = LeRobot(folder)
    episode, known = source[0], source.keypoints_uv(0)["front"]
    for t, observation in enumerate(episode.observations):
        view = observation.views["front"]
        px, depth_m = view.camera.project(episode.tool_poses_world[t, :3, 3])
        assert np.allclose(px / SIZE, known[t], atol=0.01) and depth_m > 0
        assert np.allclose(view.camera.intrinsics, camera().intrinsics, atol=1e-3)
    assert np.allclose(episode.tool_poses_world[:, :3, 3], tips(8), atol=1e-9)


def test_keypoints_that_were_rounded_calibrate_no_camera_that_moves(tmp_path):
    def rounded(n):
        return keypoints(n, moving=True, decimals=0)

    episode = LeRobot(write_dataset(tmp_path / "set", "v2.1", sidecar=False, extra=rounded))[0]
    assert all(observation.views["front"].camera is None for observation in episode.observations)


class Runs:
    def __init__(self, folder):
        self.folder = folder

    def __reduce__(self):
        return os.mkdir, (str(self.folder),)


def test_a_pickled_column_runs_nothing(tmp_path):
    def hostile(n):
        return keypoints(n) | {"annotation.tcp_3d_trace": [pickle.dumps(Runs(tmp_path / "ran"))] * n}

    item = LeRobot(write_dataset(tmp_path / "set", "v2.1", sidecar=False, extra=hostile))[0]
    assert isinstance(item, Unreadable) and "posix.mkdir" in item.reason and not (tmp_path / "ran").exists()


def test_a_dataset_without_its_videos_still_has_its_states(tmp_path):
    folder = write_dataset(tmp_path / "set", "v2.1", images="none")
    info = json.loads((folder / "meta" / "info.json").read_text())
    info["features"][FRONT]["dtype"] = "video"
    (folder / "meta" / "info.json").write_text(json.dumps(info))
    (folder / "meta" / "episodes.jsonl").unlink()
    (folder / "data" / "chunk-000" / "episode_000001.parquet").unlink()
    source = LeRobot(folder)
    assert [source[i].provenance.extra["episode"] for i in range(len(source))] == [0, 2]
    assert source[1].provenance.extra["images"] == "absent"
    view = source[1].observations[0].views["front"]
    assert view.rgb.shape == (32, 48, 3) and not view.rgb.any() and view.camera is not None


def cut(file, keep=0.5):
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * keep)])


def no_frames(folder):
    file = folder / "data" / "chunk-000" / "episode_000001.parquet"
    pq.write_table(pq.read_table(file).slice(0, 0), file)


def nan_pose(folder):
    file = folder / "data" / "chunk-000" / "episode_000001.parquet"
    table = pq.read_table(file)
    values = table["observation.state"].to_pylist()
    for row in values:
        row[1] = float("nan")
    at = table.column_names.index("observation.state")
    pq.write_table(table.set_column(at, "observation.state", pa.array(values)), file)


def shorter_video(folder):
    videos = folder / "videos" / "chunk-000" / FRONT
    (videos / "episode_000000.mp4").unlink()
    longer = (videos / "episode_000001.mp4").read_bytes()  # 6 frames where 8 are needed
    (videos / "episode_000000.mp4").write_bytes(longer)
    (videos / "episode_000001.mp4").unlink()


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (lambda f: cut(f / "data/chunk-000/episode_000001.parquet"), r"episode_000001\.parquet is damaged or cut off"),
        (lambda f: (f / "data/chunk-000/episode_000001.parquet").unlink(), r"episode_000001\.parquet is missing"),
        (no_frames, "0 frames"),
        (nan_pose, "'observation.state' is not finite in any frame"),
        (lambda f: cut(f / "videos/chunk-000" / FRONT / "episode_000001.mp4"), r"episode_000001\.mp4 .*cut off"),
        (lambda f: (f / "videos/chunk-000" / FRONT / "episode_000001.mp4").unlink(), r"episode_000001\.mp4 .*missing"),
        (lambda f: (f / "meta/tasks.jsonl").write_text('{"task_index": 0, "task": "a"}\n'), "task 1 is not among"),
        (shorter_video, "missing"),
    ],
)
def test_a_damaged_episode_is_unreadable_and_the_others_are_read(tmp_path, damage, reason):
    source = LeRobot(write_dataset(tmp_path / "set", "v2.1"))
    damage(source.folder)
    item = source[1]
    assert isinstance(item, Unreadable) and item.file == "data/chunk-000/episode_000001.parquet"
    assert "\n" not in item.reason
    with pytest.raises(ValueError, match=reason):
        raise ValueError(item.reason)
    assert isinstance(source[2], Episode)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codebase_version": "v1.6"}, r"version 'v1\.6'; LeRobotDataset v3\.0, v2\.1"),
        ({"fps": 0}, "fps has to be a number > 0"),
        ({"features": []}, "no `features`"),
        ({"features": {"a": {"dtype": "float32", "shape": [1e400]}}}, "'a' has the shape"),
    ],
)
def test_what_is_no_dataset_says_so_at_once(tmp_path, change, message):
    folder = write_dataset(tmp_path / "set")
    info = json.loads((folder / "meta" / "info.json").read_text())
    (folder / "meta" / "info.json").write_text(json.dumps(info | change))
    with pytest.raises(ValueError, match=message):
        LeRobot(folder)
    (folder / "meta" / "info.json").write_text("{")
    with pytest.raises(ValueError, match="not JSON"):
        LeRobot(folder)
    with pytest.raises(ValueError, match=r"meta/info\.json is missing; say lerobot:DIR"):
        LeRobot(tmp_path)


@pytest.mark.parametrize("path", ["/etc/passwd", "../{video_key}.mp4", "{video_key.__class__}", "{secret}"])
def test_paths_stay_inside_the_dataset(tmp_path, path):
    folder = write_dataset(tmp_path / "set")
    info = json.loads((folder / "meta" / "info.json").read_text())
    (folder / "meta" / "info.json").write_text(json.dumps(info | {"video_path": path}))
    reason = LeRobot(folder)[0].reason
    assert "is outside of" in reason or "unknown field" in reason or "missing" in reason


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return write_dataset(tmp_path_factory.mktemp("lerobot") / "set", "v2.1", lengths=(3, 3), extra=keypoints)


@given(st.data())
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_noise_in_any_file_is_said_in_one_line(whole, data):
    file = data.draw(st.sampled_from(sorted(f for f in whole.rglob("*") if f.is_file())))
    before = file.read_bytes()
    at, noise = data.draw(st.integers(0, len(before) - 1)), data.draw(st.binary(min_size=1, max_size=30))
    file.write_bytes(before[:at] + noise + before[at + len(noise) :])
    try:
        source = LeRobot(whole)
        for item in (source[i] for i in range(min(len(source), 3))):
            if isinstance(item, Unreadable):
                assert "\n" not in item.reason
            else:
                assert all("front" in o.damaged or o.views["front"].rgb.ndim == 3 for o in item.observations)
    except ValueError as error:
        assert "\n" not in str(error)
    finally:
        file.write_bytes(before)


def test_a_trace_comes_back_from_its_text():
    path = Path2D([[0.25, 0.5], [1, 0]], [Gripper.UNKNOWN, Gripper.OPEN], [0.5, 0.75], 0.5)
    back, record = trace_from_content(trace_content(path, "go", ["visible", "occluded"], {"method": "stroke"}))
    assert back == path and record["instruction"] == "go" and record["how"]["method"] == "stroke"
    for text in ["", "[]", "{}", '{"format": "hamster-trace/1"}', '{"format": "hamster-trace/1", "uv": [[2, 0]]}']:
        with pytest.raises(ValueError, match=r"trace|path record"):
            trace_from_content(text)


def test_traces_are_read_by_episode(tmp_path):
    def rows(n):
        text = trace_content(Path2D([[0.5, n / 10]], [Gripper.UNKNOWN]))
        event = {"role": "assistant", "content": text, "style": "trace", "camera": FRONT, "tool_calls": None}
        other = {**event, "style": "vqa", "content": "?"}
        return {"language_events": [[event, other], *[[] for _ in range(n - 1)]]}

    folder = write_dataset(tmp_path / "set", extra=rows)
    first, *rest = read_traces(folder, 1)
    assert first[FRONT][0].uv.tolist() == [[0.5, 0.6]] and rest == [{}] * 5
    assert read_traces(write_dataset(tmp_path / "plain"), 0) == []


def test_real_episodes_project_onto_their_keypoints():
    source = LeRobot(real_data("a-lerobot-internvla-sim"))
    for number in range(len(source)):
        episode, known = source[number], source.keypoints_uv(number)
        assert isinstance(episode, Episode) and set(episode.gripper) == {0.0, 1.0}
        for name in ("base_view", "base_view_2"):
            for t in range(0, len(episode.observations), 40):
                view = episode.observations[t].views[name]
                px, _ = view.camera.project(episode.tool_poses_world[t, :3, 3])
                assert np.abs(px / view.camera.size_px - known[name][t]).max() < 0.005


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_byte_order_marks_line_separators_and_float_indices_are_read(tmp_path, version):
    """As Windows editors and pandas write them."""
    text = "put it\u2028there"
    folder = write_dataset(tmp_path / "set", version, tasks=[text, text, text])
    expected = [episode.tool_poses_world for episode in LeRobot(folder)]
    meta = folder / "meta"
    for file in [*meta.glob("*.json"), *meta.glob("*.jsonl")]:
        content = file.read_text()
        if file.suffix == ".jsonl":
            lines = [json.loads(line) for line in content.split("\n") if line.strip()]
            content = "\n".join(json.dumps(line, ensure_ascii=False) for line in lines)
        file.write_bytes(b"\xef\xbb\xbf" + content.replace('"episode_index": 1', '"episode_index": 1.0').encode())
    for file in meta.glob("episodes/*/*.parquet"):
        table = pq.read_table(file)
        for name in table.column_names:
            if pa.types.is_integer(table[name].type):
                table = table.set_column(table.column_names.index(name), name, table[name].cast(pa.float64()))
        pq.write_table(table, file)
    episodes = list(LeRobot(folder))
    assert [episode.instructions for episode in episodes] == [(text,)] * 3
    assert all(np.array_equal(e.tool_poses_world, before) for e, before in zip(episodes, expected, strict=True))
    assert episodes[1].observations[2].views["front"].rgb.shape == (32, 48, 3)
