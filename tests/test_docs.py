"""Run what the documents tell a reader to type, and resolve their links."""

import ast
import builtins
import os
import re
import shlex
import subprocess
import sys

import pytest

from hamster.cli.app import main, parse
from tests import forks
from tests.commands import run_hamster, run_python
from tests.data.lerobot_files import write_dataset
from tests.markdown import LANGUAGES, ROOT, anchors, documents, links, prose, snippets

pytestmark = pytest.mark.slow

DOCUMENTS = [document for document in documents() if document not in ("docs/log.md", "CHANGELOG.md")]
SCRIPTS = ["Makefile", *(str(file.relative_to(ROOT)) for file in sorted((ROOT / "runs").glob("*.sh")))]
RUN = [document for document in DOCUMENTS if any(not s.not_run for s in snippets(document, "bash", "python"))]
# Names in snippets that stand for what a reader has.
THEIRS = {"observation", "robot", "rgb", "depth_m", "k", "pose", "tool_pose", "uv"}
NUMBERS = {"N": "1", "S": "1", "SHARE": "0.5", "WxH": "640x480"}


def commands(document):
    """Yield the arguments of each `hamster …` of a document, as somebody would type them who gives every option."""
    if document.endswith(".md"):
        bash = "".join(snippet.text for snippet in snippets(document, "bash"))
        lines = [*bash.replace("\\\n", " ").splitlines(), *re.findall(r"`([^`\n]*\bhamster [^`\n]+)`", prose(document))]
    else:
        text = (ROOT / document).read_text().replace("$(HAMSTER)", "hamster").replace("$(ARGS)", "")
        lines = text.replace("\\\n", " ").splitlines()
    for line in lines:
        line = re.sub(r"--import \S+ ", "", line)  # a file of the reader's
        line = re.sub(r"^docker run .* hamster (hamster )?", "hamster ", line)
        line = re.sub(r"\\?\|[^\s\]]+", "", line)  # the first of several alternatives
        line = re.sub(r"\[:weight\]|…", "", line).replace("[", "").replace("]", "")
        words = shlex.split(line, comments=True) if line.count("'") % 2 == 0 else []
        starts = [i for i, word in enumerate(words) if word in ("hamster", ".venv/bin/hamster")]
        if starts and "$@;" not in words and not {"echo", "docker"} & set(words):
            yield tuple(NUMBERS.get(word, word) for word in words[starts[0] + 1 :] if word not in ("&&", "&"))


EVERY = sorted(
    {(document, command) for document in (*DOCUMENTS, *SCRIPTS) for command in commands(document) if command}
)


@pytest.mark.parametrize(
    ("document", "command"), EVERY, ids=lambda value: value if isinstance(value, str) else " ".join(value)
)
def test_every_command_in_the_documents_is_accepted(document, command, capsys):
    named_only = not any(word.startswith("-") for word in command) and all(re.fullmatch("[a-z-]+", w) for w in command)
    try:
        parse([*command, "--help"] if named_only else command)
    except SystemExit as exit_:
        assert exit_.code == 0, f"{document}: hamster {shlex.join(command)}\n{capsys.readouterr().err}"


def test_commands_are_found_at_all():
    assert len(EVERY) > 60
    assert ("README.md", ("data", "show", "labels/cheap")) in EVERY
    assert ("docs/install.md", ("demo", "--episodes", "4", "--out", "outputs/demo")) in EVERY
    assert any(document == "Makefile" and command[:2] == ("bench", "label") for document, command in EVERY)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_block_has_a_known_language(document):
    text = (ROOT / document).read_text()
    blocks = snippets(document)
    assert len(re.findall(r"^\s*```", text, re.MULTILINE)) == 2 * len(blocks), "a block is not fenced by ``` alone"
    assert {block.language for block in blocks} <= set(LANGUAGES)
    assert len(re.findall(r"^<!-- not run:", text, re.MULTILINE)) == sum(bool(block.not_run) for block in blocks), (
        "a mark without a block below it"
    )


def imported(node):
    return {alias.asname or alias.name.partition(".")[0] for alias in getattr(node, "names", ())}


@pytest.mark.parametrize("document", DOCUMENTS)
def test_a_piece_of_python_uses_only_what_it_imports_or_the_reader_has(document):
    for block in snippets(document, "python"):
        nodes = list(ast.walk(ast.parse(block.text)))
        names = [node for node in nodes if isinstance(node, ast.Name)]
        made = {node.id for node in names if isinstance(node.ctx, ast.Store)}
        made |= {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        made |= {node.name for node in nodes if isinstance(node, ast.ExceptHandler) and node.name}
        made |= {node.arg for node in nodes if isinstance(node, ast.arg)}
        made = made.union(*(imported(node) for node in nodes if isinstance(node, ast.Import | ast.ImportFrom)))
        assert {node.id for node in names} - made - set(dir(builtins)) <= THEIRS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with a link to docs/, and `hamster` and `python` of this environment on the PATH."""
    programs = tmp_path / "programs"
    programs.mkdir()
    for name, start in (
        ("hamster", f"{shlex.quote(sys.executable)} -m hamster"),
        ("python", shlex.quote(sys.executable)),
    ):
        (programs / name).write_text(f'#!/bin/sh\nexec {start} "$@"\n')
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    (tmp_path / "work").mkdir()
    (tmp_path / "work" / "docs").symlink_to(ROOT / "docs")
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.mark.parametrize("document", RUN)
def test_the_snippets_of_a_document_run(document, folder):
    for snippet in snippets(document, "bash", "python"):
        if snippet.not_run:
            continue
        if snippet.file:
            (folder / snippet.file).write_text(snippet.text)
            continue
        code, printed, errors = _run(snippet, folder)
        assert code == 0, f"{document}:{snippet.line}\n{snippet.text}\n{printed}\n{errors}"


def _run(snippet, folder):
    """Exit code, stdout and stderr of a snippet in a folder."""
    if snippet.language == "python":
        (folder.parent / "snippet.py").write_text(snippet.text)
        return forks.output(run_python, str(folder.parent / "snippet.py"), folder.parent)
    lines = snippet.text.replace("\\\n", " ").splitlines()
    argvs = [words for line in lines if (words := shlex.split(line, comments=True))]
    if any(words[0] != "hamster" or {"|", "&", "&&", ";", ">"} & set(words) for words in argvs):
        command = ["bash", "-euo", "pipefail", "-c", snippet.text]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
        return done.returncode, done.stdout, done.stderr
    for words in argvs:
        code, *printed = forks.output(run_hamster, words[1:], folder.parent)
        if code:
            break
    return code, *printed


def test_snippets_are_run_at_all():
    assert {"README.md", "docs/index.md", "docs/howto/data_source.md", "docs/tutorials/robot_data.md"} <= set(RUN)


def test_the_readmes_way_from_a_robots_data_to_a_training_set_runs(tmp_path, monkeypatch):
    (block,) = [block.text for block in snippets("README.md", "bash") if "check-cameras" in block.text]
    write_dataset(tmp_path / "DIR", "v3.0")
    monkeypatch.chdir(tmp_path)
    for line in block.splitlines():
        words = shlex.split(line, comments=True)[1:]
        if words[0] == "check-cameras" or words[:2] in (["label", "lerobot:DIR"], ["data", "show"], ["data", "export"]):
            words = [word.replace("labels/cheap", "labels/mine") for word in words]
            assert main(words) in ((0, 2) if words[0] == "check-cameras" else (0,)), line
    assert list((tmp_path / "trl").glob("data/*.parquet"))


@pytest.mark.parametrize("document", documents())
def test_every_link_leads_to_a_file_and_a_heading(document):
    broken = []
    for link in links(document):
        if re.match("[a-z]+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = ((ROOT / document).parent / path).resolve() if path else ROOT / document
        if not target.exists() or not target.is_relative_to(ROOT):
            broken.append(f"{link}: no such file")
        elif anchor and anchor not in anchors(str(target.relative_to(ROOT))):
            broken.append(f"{link}: no such heading")
    assert not broken


def numbers_of_tables(document):
    """Return the numbers of each table row of a document that holds a rate or a time."""
    rows = (line for line in prose(document).splitlines() if line.startswith("|") and re.search(r"\d (%|m?s\b)", line))
    return [set(re.findall(r"\d[\d.,]*", row)) for row in rows]


def test_the_readmes_tables_have_the_numbers_of_the_results_page():
    results = numbers_of_tables("docs/results.md")
    rows = numbers_of_tables("README.md")
    assert rows and [row for row in rows if not any(row <= other for other in results)] == []
