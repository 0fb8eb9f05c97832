"""Fine-tunings started from a page, with a process in the training's place that does what the test says."""

import json
import os
import signal
import subprocess
import sys

import pytest

from hamster.path import Path2D
from hamster.studio import finetuning
from hamster.studio.taught_planner import Recipe
from tests.studio.fakes import open_studio, picking

TRAINING = """
import json, sys, time
from pathlib import Path
folder = Path(sys.argv[1])
orders = json.loads((folder.parent / "orders.json").read_text())
(folder / "model").mkdir(exist_ok=True)
with (folder / "train.jsonl").open("a") as log:
    log.write(json.dumps({"step": 2, "elapsed_s": 4.0, "answer": 2.5}) + "\\n")
    log.write(json.dumps({"step": 4, "elapsed_s": 6.0, "answer": 1.5}) + "\\n" + '{"step"')
(folder / "held_out.jsonl").write_text(json.dumps({"step": 0, "kept/path": 0.25, "known/path": 0.5}) + "\\n")
if orders["says"]:
    print("a line before it")
    print(orders["says"], file=sys.stderr)
    sys.exit(1)
end = time.monotonic() + orders["seconds"]
while time.monotonic() < end:
    time.sleep(0.01)
"""


@pytest.fixture
def order(monkeypatch, tmp_path):
    """Says what the next training does: order(seconds=0, says="")."""
    script = tmp_path / "training.py"
    script.write_text(TRAINING)
    monkeypatch.setattr(finetuning, "COMMAND", (sys.executable, str(script)))
    monkeypatch.setattr(finetuning, "POLL_S", 0.02)

    def order(seconds=0.0, says=""):
        (tmp_path / "kept" / "planners").mkdir(parents=True, exist_ok=True)
        (tmp_path / "kept" / "planners" / "orders.json").write_text(json.dumps({"seconds": seconds, "says": says}))

    order()
    return order


@pytest.fixture
def taught(studio):
    """A studio with as many examples as are needed."""
    for i in range(finetuning.FEWEST_EXAMPLES):
        studio.put_path(picking((0.2 + 0.01 * i, 0.5))).send("keep", {"instruction": "take it"})
    return studio


def ended(studio):
    state = studio.until(lambda state: (tuning := state["fine_tuning"]) and tuning["status"] not in GOING_ON)
    return state["fine_tuning"]


GOING_ON = ("labelling", "training")
GO = {"planner": "nano", "steps": 8}


def test_too_few_examples_are_counted(order, studio):
    studio.put_path(Path2D([[0.1, 0.1], [0.5, 0.5]], [-1, -1])).send("keep", {"instruction": "go"})
    response = studio.client.post("/api/fine-tune", json=GO)
    assert response.status_code == 409 and "at least 10 kept examples, and there are 1: keep 9 more" in response.text
    assert studio.state["fine_tuning"] is None


@pytest.mark.parametrize("planner", ["oracle", "writing", "unknown"])
def test_only_the_nano_planner_is_fine_tuned(order, taught, planner):
    assert taught.refused("fine-tune", {**GO, "planner": planner}) == (400, "invalid_request")


def test_the_new_planner_is_offered_beside_the_old_one_now_and_after_another_start(order, taught, monkeypatch):
    tuning = ended(taught.send("fine-tune", GO))
    assert tuning["status"] == "done" and (tuning["step"], tuning["steps"]) == (4, 8)
    assert tuning["loss"] == [[2, 2.5], [4, 1.5]] and tuning["kept"] == [[0, 0.25]] and tuning["known"] == [[0, 0.5]]
    planners = taught.state["choices"]["planners"]
    assert planners[-1] == "nano-taught-1" and "nano" in planners
    assert taught.models.place("nano-taught-1") == str(taught.folder / "planners" / "nano-taught-1" / "model")
    with open_studio(monkeypatch, taught.folder) as again:
        assert again.state["choices"]["planners"] == planners and again.state["fine_tuning"]["status"] == "done"
        assert ended(again.send("fine-tune", GO))["name"] == "nano-taught-2"


def test_there_is_one_at_a_time_and_it_can_be_cancelled_while_the_robot_moves(order, taught):
    order(seconds=60)
    taught.send("fine-tune", GO).until(lambda state: state["fine_tuning"]["step"] == 4)
    state = taught.state
    assert state["status"] == "ready" and state["fine_tuning"]["seconds_left"] == 8.0
    assert taught.refused("fine-tune", GO) == taught.refused("fine-tune/continue") == (409, "fine_tuning")
    taught.send("run").ready()
    tuning = ended(taught.send("fine-tune/cancel"))
    assert tuning["status"] == "cancelled" and "nano-taught-1" not in taught.state["choices"]["planners"]
    assert taught.refused("fine-tune/continue") == (409, "nothing_to_continue")
    order()
    assert ended(taught.send("fine-tune", GO))["name"] == "nano-taught-2"


def test_a_process_that_is_killed_is_said_so_and_can_be_continued(order, taught):
    order(seconds=60)
    taught.send("fine-tune", GO).until(lambda state: state["fine_tuning"]["step"] == 4)
    os.kill(taught.session._fine_tunings._process.pid, signal.SIGKILL)
    tuning = ended(taught)
    assert tuning["status"] == "failed" and "killed (SIGKILL)" in tuning["message"]
    order()
    taught.send("fine-tune/continue").until(lambda state: state["fine_tuning"]["status"] == "done")
    assert taught.state["fine_tuning"]["name"] == "nano-taught-1"


def test_the_error_of_a_training_is_shown_in_one_line(order, taught):
    order(says="nothing could be labelled")
    tuning = ended(taught.send("fine-tune", GO))
    assert tuning["status"] == "failed" and tuning["message"] == "It failed: nothing could be labelled"


def test_a_studio_that_ends_ends_the_training_and_the_next_one_continues_it(order, taught, monkeypatch):
    order(seconds=60)
    taught.send("fine-tune", GO).until(lambda state: state["fine_tuning"]["step"] == 4)
    process = taught.session._fine_tunings._process
    taught.session._fine_tunings.close()
    assert process.wait(10) == -signal.SIGTERM
    order()
    with open_studio(monkeypatch, taught.folder) as again:
        tuning = again.state["fine_tuning"]
        assert tuning["status"] == "interrupted" and tuning["step"] == 4 and tuning["name"] == "nano-taught-1"
        again.send("fine-tune/continue").until(lambda state: state["fine_tuning"]["status"] == "done")


def test_what_is_no_fine_tuning_in_its_folder_is_passed_over(order, taught, monkeypatch):
    folder = taught.folder / "planners" / "nano-taught-7"
    Recipe("nano", "somewhere", 3).write(folder)
    (folder / "finetuning.json").write_text("{}")
    with open_studio(monkeypatch, taught.folder) as again:
        assert again.state["fine_tuning"] is None
        assert ended(again.send("fine-tune", GO))["name"] == "nano-taught-8"


@pytest.mark.parametrize(("seconds", "returncode"), [(60, -signal.SIGKILL), (0, 0)])
def test_the_process_ends_with_whoever_started_it_or_by_itself(seconds, returncode):
    code = (
        "import threading, time; from hamster.studio import taught_planner; "
        f"threading.Thread(target=taught_planner._end_with_parent, daemon=True).start(); time.sleep({seconds})"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, start_new_session=True)
    if seconds:
        process.stdin.close()
    assert process.wait(50) == returncode
    process.stdin.close()
