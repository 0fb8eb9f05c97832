"""What version 0.1.0 wrote is read today, and means what it meant; see data/written_by_0_1_0/README.md."""

import json
import shutil
import sys
import zipfile
from pathlib import Path as FilePath

import numpy as np
import pytest
import torch
from hamster_client.wire import pack
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from hamster import __version__
from hamster.cli import main
from hamster.data import Observation, View
from hamster.evaluate.run import clear
from hamster.geometry import Camera
from hamster.identity import code_digests
from hamster.label import read_annotated, read_conversations, read_episodes
from hamster.path import Path2D, PlanError
from hamster.planner import load_planner
from hamster.planner.nano_training.augment import Augmentation
from hamster.planner.nano_training.config import TrainConfig
from hamster.planner.nano_training.train import train_planner
from hamster.policy import load_policy
from hamster.serving.planner import ModelHandle, PlannerLimits
from hamster.serving.policy import server_metadata
from hamster.serving.policy.session import Session
from tests.planner.tiny import tiny
from tests.serving.planner.fakes import HTTP, serving_as
from tests.serving.policy.fakes import observation as request

WRITTEN = FilePath(__file__).parent / "data" / "written_by_0_1_0"
RECORDED = json.loads((WRITTEN / "recorded.json").read_text())
TRAININGS, LABELS, INSTRUCTION = (RECORDED[key] for key in ("trainings", "labels", "instruction"))
CLOSE = 1e-5  # metres, and entries of a rotation matrix
WRONG = [{}, {"image": "http://localhost/a.png", "instruction": "go"}, {"image": "QUJD", "instruction": "go"}]
READ_BY = {
    "episodes": read_episodes,
    "demonstrations": read_episodes,
    "images": read_annotated,
    "drawings": read_annotated,
    "conversations": read_conversations,
}


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A copy of the files, which is also the working folder, as it was when they were written."""
    with zipfile.ZipFile(WRITTEN / "files.zip") as archive:
        archive.extractall(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 1)
    return tmp_path


def printed_by(line, capsys):
    """The last line that a command prints."""
    capsys.readouterr()
    code = main(line.split())
    out = capsys.readouterr()
    assert code == 0, out.err
    return (out.out.splitlines() or [""])[-1]


def changed(file, change):
    """Rewrite a JSON file."""
    file.write_text(json.dumps(change(json.loads(file.read_text()))))


def as_by_todays_code(folder):
    """Say of an evaluation that today's code has made it: that other code does not continue one is on purpose."""
    changed(folder / "conditions.json", lambda held: held | code_digests())


def observations():
    with np.load("observations.npz") as stored:
        held = dict(stored)
    for i in range(2):
        rgb, depth_m = held["rgb"][i], held["depth_mm10"][i].astype(np.float32) * np.float32(1e-4)
        camera = Camera(held["intrinsics"], held["world_from_camera"], rgb.shape[1], rgb.shape[0])
        tool = held["tool_poses_world"][i]
        yield Observation({"front": View(rgb, depth_m, camera)}, tool, float(held["gripper"][i]), 0.2 * i)


def picture():
    return np.asarray(Image.open("sources/sketch/lift the block.png").convert("RGB"))


@pytest.fixture
def without_policy_modules(monkeypatch):
    """As in a new process: loading a checkpoint is what imports the policy's modules."""
    packages = tuple(f"hamster.policy.{name}." for name in ("flow", "views", "image", "monolithic"))
    for name in [name for name in sys.modules if name.startswith(packages) and not name.endswith("config")]:
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("name", RECORDED["policies"])
def test_a_policys_checkpoint_gives_the_same_actions(name, written, without_policy_modules):
    policy = load_policy(f"policies/{name}", device="cpu")
    path = None if name == "monolithic" else Path2D.from_json(json.loads(FilePath("path.json").read_text()))
    for observation, expected in zip(observations(), RECORDED["policies"][name], strict=True):
        action = policy.act(observation, path, INSTRUCTION)
        np.testing.assert_allclose(action.poses, expected["poses"], atol=CLOSE)
        np.testing.assert_array_equal(action.gripper_open, expected["gripper_open"])
        assert action.step_s == expected["step_s"]
        if expected["touches"] is None:
            assert action.contact_prob is None
        else:
            np.testing.assert_allclose(action.contact_prob, expected["touches"], atol=1e-4)


@pytest.mark.parametrize("name", RECORDED["policies"])
def test_a_policys_checkpoint_is_described(name, written, capsys):
    about = json.loads(printed_by(f"info policies/{name} --json", capsys))
    assert about["policy"]["family"] == name.partition("-")[0]


def test_a_planners_checkpoint_gives_the_same_text(written):
    plan = load_planner("training/planner/model", device="cpu").plan(picture(), INSTRUCTION)
    expected = RECORDED["planner"]
    assert plan.raw_text == expected["raw_text"]
    path = Path2D.from_json(expected["path"])
    np.testing.assert_allclose(plan.path.uv, path.uv, atol=1e-9)
    np.testing.assert_array_equal(plan.path.gripper, path.gripper)
    assert plan.path.score == pytest.approx(path.score, rel=1e-3)  # through its calibration.json


def test_a_fine_tuned_model_is_asked_as_its_sidecar_says(written, tmp_path):
    folder = tiny("smolvlm", tmp_path / "vlm-of-today")
    shutil.copy("vlm/hamster.json", folder)
    planner = load_planner(folder, device="cpu", max_new_tokens=24)
    try:
        raw_text = planner.plan(picture(), INSTRUCTION).raw_text
    except PlanError as error:
        raw_text = error.raw_text
    assert raw_text == RECORDED["vlm"]["raw_text"]


@pytest.mark.parametrize("name", LABELS)
def test_a_label_set_has_the_same_items(name, written, capsys):
    assert len(list(READ_BY[name](FilePath("labels") / name))) == LABELS[name]["printed"]["labelled"]
    main(["data", "export", f"labels/{name}", "-o", "exported", "--format", "llava"])
    examples = json.loads(FilePath("exported/train.json").read_text())
    expected = json.loads(FilePath(f"readings/{name}.json").read_text())
    means = [example.pop("mean", None) for example in expected]
    assert examples == expected
    for example, mean in zip(examples, means, strict=True):
        if mean is not None:
            assert np.asarray(Image.open(f"exported/{example['image']}")).mean() == pytest.approx(mean, abs=0.5)


@pytest.mark.parametrize("name", [name for name in LABELS if name != "demonstrations"])  # whose source is not kept
def test_labelling_again_continues_a_label_set(name, written, capsys):
    folder = FilePath("labels") / name
    run, *entries = (folder / "journal.jsonl").read_text().splitlines()
    run = json.dumps(
        json.loads(run) | {"version": __version__}
    )  # that other versions do not continue one is on purpose
    (folder / "journal.jsonl").write_text("\n".join([run, *entries]) + "\n")
    before = {file.name: file.stat().st_mtime_ns for file in folder.glob("[a-z]*-0*")}
    line = f"label {LABELS[name]['source']} -o {folder} --workers 1"
    assert json.loads(printed_by(line, capsys)) == LABELS[name]["printed"]
    assert {file.name: file.stat().st_mtime_ns for file in folder.glob("[a-z]*-0*")} == before  # nothing is made again


def test_labelling_an_old_source_anew_gives_the_same_digest(written, capsys):
    for name in ("drawings", "conversations"):  # the video of `episodes` is so small that its bytes varied in 0.1.0
        line = f"label {LABELS[name]['source']} -o again/{name} --workers 1"
        assert json.loads(printed_by(line, capsys)) == LABELS[name]["printed"]


def test_an_export_is_read_with_its_cameras_and_traces(written, capsys):
    printed = json.loads(printed_by("label lerobot:export -o again --workers 1", capsys))
    assert {**printed, "digest": ""} == {**RECORDED["export"]["printed"], "digest": ""}
    before = FilePath("export/hamster_export.json").read_text()
    assert json.loads(printed_by("data export labels/demonstrations -o export --format lerobot", capsys))
    assert FilePath("export/hamster_export.json").read_text() == before  # nothing is left to do


def test_a_policys_training_goes_on(written):
    assert main([*TRAININGS["policy"]["command"].split(), "--out", "training/policy"]) == 0
    log = EventAccumulator("training/policy/tensorboard")
    log.Reload()
    sums = {}
    for tag in log.Tags()["scalars"]:
        if tag.startswith("loss/"):
            for event in log.Scalars(tag):
                sums[str(event.step)] = sums.get(str(event.step), 0.0) + event.value
    assert sums == pytest.approx(TRAININGS["policy"]["losses"], rel=1e-4)
    assert load_policy("training/policy", device="cpu")


def test_a_planners_training_goes_on(written):
    """With the configuration that it began with: presets change from version to version."""
    values = json.loads(FilePath("training/planner/config.json").read_text())
    config = TrainConfig(**values | {"augmentation": Augmentation(**values["augmentation"])})
    train_planner(config, [FilePath("labels/images")], FilePath("training/planner"))
    line = json.loads(FilePath("training/planner/train.jsonl").read_text().splitlines()[-1])
    expected = TRAININGS["planner"]["losses"]
    assert {name: line[name] for name in expected} == pytest.approx(expected, abs=2e-3)  # computed in bfloat16


def under_todays_names(text):
    """The records of a journal, with the names that version 0.1 had for them replaced."""
    for before, now in {"arm": "condition", "film": "video"}.items():
        text = text.replace(f'"{before}": ', f'"{now}": ')
    return text.replace('"motion_refused"', '"unsafe_action"')


def test_an_evaluation_goes_on(written, capsys):
    as_by_todays_code(FilePath("evaluation"))
    expected = RECORDED["evaluation"]
    kept = under_todays_names(FilePath("evaluation/rollouts.jsonl").read_text())
    printed_by(f"{expected['command']} --out evaluation", capsys)
    assert FilePath("evaluation/rollouts.jsonl").read_text().startswith(kept)
    last = json.loads(FilePath("evaluation/rollouts.jsonl").read_text().splitlines()[-1])
    for name in ("key", "instruction", "success", "outcome", "n_steps", "raw_texts"):
        assert under_todays_names(json.dumps(last[name])) == under_todays_names(
            json.dumps(expected["episodes"][-1][name])
        )
    conditions = json.loads(FilePath("evaluation/eval_info.json").read_text())["conditions"]
    for name, before in expected["arms"].items():
        for field in ("pc_success", "n_episodes", "n_success", "outcomes"):
            assert under_todays_names(json.dumps(conditions[name][field])) == under_todays_names(
                json.dumps(before[field])
            )
    assert FilePath("evaluation/report.html").is_file()


def test_an_evaluation_of_other_code_is_not_mixed_with_todays(written, capsys):
    changed(FilePath("evaluation/conditions.json"), lambda held: held | code_digests() | {"scene code": "0" * 64})
    assert main([*RECORDED["evaluation"]["command"].split(), "--out", "evaluation"]) == 2
    assert "holds another run (scene code was 000000000000, is " in capsys.readouterr().err


def test_restarting_an_evaluation_leaves_nothing_of_it(written):
    FilePath("evaluation/films").mkdir(exist_ok=True)
    clear(FilePath("evaluation"))
    assert not {"films", "stills", "rollouts.jsonl"} & {file.name for file in FilePath("evaluation").iterdir()}


def test_an_ablation_is_read(written, capsys):
    as_by_todays_code(FilePath("ablation/cells/views-training"))
    before = FilePath("ablation/cells/views-training/rollouts.jsonl").read_text()
    FilePath("ablation/ablation.json").unlink()
    printed_by(f"{RECORDED['ablation']['command']} --out ablation", capsys)
    assert json.loads(FilePath("ablation/ablation.json").read_text())["rows"] == json.loads(
        under_todays_names(json.dumps(RECORDED["ablation"]["rows"]))
    )
    assert FilePath("ablation/cells/views-training/rollouts.jsonl").read_text() == before  # none was run again


def test_an_evaluation_of_a_planner_is_read(written, capsys):
    as_by_todays_code(FilePath("planner-evaluation"))
    before = FilePath("planner-evaluation/paths.jsonl").read_text()
    printed_by(f"{RECORDED['planner-evaluation']['command']} --out planner-evaluation", capsys)
    assert FilePath("planner-evaluation/paths.jsonl").read_text() == under_todays_names(before)
    info = json.loads(FilePath("planner-evaluation/eval_info.json").read_text())
    expected = RECORDED["planner-evaluation"]["sources"]["labels/images"]
    assert {name: info["sources"]["labels/images"][name] for name in expected} == expected  # there may be more by now


def lacking(expected, value, where="answer"):
    """The recorded keys, which clients read, that are in a message no more."""
    if isinstance(expected, list):
        yield from lacking(expected[0], value[0], f"{where}[0]")
    elif expected is not None:
        for key, inner in expected.items():
            if key in value:
                yield from lacking(inner, value[key], f"{where}.{key}")
            else:
                yield f"{where}.{key}"


def test_a_robots_client_finds_the_keys_that_it_knows(written):
    expected = RECORDED["servers"]["policy"]
    policy = load_policy("policies/views", device="cpu")
    assert not list(lacking(expected["metadata"], server_metadata(policy, "policies/views")))
    assert not list(lacking(expected["answer"], Session(policy).answer(pack(request()))))


def test_a_planners_clients_find_the_keys_that_they_know(written):
    expected = RECORDED["servers"]
    planner = load_planner("training/planner/model", device="cpu")
    served = ModelHandle(
        "tiny", planner, planner.backend, planner.dialect, takes_regex=False, identity={"weights": "abc"}
    )
    png = FilePath("sources/sketch/lift the block.png").read_bytes()
    with serving_as(served, PlannerLimits(gather_s=0.001)) as url:
        answer = HTTP.post(f"{url}/v1/plan", data={"instruction": INSTRUCTION}, files={"image": png}).json()
        models, health = (HTTP.get(f"{url}/{route}").json() for route in ("v1/models", "health"))
        errors = [HTTP.post(f"{url}/v1/plan", json=body) for body in WRONG]
    assert not list(lacking(expected["planner"]["plan"], answer)) and answer["raw_text"] == expected["raw_text"]
    assert not list(lacking(expected["planner"]["models"], models))
    assert health["status"] == expected["planner"]["health"]
    assert [error.status_code for error in errors] == [status for status, _ in expected["errors"]]
