"""The core alone, as `pip install hamster-vla` has it: nothing that an extra brings can be imported.

The commands run in forks of a process from which all those packages are hidden.
"""

import json
from importlib.metadata import requires

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from PIL import Image

from hamster.extras import MODULES, install_extra, modules_of
from tests import forks
from tests.commands import run_hamster, run_python
from tests.data.lerobot_files import write_dataset

pytestmark = pytest.mark.slow

OURS = "hamster_client"  # comes with the wheel
EXTRAS = tuple(sorted({module for modules in MODULES.values() for module in modules} - {OURS}))
WITHOUT_DATA = tuple(sorted(set(EXTRAS) - set(modules_of("data")) | {"huggingface_hub"}))
MODULES_OF_CORE = (
    "hamster", "hamster.path", "hamster.dialects", "hamster.geometry", "hamster.data", "hamster.data.registry",
    "hamster.label", "hamster.label.api", "hamster.label.label_run", "hamster.label.export",
    "hamster.label.export.llava", "hamster.planner", "hamster.policy", "hamster.rollout", "hamster.evaluate",
    "hamster.cli.app",
)  # fmt: skip
IMPORTS = f"""
import sys
for name in {MODULES_OF_CORE!r}:
    __import__(name)
print(sorted(set(sys.modules) & set({EXTRAS!r})))
"""
NAMES = "import hamster\nfor name in hamster.__all__:\n    getattr(hamster, name)\nprint(hamster.Path2D)"
TABLETOP_WITHOUT_A_SIMULATOR = "import hamster\nhamster.label('tabletop:1', out='out')"


@pytest.fixture
def core(tmp_path, monkeypatch):
    """Runs a function in an empty folder, without any extra: exit code, standard output, standard error."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HAMSTER_TRACEBACK", raising=False)

    def run(function, argument, without=EXTRAS):
        return forks.output(function, argument, tmp_path, imported=("hamster.cli",), without=without)

    return run


@pytest.mark.parametrize(("code", "printed"), [(IMPORTS, "[]\n"), (NAMES, "<class 'hamster.path.path.Path2D'>\n")])
def test_the_modules_of_the_core_need_no_extra(core, tmp_path, code, printed):
    (tmp_path / "code.py").write_text(code)
    status, out, err = core(run_python, "code.py")
    assert (status, out) == (0, printed), err


def test_python_names_what_is_missing(core, tmp_path):
    (tmp_path / "code.py").write_text(TABLETOP_WITHOUT_A_SIMULATOR)
    status, _, err = core(run_python, "code.py")
    assert status == 1 and err.splitlines()[-1].endswith(f"this needs mujoco: {install_extra('sim')}")


def test_help_and_convert_run(core, tmp_path):
    status, out, err = core(run_hamster, ["--help"])
    assert status == 0 and "convert" in out, err
    answer = "<ans>[(0.25, 0.5), (0.5, 0.75), <action>Close Gripper</action>]</ans>"
    (tmp_path / "answer.txt").write_text(answer)
    status, out, err = core(run_hamster, ["convert", "answer.txt", "--to", "compact"])
    assert status == 0 and out.strip(), err


def test_conversations_are_labelled_and_exported(core, tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    turns = [{"from": "human", "value": "<image>\nWhere is it?"}, {"from": "gpt", "value": "[(0.25, 0.75)]"}]
    (tmp_path / "points.json").write_text(json.dumps([{"id": "1", "image": "a.png", "conversations": turns}]))
    status, _, err = core(run_hamster, ["label", "points:points.json", "-o", "labels", "--engine", "inline"])
    assert status == 0, err
    status, out, err = core(run_hamster, ["data", "export", "labels", "-o", "llava", "--format", "llava"])
    assert status == 0 and json.loads(out)["rows"] == 1, err


def test_lerobot_is_labelled_and_exported_with_the_extra_data_alone(core, tmp_path):
    write_dataset(tmp_path / "set")
    label = ["label", "lerobot:set", "-o", "labels", "--engine", "inline"]
    status, _, err = core(run_hamster, label)
    assert status == 2 and install_extra("data") in err
    status, _, err = core(run_hamster, label, WITHOUT_DATA)
    assert status == 0, err
    export = ["data", "export", "labels", "-o", "copy", "--format", "lerobot"]
    status, _, err = core(run_hamster, export, WITHOUT_DATA)
    assert status == 0 and (tmp_path / "copy" / "meta" / "info.json").is_file(), err


@pytest.mark.parametrize(
    ("argv", "modules", "name"),
    [
        (["demo"], ["gymnasium", "mujoco", "torch", "transformers"], "demo"),
        (["plan", "image.png", "pick up the cup"], ["torch", "transformers"], "planner"),
        (["plan", "image.png", "pick up the cup", "--planner", "http://127.0.0.1:9/v1#m"], ["openai"], "endpoint"),
        (["plan", "image.png", "pick up the cup", "--planner", "owner/name"], ["huggingface_hub"], "planner"),
        (["eval"], ["mujoco", "torch", "transformers"], "sim,planner,policy"),
        (["eval", "--planner", "oracle,none"], ["mujoco", "torch"], "sim,policy"),
        (["eval", "planner"], ["torch"], "planner"),
        (["ablate", "--train"], ["accelerate", "mujoco"], "sim,planner,policy,train"),
        (["train", "policy"], ["accelerate", "torch"], "train"),
        (["train", "planner", "--data", "labels"], ["transformers"], "train"),
        (["train", "planner", "--data", "labels", "--config", "lora", "--model", "a/b"], ["transformers"], "finetune"),
        (["serve", "policy"], ["websockets"], "serve"),
        (["serve", "planner"], ["fastapi"], "serve"),
        (["bench", "policy"], ["torch"], "policy"),
        (["info", "flow-nano"], ["safetensors"], "policy"),
        (["label", "tabletop:1", "-o", "out"], ["mujoco"], "sim"),
        (["label", "lerobot:owner/name", "-o", "out"], ["pyarrow"], "data"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_each_command_names_the_extras_that_it_needs_in_one_line(core, tmp_path, argv, modules, name):
    Image.new("RGB", (64, 64)).save(tmp_path / "image.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "manifest.json").write_text("{}")
    status, _, err = core(run_hamster, argv)
    (line,) = err.splitlines()
    assert status == 2 and line.startswith("hamster: ") and line.endswith(install_extra(name)), err
    assert all(module in line for module in modules)


def test_what_the_core_depends_on_brings_no_extra():
    """Follow the requirements of pyproject.toml through what is installed."""
    import tomllib
    from pathlib import Path

    project = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text())["project"]
    todo, names = [Requirement(text) for text in project["dependencies"]], set()
    while todo:
        requirement = todo.pop()
        if (name := canonicalize_name(requirement.name)) not in names:
            names.add(name)
            todo += [
                below
                for below in map(Requirement, requires(name) or [])
                if below.marker is None or below.marker.evaluate({"extra": ""})
            ]
    assert names.isdisjoint({"torch", "mujoco", "gymnasium", "transformers", "safetensors", "huggingface-hub"})
