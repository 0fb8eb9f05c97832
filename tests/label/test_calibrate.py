"""Cameras of sources are calibrated from clicks, markers and keypoints, and the result is read back."""

import json

import cv2
import numpy as np
import pytest

from hamster.cli import main
from hamster.data import Episode, Observation, Provenance, View
from hamster.data.lerobot import LeRobot
from hamster.geometry import Camera, look_at, matrix_from_rotation_vector, pose
from hamster.geometry.calibration import UndeterminedCameraError
from hamster.label.calibrate import CalibrationOptions, calibrate
from hamster.label.image_points import find_marker, read_clicks
from tests.data.lerobot_files import FRONT, SIZE, camera, write_dataset

WIDE = Camera([[300.0, 0, 160], [0, 300, 120], [0, 0, 1]], look_at([1.2, 0.3, 0.9], [0.4, 0, 0.2]), 320, 240)
MARKER = cv2.aruco.generateImageMarker(cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36H11), 7, 40)


def motion(frames, seed=0):
    """Return tool poses (T, 4, 4) all over the workspace."""
    rng = np.random.default_rng(seed)
    places = rng.uniform([0.25, -0.2, 0.05], [0.55, 0.2, 0.35], (frames, 3))
    down = np.diag([1.0, -1, -1])
    return np.array([pose(p, down @ matrix_from_rotation_vector(rng.normal(0, 0.4, 3))) for p in places])


class Source:
    uri, per_shard = "test:", 1

    def __init__(self, frames=24, offset=(0, 0, 0), intrinsics=True, keypoints=True, draws=True):
        self.poses, self.offset = [motion(frames, seed) for seed in range(2)], np.array(offset)
        self.intrinsics, self.has_keypoints, self.draws = intrinsics, keypoints, draws

    def __len__(self):
        return 2

    def seen_px(self, index):
        poses = self.poses[index]
        return WIDE.project(poses[:, :3, :3] @ self.offset + poses[:, :3, 3])[0]

    def keypoints_uv(self, index):
        return {"front": self.seen_px(index) / WIDE.size_px} if self.has_keypoints else {}

    def __getitem__(self, index):
        lens = Camera(WIDE.intrinsics, np.eye(4), 320, 240) if self.intrinsics else None
        images = [picture(px) if self.draws else np.zeros((240, 320, 3), np.uint8) for px in self.seen_px(index)]
        observations = [
            Observation({"front": View(rgb, None, lens)}, None, None, t / 10) for t, rgb in enumerate(images)
        ]
        return Episode(("do",), observations, Provenance("test:"), self.poses[index])


def picture(px):
    """Draw a marker of 40 pixels whose middle is at a place, on a light background."""
    rgb = np.full((240, 320, 3), 220, np.uint8)
    shift = np.array([[1.0, 0, px[0] - 20], [0, 1, px[1] - 20]])
    padded = cv2.warpAffine(MARKER, shift, (320, 240), borderValue=220, flags=cv2.INTER_LINEAR)
    return np.minimum(rgb, padded[..., None])


def error(result, poses):
    there, here = (c.project(poses[:, :3, 3])[0] for c in (result.fit.camera, WIDE))
    return np.median(np.linalg.norm(there - here, axis=1)) / WIDE.width


def test_markers_are_found_to_a_fraction_of_a_pixel_and_calibrate():
    source = Source()
    points = find_marker(source[0], "front", "apriltag_36h11")
    off = points.uv * WIDE.size_px - source.seen_px(0)[points.frames]
    assert len(points.frames) > 12 and np.abs(np.median(off, axis=0)).max() < 0.3
    result = calibrate(source, None, CalibrationOptions("marker"))
    assert error(result, source.poses[0]) < 0.005 and result.fit.median_px < 0.6
    assert len(result.pictures) > 4 and "points agree, of 2 episodes" in str(result)


def test_a_marker_beside_the_tip_is_found_with_its_place():
    source = Source(offset=(0.02, -0.03, -0.05))
    result = calibrate(source, "front", CalibrationOptions("marker", fit_offset=True))
    np.testing.assert_allclose(result.fit.offset_tool_m, source.offset, atol=0.006)
    assert error(result, source.poses[0]) < 0.01


def test_keypoints_of_the_source_and_its_focal_length():
    source = Source(intrinsics=False, draws=False)
    with pytest.raises(ValueError, match="intrinsics of camera front are not known: give them, --intrinsics"):
        calibrate(source, None, CalibrationOptions("keypoints"))
    result = calibrate(source, None, CalibrationOptions("keypoints", fit_focal=True))
    assert error(result, source.poses[0]) < 1e-3
    assert result.fit.camera.intrinsics[0, 0] == pytest.approx(300, rel=0.01)
    with pytest.raises(ValueError, match="no episode shows where the tool is"):
        calibrate(Source(keypoints=False, draws=False), None, CalibrationOptions("keypoints"))
    with pytest.raises(ValueError, match="no camera 'back'; say --camera with one of front"):
        calibrate(source, "back", CalibrationOptions("keypoints"))


def test_a_tool_that_rests_determines_nothing():
    source = Source(draws=False)
    source.poses = [np.repeat(source.poses[0][:1], 24, 0)] * 2
    with pytest.raises(UndeterminedCameraError, match="which determines no camera"):
        calibrate(source, None, CalibrationOptions("keypoints"))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("[", "not JSON"),
        ("{}", "is no list"),
        ("[3]", "point 0: known are camera, episode, frame, px"),
        ('[{"frame": 0, "pixel": [1, 2]}]', "got 'pixel'"),
        ('[{"frame": -1, "px": [1, 2]}]', "numbers from 0 on"),
        ('[{"frame": true, "px": [1, 2]}]', "numbers from 0 on"),
        ('[{"frame": 0, "px": [1, NaN]}]', "got \\[1, nan\\]"),
        ('[{"frame": 0, "px": [999, 2]}]', "image of 320 x 240"),
        ('[{"frame": 0, "px": "here"}]', "got 'here'"),
        ('[{"camera": "back", "frame": 0, "px": [1, 2]}]', "no points of camera front; it has some of back"),
        ("[]", "it has some of none"),
    ],
)
def test_bad_clicks_are_refused_in_one_line(tmp_path, content, words):
    file = tmp_path / "clicks.json"
    file.write_text(content)
    with pytest.raises(ValueError, match=words):
        read_clicks(file, "front", (320, 240))


def curved(frames):
    """Return states (T, 8) of a tool all over the workspace, as `write_dataset` takes them."""
    places = motion(frames, 3)[:, :3, 3]
    return np.c_[places, np.tile([0.0, 1, 0, 0], (frames, 1)), np.linspace(1, 0, frames)]


def test_the_command_writes_what_the_reader_reads(tmp_path, capsys):
    folder = write_dataset(tmp_path / "data", states=curved, lengths=(20, 20), sidecar=False)
    px = camera().project(curved(20)[:, :3])[0] + np.random.default_rng(0).normal(0, 0.1, (20, 2))
    inside = [t for t in range(20) if ((px[t] > 0) & (px[t] < SIZE)).all()]
    rows = [{"camera": "front", "episode": e, "frame": t, "px": px[t].tolist()} for e in range(2) for t in inside]
    clicks = tmp_path / "clicks.json"
    clicks.write_text(json.dumps(rows))
    command = ["calibrate", f"lerobot:{folder}", "--points", str(clicks), "--picture", str(tmp_path / "seen.png")]
    lens = ["--intrinsics", "40", "40", str(SIZE[0] / 2), str(SIZE[1] / 2)]
    assert main([*command, *lens]) == 0
    assert "reprojection error" in capsys.readouterr().out and (tmp_path / "seen.png").is_file()
    calibrated = LeRobot(folder)[0].observations[0].views["front"].camera
    there, here = (c.project(curved(20)[:, :3])[0] for c in (calibrated, camera()))
    assert np.median(np.linalg.norm(there - here, axis=1)) < 0.01 * SIZE[0]
    assert main([*command, *lens]) == 2
    assert "has the camera front already; --replace" in capsys.readouterr().err
    sidecar = folder / "meta" / "cameras.json"
    content = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({"front": content[FRONT], "robot": {"gripper": "observation.state[7]"}}))
    assert main([*command, *lens, "--replace"]) == 0  # under another name, beside another entry
    assert set(json.loads(sidecar.read_text())) == {FRONT, "robot"}
    assert main([*command, *lens, "-o", str(tmp_path / "other.json")]) == 0
    assert set(json.loads((tmp_path / "other.json").read_text())) == {"front"}


def test_the_command_says_what_it_lacks(tmp_path, capsys):
    folder = write_dataset(tmp_path / "data", sidecar=False)
    command = ["calibrate", f"lerobot:{folder}", "--points", "keypoints"]
    assert main([*command, "--fit-focal"]) == 2
    assert "no keypoints of camera front" in capsys.readouterr().err
    assert main([*command, "--fit-focal", "--intrinsics", "1", "1", "1", "1"]) == 2
    assert main(["calibrate", "tabletop:1", "--points", "marker"]) == 2
    assert "say --out FILE" in capsys.readouterr().err
