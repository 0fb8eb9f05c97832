"""What the documents tell a user to type is what the program understands."""

import ast
import builtins
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from hamster.cli.app import main, parse
from tests.data.lerobot_files import write_dataset

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    "README.md", "CONTRIBUTING.md", "packages/hamster_client/README.md",
    *(f"docs/{name}.md" for name in ("architecture", "cli", "dialects", "finetuning", "formats", "serving")),
]  # fmt: skip
SCRIPTS = ["Makefile", *(str(file.relative_to(ROOT)) for file in sorted((ROOT / "runs").glob("*.sh")))]
# What a reader has of their own.
THEIRS = {"observation", "robot", "rgb", "depth_m", "k", "pose", "tool_pose", "uv"}
NUMBERS = {"N": "1", "S": "1", "SHARE": "0.5", "WxH": "640x480"}


def blocks(document, language):
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / document).read_text(), re.MULTILINE | re.DOTALL)


def commands(document):
    """The arguments of each `hamster …` of a document, as somebody would type them who gives every option there is."""
    text = (ROOT / document).read_text().replace("$(HAMSTER)", "hamster").replace("$(ARGS)", "")
    if document.endswith(".md"):
        inline = re.findall(
            r"`([^`\n]*\bhamster [^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
        )
        lines = [*"".join(blocks(document, "bash")).replace("\\\n", " ").splitlines(), *inline]
    else:
        lines = text.replace("\\\n", " ").splitlines()
    for line in lines:
        line = re.sub(r"\\?\|[^\s\]]+", "", line)  # the first of several ways
        line = re.sub(r"\[:weight\]|…", "", line).replace("[", "").replace("]", "")
        words = shlex.split(line, comments=True) if line.count("'") % 2 == 0 else []
        starts = [i for i, word in enumerate(words) if word in ("hamster", ".venv/bin/hamster")]
        if starts and "$@;" not in words and "echo" not in words:
            yield tuple(NUMBERS.get(word, word) for word in words[starts[0] + 1 :] if word not in ("&&", "&"))


EVERY = sorted(
    {(document, command) for document in (*DOCUMENTS, *SCRIPTS) for command in commands(document) if command}
)


@pytest.mark.parametrize(
    ("document", "command"), EVERY, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_a_command_of_the_documents_is_understood(document, command, capsys):
    named_only = not any(word.startswith("-") for word in command) and all(re.fullmatch("[a-z-]+", w) for w in command)
    try:
        parse([*command, "--help"] if named_only else command)
    except SystemExit as exit_:
        assert exit_.code == 0, f"{document}: hamster {shlex.join(command)}\n{capsys.readouterr().err}"


def test_commands_are_found_at_all():
    assert len(EVERY) > 60
    assert ("README.md", ("data", "show", "labels/cheap")) in EVERY
    assert any(document == "Makefile" and command[:2] == ("bench", "label") for document, command in EVERY)


def imported(node):
    return {alias.asname or alias.name.partition(".")[0] for alias in getattr(node, "names", ())}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_piece_of_python_uses_only_what_it_imports_or_the_reader_has(document):
    for block in blocks(document, "python"):
        nodes = list(ast.walk(ast.parse(block)))
        names = [node for node in nodes if isinstance(node, ast.Name)]
        made = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        made |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        made |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        made = made.union(*(imported(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)))
        assert {node.id for node in names} - made - set(dir(builtins)) <= THEIRS


def test_the_readmes_python_runs():
    (block,) = blocks("README.md", "python")
    done = subprocess.run(
        [sys.executable, "-c", block], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0 and "Gripper.CLOSED" in done.stdout, done.stderr


def test_the_readmes_way_from_a_robots_data_to_a_training_set_runs(tmp_path, monkeypatch):
    (block,) = [block for block in blocks("README.md", "bash") if "check-cameras" in block]
    write_dataset(tmp_path / "DIR", "v3.0")
    monkeypatch.chdir(tmp_path)
    for line in block.splitlines():
        words = shlex.split(line, comments=True)[1:]
        if words[0] == "check-cameras" or words[:2] in (["label", "lerobot:DIR"], ["data", "show"], ["data", "export"]):
            words = [word.replace("labels/cheap", "labels/mine") for word in words]
            assert main(words) in ((0, 2) if words[0] == "check-cameras" else (0,)), line
    assert list((tmp_path / "trl").glob("data/*.parquet"))


def test_a_source_written_as_contributing_says_is_labelled(tmp_path):
    (block,) = blocks("CONTRIBUTING.md", "python")
    (tmp_path / "my_robot_source.py").write_text(block)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "0.npz").touch()
    command = [sys.executable, "-m", "hamster", "--import", "my_robot_source.py", "label", "myrobot:in", "-o", "out"]
    done = subprocess.run([*command, "--workers", "1"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and "0.npz: nothing reads it yet" in done.stderr, done.stderr
