"""`hamster studio` as a process: its link, its lock, its end."""

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from hamster.cli import main
from tests.studio.fakes import png

pytestmark = pytest.mark.slow


@pytest.fixture
def command(tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "a.png").write_bytes(png())
    # Pictures, and the expert that draws on none of them: a studio without models.
    return [
        "studio",
        "--env",
        f"images:{tmp_path / 'pictures'}",
        "--planner",
        "oracle",
        "--out",
        str(tmp_path / "kept"),
    ]


def test_it_prints_its_link_serves_and_ends(command, capsys):
    with subprocess.Popen(
        [sys.executable, "-m", "hamster", *command, "--port", "0"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ,
    ) as process:  # fmt: skip
        link = process.stdout.readline().strip()
        assert link.startswith("http://127.0.0.1:") and "/?token=" in link
        page = urllib.request.urlopen(link, timeout=60)
        assert b"<canvas" in page.read()
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(link.partition("?")[0], timeout=60)
        assert refused.value.code == 401
        assert main([*command, "--port", "0"]) == 2  # the folder belongs to the first
        assert "in use" in capsys.readouterr().err
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0 and process.stderr.read() == ""


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--env", "images:nowhere"], "nowhere"), (["--env", "video:nowhere.mp4"], "nowhere.mp4"),
        (["--env", "tabeltop"], "tabletop"), (["--seed", "-1"], "--seed"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_one_line(arguments, words, capsys, tmp_path):
    assert main(["studio", "--port", "0", "--planner", "oracle", "--out", str(tmp_path), *arguments]) == 2
    error = capsys.readouterr().err
    assert words in error and error.count("\n") == 1
