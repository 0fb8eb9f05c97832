import sys

import pytest

from hamster.cli import main
from hamster.cli.extras import extra


@pytest.mark.parametrize(
    ("name", "module", "fix"),
    [
        ("train", "accelerate", "pip install 'hamster-vla[train]'"),
        ("finetune", "trl", "pip install 'hamster-vla[finetune]'"),
        ("serve", "hamster_client", "pip install 'hamster-vla[serve]' ./packages/hamster_client"),
    ],
)
def test_a_missing_module_is_a_line_that_says_what_installs_it(name, module, fix, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ValueError, match=f"^this needs {module}: ") as found, extra(name):
        __import__(f"{module}.anything")
    assert str(found.value).endswith(fix)


def test_what_is_no_extra_is_a_fault_of_ours():
    with pytest.raises(ModuleNotFoundError, match="no_such_module"), extra("train"):
        __import__("no_such_module")


@pytest.mark.parametrize(
    ("what", "code"), [("planner", "hamster.planner.train"), ("policy", "hamster.policy.learning.train")]
)
def test_the_command_says_it(what, code, monkeypatch, tmp_path, capsys):
    (tmp_path / "manifest.json").write_text("{}")
    monkeypatch.delitem(sys.modules, code, raising=False)
    monkeypatch.setitem(sys.modules, "accelerate", None)
    assert main(["train", what, "--data", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "this needs accelerate: pip install 'hamster-vla[train]'" in capsys.readouterr().err
