"""The two commands of the README stand on these files."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PINS = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))


def test_torch_is_pinned():
    assert PINS["torch"] == "2.13.0"


def test_every_direct_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    listed += project["project"]["optional-dependencies"]["train"]
    names = {re.match(r"[\w-]+", requirement)[0].lower() for requirement in listed}
    assert names <= {name.lower() for name in PINS}


@pytest.mark.parametrize("name", sorted(PINS))
def test_what_is_installed_is_what_is_pinned(name):
    try:
        installed = version(name)
    except PackageNotFoundError:
        assert name == "pre-commit"  # the only one that no test needs
    else:
        assert installed.split("+")[0] == PINS[name]


@pytest.mark.parametrize("target", ["demo", "test", "check", "lint-fix", "eval", "train"])
def test_every_target_exists(target):
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("script", ["scripts/setup.sh", "runs/nano.sh", ".ci/run"])
def test_scripts_are_executable_and_parse(script):
    assert (ROOT / script).stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", script], cwd=ROOT, timeout=20, check=False).returncode == 0


def test_a_wrong_word_to_the_setup_script_is_an_error():
    done = subprocess.run(
        ["scripts/setup.sh", "rnu"], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1 and "not 'rnu'" in done.stderr
