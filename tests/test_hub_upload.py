"""--push-to-hub uploads what was written, with a card; without a token or a connection it says what it would upload."""

import json
import shutil

import pytest

from hamster.cli.app import main
from hamster.hub import model_files
from hamster.hub_upload import check_repo, model_upload, push
from hamster.label.upload import dataset_upload
from hamster.planner.load import BUNDLED
from hamster.policy import bundled_policies, load_policy
from tests.label.export.made import images
from tests.local_hub import TOKEN, local_hub

FLOW = next(iter(bundled_policies().values()))


@pytest.fixture
def hub(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    uploads = tmp_path / "hub"
    with local_hub({}, uploads) as address:
        monkeypatch.setenv("HF_ENDPOINT", address)
        yield uploads


@pytest.fixture
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


def test_a_policy_is_uploaded_with_a_card_into_a_private_repository(hub):
    address = push(model_upload(FLOW, "me/flow"))
    there = hub / "models" / "me" / "flow"
    assert address.endswith("/me/flow") and json.loads((there / ".private").read_text()) is True
    for file in model_files(FLOW):
        assert (there / file.name).read_bytes() == file.read_bytes()
    card = (there / "README.md").read_text()
    assert card.startswith("---\n") and "# A policy of HAMSTER" in card and 'hamster.load_policy("me/flow")' in card
    assert "## Provenance" in card and "| seed | 0 |" in card
    assert load_policy(there).cameras == load_policy(FLOW).cameras


def test_a_planner_is_uploaded_with_its_tokenizer_and_calibration(hub):
    upload = model_upload(BUNDLED / "nano", "me/nano")
    assert {"calibration.json", "tokenizer.json", "chat_template.jinja"} <= {file.name for file in upload.files}
    assert "# A planner of HAMSTER" in upload.card


def test_what_only_resumes_a_training_is_not_uploaded(tmp_path):
    folder = tmp_path / "out"
    shutil.copytree(FLOW, folder)
    (folder / "state.safetensors").write_bytes(b"optimizers")
    (folder / "tensorboard").mkdir()
    (folder / "tensorboard" / "events").write_bytes(b"")
    (folder / "README.md").write_text("# Mine\n")
    upload = model_upload(folder, "me/flow")
    assert {file.name for file in upload.files} == {file.name for file in model_files(FLOW)}
    assert upload.card == "# Mine\n"


def test_a_label_set_is_uploaded_whole_and_alone(hub, tmp_path):
    labels = images(tmp_path)
    (labels / "notes.txt").write_text("not of the label set")
    push(dataset_upload(labels, "me/labels"))
    there = hub / "datasets" / "me" / "labels"
    assert "hamster train planner --data me/labels" in (there / "README.md").read_text()
    assert dataset_upload(there, "me/again").files == dataset_upload(labels, "me/labels").files
    assert not (there / "notes.txt").exists()


@pytest.mark.parametrize("format", ["llava", "lerobot"])
def test_an_export_is_uploaded_with_a_card(hub, tmp_path, capsys, format):
    if format == "lerobot":
        pytest.importorskip("pyarrow")
    out = tmp_path / "out"
    words = ["data", "export", str(images(tmp_path)), "-o", str(out), "--format", format, "--push-to-hub", "me/paths"]
    assert main(words) == 0
    assert "uploaded: http://127.0.0.1" in capsys.readouterr().out
    there = hub / "datasets" / "me" / "paths"
    written = {file.relative_to(out) for file in out.rglob("*") if file.is_file() and not file.name.startswith(".")}
    assert {file.relative_to(there) for file in there.rglob("*") if file.name not in (".private", "README.md")} >= (
        written - {*out.glob("README.md")} - {file for file in written if file.name == "README.md"}
    )
    assert "robotics" in (there / "README.md").read_text()


@pytest.mark.parametrize("missing", ["token", "connection", "offline"])
def test_what_cannot_be_uploaded_is_described_in_one_line(monkeypatch, tmp_path, capsys, missing):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1" if missing == "offline" else "0")
    monkeypatch.setattr("huggingface_hub.get_token", lambda: None if missing == "token" else TOKEN)
    labels, out = images(tmp_path), tmp_path / "out"
    words = ["data", "export", str(labels), "-o", str(out), "--format", "llava", "--push-to-hub", "me/paths"]
    assert main(words) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith("hamster: not uploaded (") and "it would be the dataset me/paths: " in line, line
    assert " files, " in line and "and the card README.md of " in line
    assert {"token": "hf auth login", "connection": "127.0.0.1", "offline": "HF_HUB_OFFLINE"}[missing] in line


def test_a_wrong_name_is_refused_before_the_work(tmp_path, capsys):
    assert main(["data", "export", str(tmp_path), "-o", str(tmp_path / "out"), "--format", "llava",
                 "--push-to-hub", "paths"]) == 2  # fmt: skip
    assert "--push-to-hub needs OWNER/NAME" in capsys.readouterr().err
    for name in ("me/x@v1", "a/b/c", ""):
        with pytest.raises(ValueError, match="OWNER/NAME"):
            check_repo(name)


def test_a_folder_that_holds_nothing_of_ours_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"config\.json is missing"):
        model_upload(tmp_path, "me/x")
    with pytest.raises(ValueError, match=r"manifest\.json is missing"):
        dataset_upload(tmp_path, "me/x")
