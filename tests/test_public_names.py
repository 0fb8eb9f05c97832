"""What README and docs of version 0.1.0 showed is still understood, if need be with a deprecation line."""

import importlib
import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hamster.cli.app import parse

ROOT = Path(__file__).parents[1]
SHOWN = json.loads((ROOT / "tests" / "data" / "written_by_0_1_0" / "public_names.json").read_text())


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("module", SHOWN["imports"])
def test_a_documented_name_is_imported_from_where_it_was(module):
    imported = importlib.import_module(module)
    assert [name for name in SHOWN["imports"][module] if not hasattr(imported, name)] == []


@pytest.mark.parametrize("line", SHOWN["flags"])
def test_a_command_has_the_flags_that_it_had(line):
    parse(shlex.split(line))


@pytest.mark.parametrize("line", SHOWN["documented"])
def test_a_documented_command_is_understood(line):
    parse(shlex.split(line))


def test_the_readmes_python_runs_as_it_was_shown():
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", "\n".join(SHOWN["readme"])]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0 and "Gripper.CLOSED" in done.stdout, done.stderr
