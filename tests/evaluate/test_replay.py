from __future__ import annotations

import json

import numpy as np
import pytest

from hamster.data import View
from hamster.evaluate.replay import episode_of, read_episodes, replay
from hamster.evaluate.rerun_log import EpisodeRecording, path_in_world
from hamster.evaluate.suites import Suite
from hamster.path import Path2D
from tests.data.rlbench_files import camera
from tests.evaluate.fakes import PathPolicy, SuiteEnv


class Listener:
    def __init__(self):
        self.paths, self.times_s = [], []

    def acted(self, time_s, observation, path, action):
        self.paths.append(path)

    def moved(self, time_s, tool_pose_world, gripper_open):
        self.times_s.append(time_s)


@pytest.fixture
def known(monkeypatch):
    """The suite and policy of the run, under the names that its eval_info.json has."""
    monkeypatch.setattr("hamster.evaluate.replay.find_suite", lambda name: Suite(("press",), SuiteEnv, 40))
    monkeypatch.setattr("hamster.policy.load_policy", lambda name, device=None: PathPolicy())


def test_every_episode_ends_again_as_it_did(finished, known):
    config, _ = finished
    records = read_episodes(config.out)
    assert len(records) == 12 and {"success", "timeout", "plan_error"} <= {r["outcome"] for r in records.values()}
    for record in records.values():
        listener = Listener()
        again = replay(config.out, record, listener)
        assert (again.outcome, again.n_steps) == (record["outcome"], record["n_steps"])
        assert [path.to_json() for path in again.paths] == record["paths"]
        assert listener.times_s == pytest.approx([SuiteEnv.dt_s * (i + 1) for i in range(again.n_steps)])
        assert all((path is None) == (record["condition"] == "none") for path in listener.paths)


def test_replanned_paths_come_at_their_steps(finished, known, tmp_path):
    config, _ = finished
    record = dict(episode_of(read_episodes(config.out), "0000-oracle"))
    info = json.loads((config.out / "eval_info.json").read_text())
    info["meta"]["replan"] = 1
    (tmp_path / "eval_info.json").write_text(json.dumps(info))
    later = Path2D([[0.2, 0.2], [0.9, 0.9]], [1, 0])
    first = replay(tmp_path, {**record, "outcome": "timeout"}, Listener())
    listener, step = Listener(), first.n_steps
    paths, steps = [*record["paths"], later.to_json()], [0, step]
    again = replay(tmp_path, {**record, "paths": paths, "path_steps": steps}, listener)
    assert again.paths[0] != later and all(path in (again.paths[0], later) for path in listener.paths)


def test_what_is_no_result_folder_is_said_with_those_below(finished, tmp_path):
    config, _ = finished
    with pytest.raises(ValueError, match="hamster eval"):
        read_episodes(tmp_path)
    with pytest.raises(ValueError, match=str(config.out)):
        read_episodes(config.out.parent)
    with pytest.raises(ValueError, match="0001-oracle, 0001-nano"):
        episode_of(read_episodes(config.out), "0001-nobody")


def test_a_path_lies_at_its_depths_or_on_what_is_seen():
    lens = camera(16)
    depth_m = np.linspace(0.5, 2.0, 256, dtype=np.float32).reshape(16, 16)
    view = View(np.zeros((16, 16, 3), np.uint8), depth_m, lens)
    path = Path2D([[0.1, 0.2], [1.0, 1.0]], [1, 0])
    px, depths_m = lens.project(path_in_world(path, view))
    assert np.allclose(px / 16, path.uv) and np.allclose(depths_m, [depth_m[3, 1], depth_m[15, 15]])
    deep = Path2D(path.uv, path.gripper, [0.7, 0.8])
    px, depths_m = lens.project(path_in_world(deep, view))
    assert np.allclose(px / 16, path.uv) and np.allclose(depths_m, [0.7, 0.8])
    assert path_in_world(path, View(view.rgb, depth_m)) is None
    assert path_in_world(path, View(view.rgb, None, lens)) is None


def test_an_episode_is_recorded_for_rerun(finished, known, tmp_path):
    pytest.importorskip("rerun", reason="Rerun is an extra: the extra `rerun`")
    config, _ = finished
    recording = EpisodeRecording(tmp_path / "a.rrd")
    replay(config.out, episode_of(read_episodes(config.out), "0000-oracle"), recording)
    recording.close()
    assert (tmp_path / "a.rrd").read_bytes()[:3] == b"RRF"
