"""`hamster run robot` from the command line: its options, its records, and how it ends."""

import json

import numpy as np
import pytest

from hamster.cli import robot_session
from hamster.cli.app import main, parse
from hamster.rollout.robots import ROBOTS, register_robot
from tests.rollout.fakes import FakePlanner, FakePolicy
from tests.rollout.robots.fakes import PointRobot


@pytest.fixture
def point(monkeypatch):
    """A point robot under the name "point", and models that are there at once."""
    made = []

    def make(**options):
        made.append(PointRobot(**options))
        return made[-1]

    monkeypatch.setattr(ROBOTS, "_entries", dict(ROBOTS._entries))
    register_robot("point", make)
    monkeypatch.setattr(robot_session, "load_planner", lambda *args, **options: FakePlanner())
    monkeypatch.setattr(
        robot_session, "load_policy", lambda *args, **options: FakePolicy(targets=((0.5, 0.1, 0.2),) * 2)
    )
    yield made
    ROBOTS._loaded.pop("point", None)


PATIENT = ["--command-timeout-s", "2", "--max-age-s", "3", "--duration-s", "1.5"]


def test_a_run_leaves_its_records_and_a_second_one_replaces_none(point, tmp_path, capsys):
    command = ["run", "robot", "--robot", "point", "--out", str(tmp_path), *PATIENT]
    assert main(command) == 0
    folder = tmp_path / "run-000"
    assert str(folder) in capsys.readouterr().out
    record = json.loads((folder / "run.json").read_text())
    assert record["outcome"] == "time_limit" and record["stop_confirmed"] and record["commands"] > 3
    assert record["instruction"] == "move the dot" and record["versions"]["numpy"] == np.__version__
    events = [json.loads(line)["event"] for line in (folder / "events.jsonl").read_text().splitlines()]
    assert events[0] == "start" and {"path", "action", "stop", "stopped"} <= set(events) and events[-1] == "end"
    assert (folder / "dataset" / "meta" / "info.json").exists() and (folder / "path-000.png").exists()
    assert main([*command, "--dry-run", "--planner", "none"]) == 0
    assert not (tmp_path / "run-001" / "dataset").exists() and point[1].commands == [] and point[1].stops == []


def test_a_stopped_run_is_exit_code_1_with_the_reason(point, tmp_path, capsys):
    low, high = ["0.1", "-0.6", "-0.03"], ["0.45", "0.6", "0.9"]  # the policy wants to go to x = 0.5
    command = ["run", "robot", "--robot", "point", "--out", str(tmp_path), *PATIENT]
    assert main([*command, "--workspace-low-m", *low, "--workspace-high-m", *high]) == 1
    assert "the robot was stopped: action refused: pose 0: the tip" in capsys.readouterr().err
    assert point[0].commands == [] and point[0].stops and point[0].calls == ["connect", "disconnect"]


def test_options_are_numbers_where_they_look_like_such():
    command = parse(["run", "robot", "--options", "seed=3", "latency_s=0.5", "family=press", "flag=true"])
    assert command.parsed_options() == {"seed": 3, "latency_s": 0.5, "family": "press", "flag": True}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--options", "seed"], "--options takes NAME=VALUE, got 'seed'"),
        (["--robot", "nobody"], "unknown robot 'nobody'"),
        (["--options", "nonsense=1"], "cannot be made with nonsense"),
        (["--control-hz", "5"], "need a command_timeout_s of at least 0.3 s"),
        (["--confirm"], "--confirm asks on the terminal, and there is none"),
        (["--speed-m-s", "-1"], "max_speed_m_s must be finite and > 0"),
    ],
)
def test_what_cannot_work_is_one_line_before_anything_moves(point, options, reason, tmp_path, capsys):
    robot = [] if "--robot" in options else ["--robot", "point"]
    if "nonsense=1" in options:
        ROBOTS._entries.pop("point")
        register_robot("point", PointRobot)
    assert main(["run", "robot", *robot, "--out", str(tmp_path / "out"), *options]) == 2
    assert reason in capsys.readouterr().err and point == [] and not (tmp_path / "out").exists()
