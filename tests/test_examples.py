"""Examples run as they are: the scripts in processes of their own, the notebooks in a kernel."""

import contextlib
import os
import re
import runpy
import sys
from pathlib import Path

import pytest

from tests import forks

pytestmark = pytest.mark.slow

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
NOTEBOOKS = sorted(EXAMPLES.glob("notebooks/*.ipynb"))
PRINTS = {  # a line that says what the script is for
    "label_and_finetune": r"labelled 4 of 4 episodes, skipped 0, failed 0",
    "own_data_source": r"2 of 2 episodes labelled, 0 failed",
    "own_planner": r"success after \d+ control steps",
    "own_policy": r"oracle: \d+% of 2 episodes",
    "own_suite": r"oracle: 100% of 3",
    "plan_an_image": r"waypoint 0: \(0\.\d+, 0\.\d+\)",
    "robot_loop": r"done after \d+ control steps",
    "serve_and_ask": r"\[\[ ?-?\d\.\d+ ",
}


def execute(script, folder):
    """Run a script in a folder; its output goes to a file there."""
    os.chdir(folder)
    sys.argv = [str(script)]
    with (
        Path("output").open("w") as output,
        contextlib.redirect_stdout(output),
        contextlib.redirect_stderr(output),
    ):
        runpy.run_path(str(script), run_name="__main__")


def test_all_are_listed_and_expected_to_print_something():
    readme = (EXAMPLES / "README.md").read_text()
    assert sorted(PRINTS) == [script.stem for script in SCRIPTS]
    assert all(f"({file.relative_to(EXAMPLES)})" in readme for file in [*SCRIPTS, *NOTEBOOKS])


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_a_script_runs(script, tmp_path):
    (code,) = forks.run(execute, [(script, tmp_path)])
    output = (tmp_path / "output").read_text()
    assert code == 0, output
    assert re.search(PRINTS[script.stem], output), output


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda notebook: notebook.stem)
def test_a_notebook_runs(notebook, tmp_path, monkeypatch):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    monkeypatch.setenv("JUPYTER_RUNTIME_DIR", str(tmp_path))  # nothing is left in the home folder
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    content = nbformat.read(notebook, 4)
    assert all(not cell.get("outputs") for cell in content.cells), "clear the outputs before committing"
    client = nbclient.NotebookClient(content, timeout=120, resources={"metadata": {"path": str(EXAMPLES)}})
    client.execute()
    assert any("image/png" in output.get("data", {}) for cell in content.cells for output in cell.get("outputs", []))
