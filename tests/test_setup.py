"""The two commands of the README stand on these files."""

from __future__ import annotations

import re
import subprocess
import tomllib
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

import pytest
from packaging.requirements import Requirement

ROOT = Path(__file__).parents[1]
PINS = dict(re.findall(r"^([\w-]+)==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE))


def test_torch_is_pinned():
    assert PINS["torch"] == "2.13.0"


def test_every_direct_dependency_is_pinned():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    listed = project["project"]["dependencies"] + project["dependency-groups"]["dev"]
    listed += project["dependency-groups"]["docs"]
    extras = project["project"]["optional-dependencies"]
    listed += extras["sim"] + extras["planner"] + extras["policy"] + extras["train"]
    names = {re.match(r"[\w-]+", requirement)[0].lower() for requirement in listed} - {"hamster-vla"}
    assert names <= {name.lower() for name in PINS}


PARSE_NOTHING_FROM_OUTSIDE = {
    "annotated-doc", "markdown-it-py", "mdurl", "opentelemetry-api", "packaging", "pygments", "shellingham",
    "tqdm", "typer", "typing-extensions", "colorama",
}  # fmt: skip


def test_whatever_parses_input_from_outside_is_pinned():
    """Everything that the servers, the endpoint's client, the readers and the models bring along."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    parsers = ["pillow", "av", "safetensors", "transformers", "tokenizers", "numpy"]
    brought = [*extras["serve"], *extras["endpoint"], *extras["data"]]
    names = _with_dependencies([*parsers, *(text for text in brought if not text.startswith("hamster-vla["))])
    assert {"starlette", "h11", "pydantic-core", "anyio", "huggingface-hub", "regex"} <= names
    assert names - {_normal(name) for name in PINS} - PARSE_NOTHING_FROM_OUTSIDE == set()


def _with_dependencies(listed):
    """The names of what pip installs for these requirements, as far as it is installed here."""
    names, todo = set(), [Requirement(text) for text in listed]
    while todo:
        requirement = todo.pop()
        if (key := (_normal(requirement.name), frozenset(requirement.extras))) in names:
            continue
        names.add(key)
        try:
            below = [Requirement(text) for text in requires(requirement.name) or []]
        except PackageNotFoundError:
            continue
        todo += [
            each
            for each in below
            if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *requirement.extras))
        ]
    return {name for name, _ in names}


def _normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize("name", sorted(PINS))
def test_what_is_installed_is_what_is_pinned(name):
    try:
        installed = version(name)
    except PackageNotFoundError:
        assert name in ("pre-commit", "playwright", "axe-playwright-python")  # which no test of the suite needs
    else:
        assert installed.split("+")[0] == PINS[name]


@pytest.mark.parametrize("target", ["demo", "test", "check", "docs", "lint-fix", "eval", "train", "test-wheel"])
def test_every_target_exists(target):
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("script", ["scripts/setup.sh", "scripts/test_wheel.sh", "runs/nano.sh", ".ci/run"])
def test_scripts_are_executable_and_parse(script):
    assert (ROOT / script).stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", script], cwd=ROOT, timeout=20, check=False).returncode == 0


def test_a_wrong_word_to_the_setup_script_is_an_error():
    done = subprocess.run(
        ["scripts/setup.sh", "rnu"], cwd=ROOT, capture_output=True, text=True, timeout=20, check=False
    )
    assert done.returncode == 1 and "not 'rnu'" in done.stderr
