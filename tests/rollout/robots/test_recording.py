import json

import numpy as np
import pytest

from hamster.data.lerobot import LeRobot, read_traces
from hamster.rollout.robots.dataset import DatasetRecorder
from hamster.rollout.robots.recording import BackgroundRecorder, PathPictures
from tests.rollout.fakes import FakePlanner
from tests.rollout.robots.fakes import Clock, Forever, PointRobot
from tests.rollout.robots.test_loop import events, stepped, turn


def recorded(folder, *sinks, n_steps=30):
    robot = PointRobot(clock=Clock())
    loop = stepped(robot, planner=FakePlanner())
    loop.recorders = (recorder := BackgroundRecorder(sinks, loop.log),)
    turn(loop, n_steps)
    recorder.close()
    return robot, loop


def test_a_run_is_a_lerobot_dataset_with_the_commands_and_the_path(tmp_path):
    robot, _ = recorded(tmp_path, PathPictures(tmp_path), DatasetRecorder(tmp_path / "dataset", "move the dot"))
    (episode,) = LeRobot(tmp_path / "dataset")
    assert list(episode.instructions) == ["move the dot"]
    n_rows = len(robot.commands)
    assert len(episode.observations) == n_rows > 20
    info = json.loads((tmp_path / "dataset" / "meta" / "info.json").read_text())
    assert info["fps"] == 20
    poses = np.stack([command[1] for command in robot.commands])
    assert np.allclose(episode.tool_poses_world[1:], poses[:-1], atol=1e-6), "the point is where it was commanded"
    traces = read_traces(tmp_path / "dataset", 0)
    assert [len(rows) for rows in traces] == [1] + [0] * (n_rows - 1)
    assert (tmp_path / "path-000.png").read_bytes()[:4] == b"\x89PNG"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["dataset", "path-000.png"], "nothing is left over"


def test_a_sink_that_fails_is_left_out_and_the_robot_goes_on(tmp_path):
    class Full:
        def write(self, step):
            raise OSError("no space left on device")

        def close(self):
            raise AssertionError("it has been left out")

    robot, loop = recorded(tmp_path, Full(), PathPictures(tmp_path))
    assert len(events(loop, "recording_failed")) == 1 and len(robot.commands) > 20
    assert (tmp_path / "path-000.png").exists()


def test_a_slow_disk_drops_steps_and_delays_no_command():
    class Slow:
        def __init__(self):
            self.wait, self.n = Forever(), 0

        def write(self, step):
            self.wait()
            self.n += 1

        def close(self):
            pass

    log, slow = [], Slow()
    recorder = BackgroundRecorder([slow], lambda event, **details: log.append((event, details)))
    for _ in range(200):
        recorder.record(object())
    assert 130 <= recorder.n_dropped <= 136
    slow.wait.end()
    recorder.close()
    assert slow.n == 200 - recorder.n_dropped and log == [
        ("steps_not_recorded", {"number": recorder.n_dropped, "reason": "the disk is too slow"})
    ]


def test_a_recording_for_rerun(tmp_path):
    pytest.importorskip("rerun", reason="Rerun is an extra: the extra `rerun`")
    from hamster.rollout.robots.recording import RerunRecording

    recorded(tmp_path, RerunRecording(tmp_path / "run.rrd"))
    assert (tmp_path / "run.rrd").read_bytes()[:3] == b"RRF"
