"""Mistakes in a user's own code are one line that names the place or the fix, with exit code 2."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

import hamster
from hamster import plugins
from hamster.cli.app import main
from hamster.dialects import DIALECTS, Answer, Dialect, read
from hamster.evaluate.suites import Suite
from hamster.parallel import parallel_map_unordered
from hamster.planner.load import bundled_planners
from hamster.planner.registry import _RESERVED, PLANNERS
from hamster.plugins import import_plugin, place_in_plugin
from hamster.rollout import rollout
from hamster.rollout.baselines import BASELINES
from tests.markdown import ROOT
from tests.rollout.fakes import FakeEnv, FakePlanner

IMAGE = str(ROOT / "docs" / "images" / "table.png")
PLANNER = """
import hamster

@hamster.register_planner("faulty")
class Faulty:
    def plan(self, {arguments}):
        {body}
"""


@pytest.fixture(autouse=True)
def registries(monkeypatch):
    for name in ("_imported", "_given", "_registering"):
        monkeypatch.setattr(plugins, name, dict[str, object]())
    held = [(registry, dict(registry._entries), dict(registry._loaded)) for registry in (PLANNERS, DIALECTS)]
    yield
    for registry, entries, loaded in held:
        registry._entries, registry._loaded = entries, loaded
    for name in ("faulty_plugin", "work_of_a_test"):
        sys.modules.pop(name, None)


def write_planner(folder: Path, body: str, arguments: str = "") -> str:
    file = folder / "faulty_plugin.py"
    file.write_text(PLANNER.format(body=body, arguments=arguments or "image, instruction"))
    return str(file)


@pytest.mark.parametrize(
    ("body", "arguments", "words"),
    [
        (
            "raise RuntimeError('no camera')",
            "image, instruction",
            "faulty_plugin.py, line 7, in plan: RuntimeError: no c",
        ),
        (
            "return hamster.Plan([(100, 200)])",
            "image, instruction",
            "faulty_plugin.py, line 7, in plan: ValueError: uv",
        ),
        ("return [(0.1, 0.2)]", "", "plan() of Faulty returned a list; return hamster.Plan(path)"),
        ("raise hamster.PlanError('nothing there')", "", "hamster: nothing there"),
        ("return None", "image", "plan must take (image, instruction)"),
    ],
)
def test_a_mistake_in_a_planner_is_one_line(tmp_path, capsys, body, arguments, words):
    file = write_planner(tmp_path, body, arguments)
    command = ["--import", file, "plan", IMAGE, "go", "--planner", "faulty", "--out", str(tmp_path / "out")]
    assert main(command) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert words in line, line


def test_the_traceback_of_a_plugin_is_shown_on_demand(tmp_path, monkeypatch):
    file = write_planner(tmp_path, "raise RuntimeError('no camera')")
    monkeypatch.setenv("HAMSTER_TRACEBACK", "1")
    with pytest.raises(RuntimeError, match="no camera"):
        main(["--import", file, "plan", IMAGE, "go", "--planner", "faulty", "--out", str(tmp_path / "out")])


def test_the_place_survives_a_worker_process(tmp_path):
    (tmp_path / "work_of_a_test.py").write_text("def work(item):\n    raise RuntimeError('arm off')\n")
    module = import_plugin(str(tmp_path / "work_of_a_test.py"))
    with pytest.raises(RuntimeError, match="arm off") as caught:
        list(parallel_map_unordered(module.work, [[1], [2]], workers=2))
    assert place_in_plugin(caught.value) == "work_of_a_test.py, line 2, in work"


def test_an_error_outside_of_plugins_has_no_place():
    with pytest.raises(ZeroDivisionError) as caught:
        _ = 1 // len([])
    assert place_in_plugin(caught.value) is None


def test_names_that_mean_something_already_are_refused():
    assert set(_RESERVED) >= {*bundled_planners(), *BASELINES}
    with pytest.raises(ValueError, match="'nano': the name is a bundled planner's; choose another one"):
        hamster.register_planner("nano", FakePlanner)


@pytest.mark.parametrize(
    ("member", "value", "words"),
    [
        ("step", lambda self, pose, is_open: None, "step.. of Broken returned a NoneType; return whether the task"),
        ("observe", lambda self: None, "observe.. of Broken returned a NoneType; return a hamster.Observation"),
        (
            "front_image",
            lambda self: np.zeros((8, 8, 3)),
            r"front_image.. of Broken is \(8, 8, 3\) float64; return",
        ),
        ("tool_pose_world", lambda self: np.zeros(3), r"tool_pose_world.. of Broken has shape \(3,\)"),
        ("dt_s", 0, "dt_s of Broken is 0; it must be the seconds"),
    ],
)
def test_a_mistake_in_an_environment_says_what_is_expected(member, value, words):
    broken = type("Broken", (FakeEnv,), {member: value})()

    class Stay:
        def reset(self):
            pass

        def act(self, observation, path, instruction):
            return hamster.ActionChunk(observation.tool_pose_world[None], np.array([True]))

    with pytest.raises(ValueError, match=words):
        rollout(broken, None, Stay(), max_steps=3)


def test_a_missing_member_of_an_environment_is_named():
    class Half:
        instruction, dt_s = "go", 0.1

    with pytest.raises(ValueError, match="Half is no environment yet: add observe and tool_pose_world and front_image"):
        rollout(Half(), None, None)


def test_a_suite_whose_make_takes_a_seed_alone_is_refused():
    with pytest.raises(ValueError, match=r"must take \(family, seed\).*Suite.of_environment"):
        Suite(("a",), lambda seed: FakeEnv(), 10)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Answer("text"), "returned no point"),
        (Answer(("not", "a", "text")), "must return a hamster.Path2D or an Answer"),
        ([(0.1, 0.2)], "must return a hamster.Path2D or an Answer"),
    ],
)
def test_what_a_dialect_reads_is_checked(value, words):
    hamster.register_dialect("of-a-test", _dialect(lambda text, size: value))
    with pytest.raises(ValueError, match=words):
        read("0.1 0.2", "of-a-test")


def test_a_dialect_may_read_a_path():
    path = hamster.Plan([(0.1, 0.2), (0.3, 0.4)]).path
    hamster.register_dialect("of-a-test", _dialect(lambda text, size: path))
    assert read("anything", "of-a-test").path().uv.tolist() == path.uv.tolist()


def _dialect(reader) -> Dialect:
    return Dialect(
        render=lambda path, size: "",
        read=reader,
        resolution=lambda size: (0.1, 0.1),
        grammar=lambda size, n: "x",
        place=lambda uv, size: "",
        closing="",
    )
