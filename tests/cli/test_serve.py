"""`hamster serve policy` as a process: where it listens, whom it lets in, how it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from contextlib import contextmanager

import pytest

from hamster.cli import main
from tests.serving.policy.fakes import foreign_client, observation, view

pytestmark = pytest.mark.slow

TIMEOUT_S = 120


@contextmanager
def process(*arguments, **environment):
    command = [sys.executable, "-m", "hamster", "serve", "policy", "--port", "0", *arguments]
    env = {k: v for k, v in os.environ.items() if k != "HAMSTER_API_KEY"} | environment
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)
    try:
        line = server.stdout.readline()
        found = re.search(r"ws://([\d.]+):(\d+)", line)
        assert found, line + server.stderr.read()
        yield server, found[1], int(found[2])
    finally:
        server.kill()
        server.communicate()


def test_it_serves_the_bundled_policy_on_this_machine_only_and_ends_on_sigterm():
    with process() as (server, host, port):
        assert host == "127.0.0.1"
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=10) as answer:
            assert answer.read() == b"OK\n"
        with foreign_client(port) as ask:
            about = ask.metadata
            assert about["policy"] == "nano" and about["family"] and len(about["weights_sha256"]) == 64
            assert isinstance(about["needs_depth"], bool) and about["cameras"]
            assert about["actions"]["columns"] == ["x", "y", "z", "qw", "qx", "qy", "qz", "gripper"]
            seen = dict.fromkeys(about["cameras"], view())
            assert ask(observation(views=seen))["actions"].shape[1:] == (8,)
            lacking = ask(observation(views={"elsewhere": view()}))
            assert '"invalid"' in lacking and about["cameras"][0] in lacking
        server.send_signal(signal.SIGTERM)
        assert server.wait(TIMEOUT_S) == 0
        assert server.stderr.read() == ""  # requests are logged with --verbose only


def test_others_are_let_in_with_a_key_only(capsys, monkeypatch):
    monkeypatch.delenv("HAMSTER_API_KEY", raising=False)
    assert main(["serve", "policy", "--host", "0.0.0.0", "--port", "0"]) == 2
    assert "HAMSTER_API_KEY" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [(["--policy", "nonsense"], "nonsense"), (["--deadline-s", "0"], "> 0"), (["--clients", "-1"], "> 0")],
)
def test_a_users_error_is_one_line(arguments, word, capsys):
    assert main(["serve", "policy", "--port", "0", *arguments]) == 2
    line = capsys.readouterr().err
    assert word in line and line.count("\n") == 1


def test_a_taken_port_is_one_line(capsys):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as taken:
        assert main(["serve", "policy", "--port", str(taken.getsockname()[1])]) == 2
    assert "address already in use" in capsys.readouterr().err
