"""`hamster serve planner` as a process: where it listens, whom it lets in, how it ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time

import httpx
import pytest

from hamster.benchmarks.serve import plan_request
from hamster.cli import main
from hamster.path import Path2D
from hamster.serving.planner.serve import _name_of
from tests.planner.tiny import tiny

pytestmark = pytest.mark.slow

TIMEOUT_S = 300
SLOW = """#!/bin/sh
trap 'sleep 3; exit' TERM
echo $$ >{0}.new; mv {0}.new {0}
while :; do sleep 0.1; done
"""


def test_it_serves_the_bundled_planner_on_this_machine_only_and_ends_on_sigterm():
    command = [sys.executable, "-m", "hamster", "serve", "planner", "--port", "0"]
    env = os.environ | {"HAMSTER_API_KEY": "s3cret"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env) as server:
        try:
            line = server.stdout.readline()
            found = re.fullmatch(r"serving nano on (http://127\.0\.0\.1:[0-9]+): .*\n", line)
            assert found, line + server.stderr.read()
            with httpx.Client(base_url=found[1], timeout=TIMEOUT_S) as client:
                assert client.get("/health").json() == {"status": "ready"}
                assert client.post("/v1/plan", content=plan_request()).status_code == 401
                client.headers["authorization"] = "Bearer s3cret"
                answer = client.post("/v1/plan", content=plan_request(), headers={"content-type": "application/json"})
                assert answer.status_code == 200 and Path2D.from_json(answer.json()["path"]).score is not None
                assert "hamster_tokens_total" in client.get("/metrics").text
            server.send_signal(signal.SIGTERM)
            assert server.wait(TIMEOUT_S) == 0
            assert server.stderr.read() == ""
        finally:
            server.kill()


def test_others_are_let_in_with_a_key_only(capsys, monkeypatch):
    monkeypatch.delenv("HAMSTER_API_KEY", raising=False)
    assert main(["serve", "planner", "--host", "0.0.0.0", "--port", "0"]) == 2
    assert "HAMSTER_API_KEY" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--model", "nonsense"], "nonsense"), (["--deadline-s", "0"], "> 0"), (["--queue", "-1"], "> 0"),
        (["--backend", "vllm"], "leave out --backend vllm"),
        (["--backend", "vllm", "--model", "nonsense"], "no planner 'nonsense'"),
    ],
)  # fmt: skip
def test_a_users_error_is_one_line(arguments, word, capsys):
    assert main(["serve", "planner", "--port", "0", *arguments]) == 2
    line = capsys.readouterr().err
    assert word in line and line.count("\n") == 1


def test_vllm_that_does_not_start_is_one_line(tmp_path, capsys):
    arguments = ["--model", str(tiny("smolvlm", tmp_path)), "--backend", "vllm", "--vllm-python", "/bin/false"]
    capsys.readouterr()
    assert main(["serve", "planner", "--port", "0", *arguments]) == 2
    line = capsys.readouterr().err
    assert "vLLM did not start" in line and line.count("\n") == 1


def test_what_vllm_would_answer_wrongly_is_not_served_by_it(tmp_path, capsys):
    model = str(tiny("paligemma", tmp_path))
    capsys.readouterr()
    assert main(["serve", "planner", "--port", "0", "--backend", "vllm", "--model", model]) == 2
    line = capsys.readouterr().err
    assert "PaliGemma" in line and "leave out --backend vllm" in line and line.count("\n") == 1


def test_told_to_end_while_vllm_loads_it_leaves_none_behind(tmp_path):
    """Told twice, and by a vLLM that takes its time to end."""
    python, at_work = tmp_path / "python", tmp_path / "pid"
    python.write_text(SLOW.format(at_work))
    python.chmod(0o755)
    command = [sys.executable, "-m", "hamster", "serve", "planner", "--port", "0", "--backend", "vllm"]
    model = str(tiny("smolvlm", tmp_path / "tiny"))
    with subprocess.Popen([*command, "--model", model, "--vllm-python", str(python)]) as server:
        try:
            _wait_for(at_work.exists)
            server.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            server.send_signal(signal.SIGTERM)
            assert server.wait(TIMEOUT_S) == 0
        finally:
            server.kill()
    with pytest.raises(ProcessLookupError):
        os.kill(int(at_work.read_text()), 0)


def _wait_for(ready):
    until = time.monotonic() + TIMEOUT_S
    while not ready():
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_taken_port_is_one_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "planner", "--port", str(taken.getsockname()[1])]) == 2
    assert "address already in use" in capsys.readouterr().err.lower()


@pytest.mark.parametrize(("model", "name"), [
    ("nano", "nano"), ("Qwen/Qwen3-VL-8B", "Qwen3-VL-8B"),
    ("http://gpu:8000/v1#mine", "mine"), ("http://gpu:8000", "planner"),
])  # fmt: skip
def test_models_have_short_names(model, name, tmp_path):
    assert _name_of(model) == name
    (tmp_path / "my-model").mkdir()
    assert _name_of(f"{tmp_path}/my-model/") == "my-model"
