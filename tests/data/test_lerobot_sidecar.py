"""meta/cameras.json: what is read, what is refused, and what is said where it is missing."""

import json
import shutil

import numpy as np
import pytest

from hamster.cli.check_cameras import CheckCameras
from hamster.data.lerobot import LeRobot
from hamster.label.label_run import label
from tests.data.lerobot_files import FRONT, SIZE, camera, write_dataset, write_sidecar
from tests.data.real import real_data

WRIST = "observation.images.wrist"


@pytest.fixture
def folder(tmp_path):
    return write_dataset(tmp_path / "set", lengths=(8,), keys=(FRONT, WRIST))


def rewrite(folder, change):
    file = folder / "meta" / "cameras.json"
    found = json.loads(file.read_text())
    change(found)
    file.write_text(json.dumps(found))


def test_cameras_may_be_named_in_short(folder):
    rewrite(folder, lambda found: found.update(front=found.pop(FRONT)))
    views = LeRobot(folder)[0].observations[0].views
    assert np.allclose(views["front"].camera.intrinsics, camera().intrinsics) and views["wrist"].camera is None


def at(*keys, value):
    def change(found):
        for key in keys[:-1]:
            found = found[key]
        found[keys[-1]] = value

    return change


TURNED = camera().world_from_camera * [[1, 1, 1, 1], [1, 1, 1, 1], [2, 2, 2, 1], [1, 1, 1, 1]]
TRANSPOSED = camera().world_from_camera.T


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (at("frnt", value={}), "no camera 'frnt'; did you mean 'front'"),
        (at("observation.images.frnt", value={}), "did you mean 'observation.images.front'"),
        (lambda found: found.update(front=found[FRONT]), "twice, the second time as 'front'"),
        (at(FRONT, "world_from_cam", value=[]), "unknown key 'world_from_cam'; did you mean 'world_from_camera'"),
        (at(FRONT, "distortion", value=[0, 0]), "unknown key 'distortion'"),
        (at("robot", value={"tool_positon": "observation.state[0:3]"}), "did you mean 'tool_position'"),
        (at(FRONT, "convention", value="opengl"), "only 'opencv' is read"),
        (lambda found: found[FRONT].pop("width"), "lacks width"),
        (at(FRONT, "width", value="48"), "width must be a whole number of pixels, got '48'"),
        (at(FRONT, "height", value=31.5), "height must be a whole number"),
        (at(FRONT, "intrinsics", value=[[40, 0, 24], [0, 40, 16]]), r"intrinsics must be a \(3, 3\) matrix"),
        (at(FRONT, "intrinsics", value=[["a"]]), r"intrinsics must be a \(3, 3\) matrix"),
        (at(FRONT, "intrinsics", 0, 0, value=float("nan")), "intrinsics is not finite"),
        (at(FRONT, "intrinsics", 0, 0, value=0), "focal lengths must be positive"),
        (at(FRONT, "intrinsics", value=[[40, 0, 0], [0, 40, 0], [24, 16, 1]]), "row by row"),
        (
            at(FRONT, "intrinsics", value=[[400, 0, 240], [0, 400, 160], [0, 0, 1]]),
            "principal point .* is not in the image",
        ),
        (at(FRONT, "world_from_camera", value=TURNED.tolist()), "must be rigid"),
        (at(FRONT, "world_from_camera", value=TRANSPOSED.tolist()), "last row"),
        (lambda found: found[FRONT].update(width=48, height=48), "another shape, not only another scale"),
    ],
)
def test_what_is_wrong_in_it_is_said_when_the_dataset_is_opened(folder, change, message):
    rewrite(folder, change)
    with pytest.raises(ValueError, match=message) as refused:
        LeRobot(folder)
    assert "meta/cameras.json" in str(refused.value) and "\n" not in str(refused.value)


def test_a_calibration_at_another_scale_is_scaled(folder):
    lens = camera().intrinsics * [[4, 1, 4], [1, 4, 4], [1, 1, 1]]
    write_sidecar(folder, width=SIZE[0] * 4, height=SIZE[1] * 4, intrinsics=lens.tolist())
    found = LeRobot(folder)[0].observations[0].views["front"].camera
    assert np.allclose(found.intrinsics, camera().intrinsics)


def test_a_wrong_matrix_in_a_column_names_column_and_frame(tmp_path):
    def moving(n):
        poses = np.tile(camera().world_from_camera, (n, 1, 1))
        poses[3, :3, :3] *= 2
        return {"camera.pose": poses.reshape(n, 16).tolist()}

    folder = write_dataset(tmp_path / "set", lengths=(8,), extra=moving)
    write_sidecar(folder, world_from_camera="camera.pose")
    assert "camera.pose, frame 3: world_from_camera must be rigid" in LeRobot(folder)[0].reason


def test_without_it_the_source_says_what_to_write_and_that_works(folder):
    (folder / "meta" / "cameras.json").unlink()
    advice = LeRobot(folder).advice
    assert advice.startswith(f"{folder / 'meta' / 'cameras.json'} is missing: ")
    example = advice[advice.index("{") :]
    assert set(json.loads(example)) == {FRONT, WRIST}
    (folder / "meta" / "cameras.json").write_text(example)
    source = LeRobot(folder)
    assert source.advice == "" and all(v.camera is not None for v in source[0].observations[0].views.values())


def test_nothing_is_missing_where_no_tool_was_recorded(tmp_path):
    assert LeRobot(write_dataset(tmp_path / "set", names=None, sidecar=False)).advice == ""


def test_a_run_says_once_what_is_missing(folder, tmp_path, capsys):
    (folder / "meta" / "cameras.json").unlink()
    with pytest.raises(ValueError, match="could be labelled"):  # nothing moves in these images
        label([LeRobot(folder), LeRobot(folder)], tmp_path / "out")
    said = capsys.readouterr().err
    assert said.count("cameras.json is missing") == 1 and '"observation.images.front"' in said
    assert "meta/cameras.json is missing" in LeRobot(folder)[0].provenance.extra["notes"][0]


def test_check_cameras_names_the_missing_file(folder, tmp_path, capsys):
    (folder / "meta" / "cameras.json").unlink()
    with pytest.raises(ValueError, match=r"no camera of front, wrist is calibrated.*cameras\.json is missing$"):
        CheckCameras(f"lerobot:{folder}", tmp_path / "page.png").run()
    assert '"world_from_camera"' in capsys.readouterr().err


def test_check_cameras_says_why_nothing_could_be_read(folder, tmp_path):
    shutil.rmtree(folder / "data")
    with pytest.raises(ValueError, match=r"no episode could be read; the first of 1: .*file-000\.parquet is missing"):
        CheckCameras(f"lerobot:{folder}", tmp_path / "page.png").run()


def test_real_cases(tmp_path):
    source = LeRobot(real_data("f-user-cases") / "lr2" / "wrist_first")
    assert source.advice == "" and source[0].observations[0].views["cam_wrist"].camera is None
