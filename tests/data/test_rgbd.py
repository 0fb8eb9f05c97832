import json

import numpy as np
import pytest
from PIL import Image

from hamster.data.rgbd import RGBD, VIEW
from tests.data.depth_files import encoded, millimetres, scene_m

CAMERA = {"width": 48, "height": 32, "fx": 40.0, "fy": 40.0, "ppx": 24.0, "ppy": 16.0}
POSE = np.diag([1.0, -1, -1, 1]).tolist()


def record(folder, frames=3, stored=None, camera=CAMERA, colour="rgb", depth_name="{:06d}.png", **more):
    for name in (colour, "depth"):
        (folder / name).mkdir(parents=True)
    for i in range(frames):
        rgb = np.full((32, 48, 3), 40 + i, np.uint8)
        rgb[:8] = 200
        Image.fromarray(rgb).save(folder / colour / f"{i:06d}.png")
        values = millimetres(scene_m()) if stored is None else stored
        (folder / "depth" / depth_name.format(i)).write_bytes(encoded(values))
    (folder / "camera.json").write_text(json.dumps(camera | more))
    (folder / "instruction.txt").write_text("put the cup down\nset the cup down\n")
    return folder


@pytest.mark.parametrize("colour", ["rgb", "color"])
def test_a_recording(tmp_path, colour):
    record(tmp_path / "b" / "one", colour=colour, fps=10, world_from_camera=POSE)
    record(tmp_path / "b" / "two", frames=2, depth_name="d{}.png")  # other names, in the same order
    source = RGBD(tmp_path)
    assert [len(item.observations) for item in source] == [3, 2]
    episode = source[0]
    assert episode.instructions == ("put the cup down", "set the cup down") and episode.tool_poses_world is None
    view = episode.observations[1].views[VIEW]
    assert episode.observations[1].time_s == pytest.approx(0.1) and view.rgb[-1, 0, 0] == 41
    assert np.allclose(view.depth_m, scene_m(), atol=0.00051)
    assert view.camera.intrinsics[0].tolist() == [40, 0, 24] and view.camera.world_from_camera[1, 1] == -1
    assert source[1].observations[0].views[VIEW].camera is None
    assert "no world_from_camera" in source[1].provenance.extra["notes"][0]


def test_open3ds_matrix_goes_column_by_column_and_the_scale_holds(tmp_path):
    camera = {"width": 48, "height": 32, "intrinsic_matrix": [40, 0, 0, 0, 41, 0, 24, 16, 1]}
    folder = record(tmp_path, stored=(scene_m() * 1e4).round().astype(np.uint16), camera=camera, depth_scale=1e-4,
                    world_from_camera=POSE)  # fmt: skip
    view = RGBD(folder)[0].observations[0].views[VIEW]
    assert view.camera.intrinsics.tolist() == [[40, 0, 24], [0, 41, 16], [0, 0, 1]]
    assert np.allclose(view.depth_m, scene_m(), atol=0.00006)


@pytest.mark.parametrize(
    ("stored", "note"),
    [
        (np.full((32, 48), 90, np.uint8), "shades or colours"),
        (scene_m(48, 48).round().astype(np.uint16) + 700, "another shape"),
        (np.zeros((32, 48), np.uint16), "no measurement at all"),
        (np.full((32, 48), 3, np.uint16), "metres read as millimetres"),
    ],
)
def test_depth_that_is_none_is_left_out_with_the_reason(tmp_path, stored, note):
    episode = RGBD(record(tmp_path, stored=stored))[0]
    assert episode.observations[0].views[VIEW].depth_m is None and note in episode.provenance.extra["notes"][0]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ({"fx": 40.0}, "lacks ppy|lacks cx|lacks"),
        (CAMERA | {"fx": -1}, "describes no camera"),
        (CAMERA | {"width": "wide"}, "describes no camera"),
        (CAMERA | {"fps": 0}, "frames per second"),
        ([1], "describes no camera"),
        (CAMERA | {"world_from_camera": [1, 2]}, "describes no camera"),
    ],
)
def test_a_wrong_camera_file_is_one_line(tmp_path, content, reason):
    folder = record(tmp_path)
    (folder / "camera.json").write_text(json.dumps(content))
    item = RGBD(folder)[0]
    assert "\n" not in item.reason and any(part in item.reason for part in reason.split("|"))


def test_folders_that_are_no_recording(tmp_path):
    with pytest.raises(ValueError, match="folders rgb"):
        RGBD(tmp_path)
    folder = record(tmp_path / "one", depth_name="d{}.png")
    (folder / "depth" / "d0.png").unlink()
    assert "3 colour and 2 depth images" in RGBD(tmp_path)[0].reason
