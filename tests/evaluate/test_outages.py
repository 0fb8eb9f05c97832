"""A planner behind a server that goes away: nothing of that becomes a number, and the same call goes on later."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from PIL import Image

from hamster.cli import main
from hamster.cli.planners import check_measured
from hamster.evaluate import EvalConfig
from hamster.evaluate.planner.run import evaluate_paths
from hamster.evaluate.run import evaluate_config
from hamster.evaluate.trials import short_name, trials
from hamster.planner import PlannerConfigurationError, PlannerUnavailableError, load_planner
from hamster.policy import bundled_policies
from hamster.rollout import BrokenEnvironmentError, rollout
from hamster.stopped import RunStoppedError
from tests.evaluate import fakes
from tests.evaluate.planner.test_run import as_they_come, image
from tests.rollout.fakes import FakeEnv, FakePlanner, FakePolicy

endpoint = pytest.importorskip("hamster.planner.endpoint")

PATH = "<ans>[(0.25, 0.32), <action>Close Gripper</action>, (0.45, 0.45)]</ans>"
ANSWER = {
    "id": "1", "object": "chat.completion", "created": 0, "model": "m",
    "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": PATH}}],
}  # fmt: skip
FAR = ((0.6, 0.2, 0.2), (0.5, 0.1, 0.3), (0.5, 0.1, 0.1))
HOLDER = "import sys, time; from pathlib import Path; from hamster.files import lock_folder\n"
HOLDER += "with lock_folder(Path(sys.argv[1])):\n    print('held', flush=True); time.sleep(60)"


class Behind(BaseHTTPRequestHandler):
    """Answers all questions but those that `server.fails` picks by number, with its status."""

    def do_GET(self):
        self._say(404, {})

    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        number, self.server.asked = self.server.asked, self.server.asked + 1
        status = self.server.fails(number)
        self._say(status, ANSWER if status == 200 else {"error": {"message": "out of memory"}})

    def _say(self, status, answer):
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@contextmanager
def serving(fails=lambda number: 200, port=0):
    server = ThreadingHTTPServer(("127.0.0.1", port), Behind)
    server.asked, server.fails = 0, fails
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    try:
        yield server, f"http://127.0.0.1:{server.server_port}/v1#m"
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Asked again once, at once."""
    monkeypatch.setattr(endpoint, "RETRY_PAUSES_S", (0.01,))


def load_worker(config):
    planners = {name: load_planner(name) for name in config.planners if name != "none"}
    return replace(fakes.load_worker(config), planners=planners)


def config_of(url, out, **more):
    return EvalConfig(**{"out": out, "planners": (url, "none"), "episodes": 6, "workers": 1, "videos": False, **more})


def kept(out):
    return [json.loads(line) for line in (out / "rollouts.jsonl").read_text().splitlines()]


def test_a_server_that_dies_stops_the_run_and_one_that_comes_back_completes_it(tmp_path):
    with serving() as (whole, url):
        port = whole.server_port
        expected = evaluate_config(config_of(url, tmp_path / "whole"), load_worker=load_worker)["conditions"]
    with serving(lambda number: 200 if number < 2 else 503, port) as (_, url):
        config = config_of(url, tmp_path / "out")
        with pytest.raises(
            RunStoppedError, match=r"3 outages of .* in a row \(.*503: out of memory\).*the same command"
        ):
            evaluate_config(config, load_worker=load_worker)
    assert [r["outcome"] for r in kept(config.out) if r["condition"] == url] == ["timeout"] * 2
    assert not (config.out / "eval_info.json").exists()
    with pytest.raises(PlannerUnavailableError, match="cannot be reached"):  # nobody is there at all
        evaluate_config(config, load_worker=load_worker)
    with serving(port=port) as (server, _):
        info = evaluate_config(config, load_worker=load_worker)
        assert server.asked == 4
    assert info["unavailable"] == {} and info["conditions"][url]["n_episodes"] == 6
    assert {condition: found["n_success"] for condition, found in info["conditions"].items()} == {
        condition: found["n_success"] for condition, found in expected.items()
    }


def test_a_single_outage_is_named_not_counted_and_measured_next_time(tmp_path):
    with serving(lambda number: 500 if number in (2, 3) else 200) as (server, url):
        config = config_of(url, tmp_path, videos=True)
        info = evaluate_config(config, load_worker=load_worker)
        [reason] = info["unavailable"][url]["reasons"]
        assert info["unavailable"][url]["n"] == 1 and reason.endswith("says 500: out of memory")
        assert info["conditions"][url]["n_episodes"] == 5 and info["conditions"]["none"]["n_episodes"] == 6
        assert "Not measured" in (tmp_path / "report.html").read_text()
        asked = server.asked
        info = evaluate_config(config, load_worker=load_worker)
        assert server.asked == asked + 1
        assert info["unavailable"] == {} and info["conditions"][url]["n_episodes"] == 6


class Diverging(fakes.SuiteEnv):
    """Breaks down at its first step, or when it is made, in the scenes that `broken` names."""

    broken, at = frozenset(), "step"

    def __init__(self, family, seed):
        if seed in self.broken and self.at == "make":
            raise BrokenEnvironmentError("the simulation diverged")
        super().__init__(family, seed)
        self.is_broken = seed in self.broken

    def step(self, tool_pose_world, gripper_open):
        if self.is_broken:
            raise BrokenEnvironmentError("the simulation diverged")
        return super().step(tool_pose_world, gripper_open)


@pytest.mark.parametrize("at", ["step", "make"])
def test_a_broken_environment_is_no_failure_of_the_policy(tmp_path, at):
    config = config_of("none", tmp_path, planners=("oracle", "none"))
    seeds = [trial.seed for trial in trials(config) if trial.condition == "oracle"]

    def bench_with(broken):
        suite = type("Broken", (Diverging,), {"broken": frozenset(broken), "at": at})
        return lambda config: replace(fakes.load_worker(config), suite=replace(open_suite, make=suite))

    open_suite = fakes.load_worker(config).suite
    info = evaluate_config(config, load_worker=bench_with([seeds[2]]))
    assert info["conditions"]["oracle"]["n_episodes"] == 5 and info["conditions"]["oracle"]["pc_success"] == 100
    assert info["unavailable"]["oracle"] == {
        "n": 1, "reasons": {"the environment broke down: the simulation diverged": 1}
    }  # fmt: skip
    assert all(record["outcome"] != "env_error" for record in kept(tmp_path))
    with pytest.raises(RunStoppedError, match=r"not counted.*environment broke down: the simulation diverged"):
        check_measured(info)
    again = evaluate_config(config, load_worker=bench_with([]))
    assert again["unavailable"] == {} and again["conditions"]["oracle"]["n_episodes"] == 6
    config = replace(config, out=tmp_path / "all")
    with pytest.raises(RunStoppedError, match=r"3 outages of \w+ in a row \(the environment broke down"):
        evaluate_config(config, load_worker=bench_with(seeds))


def test_servers_have_short_names():
    assert short_name("http://127.0.0.1:8000/v1#nano") == "127.0.0.1:8000#nano"
    assert short_name("https://models.example/v1") == "models.example"


def test_a_wrong_key_stops_at_once(tmp_path):
    with serving(lambda number: 401) as (server, url):
        with pytest.raises(PlannerConfigurationError, match="says 401"):
            evaluate_config(config_of(url, tmp_path), load_worker=load_worker)
        assert server.asked == 1


def test_an_outage_in_the_middle_of_an_episode_is_an_outcome_of_its_own():
    class Leaving(FakePlanner):
        def plan(self, image, instruction):
            if self.seen:
                raise PlannerUnavailableError("gone")
            return super().plan(image, instruction)

    result = rollout(FakeEnv(), Leaving(), FakePolicy(FAR), replan_every=1)
    assert result.outcome == "planner_unavailable" and result.message == "gone" and result.n_keyposes == 1
    assert not result.success and not result.is_measured


def measured(url, out, restart=False, weights="a"):
    images = [image(row) for row in range(6)]
    identity = {"conditions": {"planner's weights": weights}}
    return evaluate_paths({"made": images}, load_planner(url), "it", out, 6, 0, as_they_come, identity, restart)


def test_paths_alone_are_treated_alike(tmp_path):
    with serving(lambda number: 200 if number < 2 else 502) as (server, url):
        with pytest.raises(RunStoppedError, match="3 outages in a row"):
            measured(url, tmp_path)
        assert len((tmp_path / "paths.jsonl").read_text().splitlines()) == 2
        limited = (server.asked, server.asked + 1)
        server.fails = lambda number: 429 if number in limited else 200
        info = measured(url, tmp_path)
        assert info["unavailable"]["it"]["n"] == 1 and info["conditions"]["it"]["n_episodes"] == 5
        asked = server.asked
        assert measured(url, tmp_path)["conditions"]["it"]["n_episodes"] == 6 and server.asked == asked + 1
        assert measured(url, tmp_path)["unavailable"] == {} and server.asked == asked + 1
        with pytest.raises(ValueError, match=r"another run \(planner's weights was a, is b\)"):
            measured(url, tmp_path, weights="b")
        measured(url, tmp_path, restart=True, weights="b")
        assert server.asked == asked + 7


def test_the_command_says_how_to_go_on(tmp_path, capsys):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1#m"
    assert main(["eval", "--planner", url, "--episodes", "1", "--out", str(tmp_path / "eval")]) == 1
    line = capsys.readouterr().err
    assert "cannot be reached" in line and "run the same command again" in line and line.count("\n") == 1
    assert main(["eval", "planner", "tabletop-images:1", "--planner", url, "--out", str(tmp_path / "paths")]) == 1
    assert "run the same command again" in capsys.readouterr().err
    Image.new("RGB", (64, 64)).save(tmp_path / "image.png")
    assert main(["plan", str(tmp_path / "image.png"), "go", "--planner", url, "--out", str(tmp_path / "plan")]) == 2
    assert "cannot be reached" in capsys.readouterr().err


def test_an_assumed_dialect_is_said_and_can_be_chosen(tmp_path, capsys):
    Image.new("RGB", (64, 64)).save(tmp_path / "image.png")
    with serving() as (_, url):
        command = ["plan", str(tmp_path / "image.png"), "go", "--planner", url, "--out", str(tmp_path)]
        assert main(command) == 0
        said = capsys.readouterr().err
        assert "does not say in which dialect it answers; hamster is assumed" in said and "--dialect" in said
        assert main([*command, "--dialect", "hamster"]) == 0 and "assumed" not in capsys.readouterr().err


def test_other_weights_are_another_run(tmp_path):
    policy = tmp_path / "policy"
    shutil.copytree(bundled_policies()["flow-nano"], policy)
    config = EvalConfig(tmp_path / "out", planners=("none",), policy=str(policy), episodes=2, workers=1, videos=False)
    evaluate_config(config, load_worker=fakes.load_worker)
    assert evaluate_config(config, load_worker=fakes.load_worker)["meta"]["n_resumed"] == 2
    weights = policy / "model.safetensors"
    content, facts = weights.read_bytes(), weights.stat()
    weights.write_bytes(content[:-1000] + bytes(1000))  # as many bytes, of the same date
    os.utime(weights, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    with pytest.raises(
        ValueError, match=r"another run \(policy weights was \w{12}, is \w{12}\); name another --out, or"
    ):
        evaluate_config(config, load_worker=fakes.load_worker)
    assert evaluate_config(replace(config, restart=True), load_worker=fakes.load_worker)["meta"]["n_resumed"] == 0
    (config.out / "conditions.json").unlink()
    with pytest.raises(ValueError, match="suite was not noted"):
        evaluate_config(config, load_worker=fakes.load_worker)


def test_a_folder_belongs_to_one_run_at_a_time(tmp_path, capsys):
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True) as holder:
        try:
            assert holder.stdout.readline() == "held\n"
            began = time.monotonic()
            assert main(["eval", "--planner", "none", "--episodes", "1", "--out", str(tmp_path)]) == 2
            line = capsys.readouterr().err
            assert f"in use by another run (process {holder.pid}" in line and line.count("\n") == 1
            assert main(["eval", "planner", "tabletop-images:1", "--out", str(tmp_path)]) == 2
            assert "in use by another run" in capsys.readouterr().err and time.monotonic() - began < 60
        finally:
            holder.kill()


def test_another_scene_that_breaks_down_is_no_result_either(tmp_path):
    config = config_of("none", tmp_path, planners=("shuffled", "none"))
    trial = next(trial for trial in trials(config) if trial.condition == "shuffled")
    worker = fakes.load_worker(config)
    make = type("Broken", (Diverging,), {"broken": frozenset([trial.other_seed]), "at": "make"})
    record = replace(worker, suite=replace(worker.suite, make=make)).run(trial)
    assert record["outcome"] == "env_error" and record["key"] == trial.key
