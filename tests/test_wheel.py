"""The wheel alone: built from this tree, installed where the repository is not, run from another folder.

`make test` installs it into an empty environment that finds the dependencies in this one's site-packages; `make
test-wheel` names, in HAMSTER_WHEEL_PYTHON, an interpreter for which everything was installed from nothing, and in
HAMSTER_WHEEL_CORE_PYTHON one for which the wheel was, without any extra.
"""

import json
import os
import re
import shlex
import signal
import site
import subprocess
import sys
import urllib.request
import venv
import zipfile
from pathlib import Path

import pytest

from tests.data.rlbench_files import write_episode

pytestmark = pytest.mark.slow

pytest.importorskip("hatchling", reason="hatchling is in the dev group: make test")

ROOT = Path(__file__).parents[1]
TIMEOUT_S = 1200  # of a machine that is busy with other tests


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(out)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=TIMEOUT_S)
    return next(out.glob("hamster_vla-*.whl"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The interpreter of an environment with nothing of the repository in it but the wheel."""
    if given := os.environ.get("HAMSTER_WHEEL_PYTHON"):
        return Path(given)
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    ours = next(folder.glob("lib/python*/site-packages"))
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-deps", str(wheel)]
    subprocess.run([*command, "--disable-pip-version-check"], check=True, capture_output=True, timeout=TIMEOUT_S)
    # A path that a .pth file adds is searched last, and its own .pth files, of editable installs, are not read.
    (ours / "dependencies.pth").write_text("\n".join(site.getsitepackages()) + "\n")
    return python


def environment(python):
    """Without what points to the repository."""
    kept = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "HAMSTER_API_KEY")}
    return kept | {"PATH": f"{python.parent}{os.pathsep}{kept['PATH']}"}


@pytest.fixture
def run(python, tmp_path):
    """Runs a command in an empty folder."""

    def run(*command):
        return subprocess.run(
            command,
            cwd=tmp_path,
            env=environment(python),
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )

    return run


def test_it_holds_what_the_tree_holds(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    tracked = subprocess.run(
        ["git", "ls-files", "src/hamster", "packages/hamster_client/src/hamster_client"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    ).stdout.split()  # fmt: skip
    assert {re.sub(r"^(packages/hamster_client/)?src/", "", name) for name in tracked} <= names
    parts = ("py.typed", "samples/table.png", "evaluate/report.css", "evaluate/report.js", "studio/static/index.html")
    checkpoints = ("planner/checkpoints/nano/model.safetensors", "policy/checkpoints/flow-nano/model.safetensors")
    assert {f"hamster/{name}" for name in (*parts, *checkpoints)} | {"hamster_client/py.typed"} <= names
    assert not [name for name in names if name.startswith("tests/")]


def test_both_packages_come_from_it(run, python):
    done = run(str(python), "-c", "import hamster, hamster_client; print(hamster.__file__, hamster_client.__file__)")
    assert done.returncode == 0, done.stderr
    assert all(str(python.parents[1]) in file and "site-packages" in file for file in done.stdout.split())


def test_the_demo_runs(run, tmp_path):
    done = run("hamster", "demo", "--episodes", "1", "--workers", "1")
    assert done.returncode == 0, done.stderr
    conditions = json.loads((tmp_path / "outputs" / "demo" / "eval_info.json").read_text())["conditions"]
    assert conditions["oracle"]["n_success"] == 1 and (tmp_path / "outputs" / "demo" / "report.html").is_file()


def test_it_plans_on_the_sample_that_it_names(run, tmp_path):
    sentence = "put the red cube on the blue plate"
    missing = run("hamster", "plan", "table.png", sentence)
    sample = missing.stderr.split()[-1]
    assert missing.returncode == 2 and "site-packages" in sample
    assert run("hamster", "plan", sample, sentence).returncode == 0
    assert (tmp_path / "outputs" / "plan" / "drawn.png").is_file()


SERVED = [("policy", "/healthz"), ("planner", "/health")]


# Where the dependencies are those of this environment, tests/cli/test_serve_planner.py serves the same files.
@pytest.mark.parametrize(("what", "health"), SERVED if "HAMSTER_WHEEL_PYTHON" in os.environ else SERVED[:1])
def test_it_serves(what, health, python, tmp_path):
    command = [str(python.parent / "hamster"), "serve", what, "--port", "0"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(python), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as server:
        try:
            line = server.stdout.readline()
            address = re.search(r"http://127\.0\.0\.1:[0-9]+", line)
            assert address, line + server.stderr.read()
            with urllib.request.urlopen(address[0] + health, timeout=60) as answer:
                assert answer.status == 200
            server.send_signal(signal.SIGTERM)
            assert server.wait(TIMEOUT_S) == 0
        finally:
            server.kill()


@pytest.mark.skipif("HAMSTER_WHEEL_CORE_PYTHON" not in os.environ, reason="make test-wheel")
def test_the_core_labels_and_says_what_it_lacks(tmp_path):
    """tests/test_core_only.py hides the packages of the extras instead."""
    python = Path(os.environ["HAMSTER_WHEEL_CORE_PYTHON"])

    def run(*argv):
        options = {"cwd": tmp_path, "env": environment(python), "timeout": TIMEOUT_S}
        command = [str(python.parent / "hamster"), *argv]
        return subprocess.run(command, capture_output=True, text=True, check=False, **options)

    listed = subprocess.run([python, "-m", "pip", "list", "--format", "json"], capture_output=True, check=True).stdout
    assert {row["name"] for row in json.loads(listed)}.isdisjoint({"torch", "mujoco", "gymnasium", "transformers"})
    for i in range(2):
        write_episode(tmp_path / "rlbench" / f"episode{i}")
    done = run("label", "rlbench:rlbench", "-o", "labels")
    assert done.returncode == 0, done.stderr
    done = run("data", "export", "labels", "-o", "llava", "--format", "llava")
    assert done.returncode == 0 and json.loads(done.stdout)["rows"] > 0, done.stderr
    done = run("demo")
    assert done.returncode == 2 and "mujoco" in done.stderr and "hamster-vla[demo]" in done.stderr


def test_gymnasium_finds_the_tabletop(run, python):
    code = "import hamster, gymnasium; print(gymnasium.make('hamster/Tabletop-v0').unwrapped)"
    done = run(str(python), "-c", code)
    assert done.returncode == 0 and "TabletopEnv" in done.stdout, done.stderr


def test_what_is_missing_is_installed_by_the_command_that_is_named(run, python):
    """Pip takes the installed distribution for its extra: no index is asked for hamster-vla, of which none knows."""
    done = run(str(python), "-c", "import hamster.extras as e; print(e.install_extra('bench'))")
    assert done.stdout == f"{python} -m pip install 'hamster-vla[bench]'\n"
    offline = [] if "HAMSTER_WHEEL_PYTHON" in os.environ else ["--no-index"]  # rdp is there already
    done = run(*shlex.split(done.stdout), "--dry-run", *offline)
    assert done.returncode == 0, done.stderr
