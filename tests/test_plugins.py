import contextlib
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from hamster.cli.app import main, parse
from hamster.plugins import import_plugin, plugins
from tests import forks
from tests.commands import run_hamster

SOURCE = """
from dataclasses import dataclass
from pathlib import Path
from hamster.data import Unreadable
from hamster.data.registry import register_source
import neighbour

@register_source("{scheme}", "DIR")
@dataclass(frozen=True)
class Mine:
    folder: Path
    per_shard: int = 1

    @property
    def uri(self):
        return f"{scheme}:{{self.folder}}"

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return Unreadable(f"{{index}}.npz", neighbour.REASON)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "plugin_of_a_test.py").write_text(SOURCE.format(scheme="mine"))
    (tmp_path / "neighbour.py").write_text("REASON = 'read by the plugin'\n")
    (tmp_path / "in").mkdir()
    return tmp_path


def hamster(folder: Path, *words: str) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of a command in a folder, in a process of its own."""
    printed = folder / "printed"
    printed.mkdir(exist_ok=True)
    with contextlib.chdir(folder):
        return forks.output(run_hamster, words, printed, imported=("hamster.cli", "hamster.label.label_run"))


@pytest.mark.parametrize("plugin", ["plugin_of_a_test", "plugin_of_a_test.py"])
@pytest.mark.parametrize("workers", ["1", "2"])
def test_a_file_of_the_users_registers_a_source_here_and_in_workers(folder, plugin, workers):
    code, _, errors = hamster(folder, "label", "mine:in", "-o", "out", "--workers", workers, "--import", plugin)
    assert code == 2 and "0.npz: read by the plugin" in errors, errors


def test_help_lists_what_is_registered(folder):
    _, printed, _ = hamster(folder, "--import=plugin_of_a_test.py", "label", "--help")
    assert "mine:DIR" in " ".join(printed.split()), printed


def test_a_script_run_by_its_own_main_labels_with_its_own_source(folder):
    (folder / "script.py").write_text(
        textwrap.dedent(SOURCE.format(scheme="script"))
        + textwrap.dedent("""
        if __name__ == "__main__":
            from hamster.data.registry import open_source
            from hamster.label.label_run import label
            try:
                label([open_source("script:in")], Path("out"), workers=2)
            except ValueError as error:
                print("said:", error)
        """)
    )
    done = subprocess.run([sys.executable, "script.py"], cwd=folder, capture_output=True, text=True, timeout=100)
    assert "said: " in done.stdout and "read by the plugin" in done.stdout, done.stderr + done.stdout


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("1 / 0", ("bad_plugin.py cannot be imported", "ZeroDivisionError", "line 2")),
        ("def f(:", ("bad_plugin.py cannot be imported", "SyntaxError")),
        ("import not_there_at_all", ("No module named 'not_there_at_all'", "line 2")),
    ],
)
def test_what_a_plugin_raises_is_one_line_with_its_place(text, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("bad_plugin.py").write_text(f"\n{text}\n")
    assert main(["--import", "bad_plugin.py", "label", "tabletop:1", "-o", "x"]) == 2
    line = capsys.readouterr().err
    assert line.count("\n") == 1 and all(word in line for word in words), line


@pytest.mark.parametrize(
    ("plugin", "words"),
    [
        ("no_such_plugin", "no module 'no_such_plugin' on the search path"),
        ("no_such_plugin.py", "no file"),
        ("json.py", "'json', which is another module"),
        ("my_file", "did you mean --import my_file.py?"),
    ],
)
def test_what_cannot_be_found_is_said(plugin, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [entry for entry in sys.path if entry])
    Path("json.py").touch()
    Path("my_file.py").touch()
    if plugin == "my_file":
        monkeypatch.setattr("hamster.plugins.import_module", absent)
    with pytest.raises(ValueError, match=words):
        import_plugin(plugin)
    assert not any("no_such_plugin" in name for name in plugins())


def absent(name):
    raise ModuleNotFoundError(name=name)


@pytest.mark.parametrize("argv", [["--import"], ["label", "--import", "--seed", "3"]])
def test_an_import_without_a_name_is_refused(argv):
    with pytest.raises(ValueError, match="--import needs"):
        parse(argv)


def test_what_to_do_next_names_the_same_imports(folder):
    script = "from hamster.plugins import import_plugin; from hamster.terminal import show_next\n"
    script += "import_plugin('plugin_of_a_test.py'); show_next('hamster eval --suite mine')"
    done = subprocess.run([sys.executable, "-c", script], cwd=folder, capture_output=True, text=True, check=True)
    assert done.stderr == "next: hamster --import plugin_of_a_test.py eval --suite mine\n"


DRAWN = """
from dataclasses import dataclass
import numpy as np
import hamster
from hamster.data import AnnotatedImage, Annotation, Provenance

@hamster.register_source("dots", "N", has_images=True)
@dataclass(frozen=True)
class Dots:
    count: int
    seed: int
    per_shard: int = 8

    @property
    def uri(self):
        return f"dots:{self.count}"

    def __len__(self):
        return self.count

    def __getitem__(self, index):
        uv = np.random.default_rng([self.seed, index]).uniform(0.2, 0.8, (2, 2))
        path = hamster.Path2D(uv, np.array([0, 1]))
        image = hamster.View(np.random.default_rng(index).integers(0, 255, (32, 32, 3), np.uint8))
        return AnnotatedImage(image, [Annotation(f"go {index}", path)], Provenance(self.uri))
"""


def test_a_label_set_goes_on_with_the_same_code_only(tmp_path):
    (tmp_path / "dots_of_a_test.py").write_text(DRAWN)
    command = ("--import", "dots_of_a_test.py", "label", "dots:3", "-o", "out", "--workers", "1")
    assert hamster(tmp_path, *command)[0] == 0
    assert hamster(tmp_path, *command)[0] == 0
    (tmp_path / "dots_of_a_test.py").write_text(DRAWN + "\n# changed\n")
    code, _, errors = hamster(tmp_path, *command)
    assert code == 2 and "its code was" in errors, errors
    assert json.loads((tmp_path / "out" / "manifest.json").read_text())["counts"]["paths"] == 3


def test_an_installed_package_needs_no_import(folder):
    info = folder / "theirs-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[hamster.sources]\nmine = plugin_of_a_test:Mine\n[hamster.planners]\nbad = no_such_module:X\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    command = [sys.executable, "-m", "hamster"]
    done = subprocess.run(
        [*command, "label", "mine:in", "-o", "out", "--workers", "1"],
        cwd=folder,
        env=env,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2 and "0.npz: read by the plugin" in done.stderr, done.stderr
    done = subprocess.run([*command, "plan", "--help"], env=env, capture_output=True, text=True, check=True)
    assert re.search(r"\bnano, ([\w-]+, )*bad\b", " ".join(done.stdout.split()))
    done = subprocess.run(
        [*command, "eval", "--planner", "bad", "--out", "o"], cwd=folder, env=env, capture_output=True, text=True
    )
    assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    assert "planner 'bad' of no_such_module:X (distribution theirs 1.0) cannot be imported" in done.stderr
