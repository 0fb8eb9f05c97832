import json
import math
import pickle
import re

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from hamster.data import Unreadable
from hamster.data.records import UNCLIPPED_UV
from hamster.data.registry import open_source
from hamster.path import Gripper
from tests.data.trace_benchmark_files import (
    INTRINSICS,
    SIZE_PX,
    TRACE_PX,
    metric_trajectory,
    png,
    sharerobot_row,
    tracespatial_row,
    vabench_row,
    write,
)

TRUE_UV = np.array(TRACE_PX) / SIZE_PX
ROWS = {"vabench-v": vabench_row, "sharerobot": sharerobot_row, "tracespatial": tracespatial_row}


def opened(scheme, tmp_path, *rows):
    return open_source(f"{scheme}:{write(tmp_path / f'{scheme}.parquet', rows)}")


def reason(scheme, tmp_path, **changes):
    item = opened(scheme, tmp_path, ROWS[scheme](**changes))[0]
    assert isinstance(item, Unreadable), item
    assert "\n" not in item.reason and len(item.reason) < 300
    return item.reason


@pytest.mark.parametrize("scheme", ROWS)
def test_a_row_is_an_image_with_its_instruction_and_true_path(scheme, tmp_path):
    source = opened(scheme, tmp_path, ROWS[scheme](), ROWS[scheme](id=None))
    item = source[0]
    assert len(source) == 2 and item.view.rgb.shape == (48, 64, 3)
    (annotation,) = item.annotations
    assert "<image>" not in annotation.instruction and annotation.instruction
    assert np.allclose(annotation.path.uv, TRUE_UV) and set(annotation.path.gripper) == {Gripper.UNKNOWN}
    assert UNCLIPPED_UV not in item.provenance.extra
    assert pickle.loads(pickle.dumps(source))[1].provenance.extra["id"] == "1"  # its number, since it has none


def test_the_trajectory_in_metres_is_projected_and_keeps_its_depth(tmp_path):
    item = opened("tracespatial", tmp_path, tracespatial_row())[0]
    assert item.annotations[0].path.depth_m.tolist() == [1.0, 1.5, 2.0, 0.5]
    assert item.provenance.extra["id"] == "7" and item.provenance.licence == "Apache-2.0"
    alone = {name: value for name, value in tracespatial_row(intrinsics=INTRINSICS).items() if name[:2] != "gt"}
    assert np.allclose(opened("tracespatial", tmp_path, alone)[0].annotations[0].path.uv, TRUE_UV)


def test_a_truth_that_leaves_the_image_is_kept_beside_its_clipped_path(tmp_path):
    item = opened("sharerobot", tmp_path, sharerobot_row(answer=[[-6.4, 24], [70.4, 24]]))[0]
    assert item.annotations[0].path.uv.tolist() == [[0, 0.5], [1, 0.5]]
    assert np.allclose(item.provenance.extra[UNCLIPPED_UV], [[-0.1, 0.5], [1.1, 0.5]])


@pytest.mark.parametrize("cell", [png(), {"bytes": png(), "path": None}, {"bytes": None, "path": "a.png"}])
def test_images_may_be_bytes_or_named_files(cell, tmp_path):
    Image.new("RGB", SIZE_PX).save(tmp_path / "a.png")
    assert opened("sharerobot", tmp_path, sharerobot_row(image=cell))[0].view.rgb.shape == (48, 64, 3)


@pytest.mark.parametrize("answer", [TRACE_PX, json.dumps(TRACE_PX), {"trajectory": TRACE_PX}])
@pytest.mark.parametrize("scheme", ["vabench-v", "sharerobot"])
def test_answers_may_be_json_or_lists(scheme, answer, tmp_path):
    assert np.allclose(opened(scheme, tmp_path, ROWS[scheme](answer=answer))[0].annotations[0].path.uv, TRUE_UV)


BAD_ANSWERS = {
    "{": "the answer is not JSON",
    "[" * 5000: "",
    '{"path": []}': "no `trajectory` in the answer; it has path",
    "{}": "it has nothing",
    "[]": "1 to 1000 rows",
    "7": "1 to 1000 rows",
    "null": "1 to 1000 rows",
    "[[1, 2], [3]]": r"must be \[\[x, y\], …\].*got \[3\]",
    "[[1, 2, 3]]": r"got \[1, 2, 3\]",
    '[["1", "2"]]': "finite numbers",
    "[[true, 2]]": "finite numbers",
    "[[NaN, 2]]": "finite numbers",
    "[[1e999, 2]]": "finite numbers",
    f"[[{10**400}, 2]]": "",
    json.dumps([[1, 2]] * 1001): "1 to 1000 rows",
    "[[500, 900]]": "not in pixels of its image of 64 x 48",  # of a larger image
    "[[0.2, 0.9], [0.4, 0.5]]": "not in pixels of its image of 64 x 48",  # fractions
}


@pytest.mark.parametrize("answer", BAD_ANSWERS)
def test_a_bad_answer_is_one_line(answer, tmp_path):
    assert re.search(BAD_ANSWERS[answer], reason("vabench-v", tmp_path, answer=answer))


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (b"", "not a PNG, JPEG or WebP"),
        (png()[:60], "cut off or damaged"),
        (b"GIF89a" + bytes(100), "not a PNG, JPEG or WebP"),
        (png(mode="I;16", colour=9), "depth"),
        ({"bytes": None, "path": "nowhere.png"}, "no image 'nowhere.png'"),
        ({"bytes": None, "path": "../../etc/passwd"}, "outside of"),
        ({"bytes": None, "path": None}, "no image in the column image"),
        ("a.png", "no image in the column image"),
        (None, "no image in the column image"),
    ],
)
def test_a_bad_image_is_one_line(image, words, tmp_path):
    assert words in reason("sharerobot", tmp_path, image=image)


def test_a_trace_has_one_image_and_an_instruction(tmp_path):
    image = {"bytes": png(), "path": ""}
    assert "2 images" in reason("vabench-v", tmp_path, images=[image, image])
    assert "0 images" in reason("vabench-v", tmp_path, images=[])
    assert "no text in the column problem" in reason("sharerobot", tmp_path, problem=" <image> ")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trajectory": metric_trajectory(depth_m=(1, 1, -1, 1))}, "not in front of the camera"),
        ({"trajectory": metric_trajectory(depth_m=(1, 1, 0, 1))}, "not in front of the camera"),
        ({"trajectory": [[math.nan, 0, 1]]}, "finite"),
        ({"trajectory": [[1.0, 2.0]]}, r"[[x, y, z], …]"),
        ({"trajectory": None}, "the trajectory must be"),
        ({"gt_depth_intrinsics": None}, "3 x 3 or 4 x 4"),
        ({"gt_depth_intrinsics": [[1.0, 2.0], [3.0, 4.0]]}, "3 x 3 or 4 x 4"),
        ({"gt_depth_intrinsics": [[0.0, 0, 32], [0, 40, 24], [0, 0, 1]]}, "focal lengths > 0"),
        ({"gt_depth_intrinsics": [[math.nan, 0, 32], [0, 40, 24], [0, 0, 1]]}, "finite"),
        ({"image": png((16, 12))}, "of another image: their centre (32, 24) is not in 16 x 12 pixels"),
    ],
)
def test_bad_geometry_is_one_line(changes, words, tmp_path):
    assert words in reason("tracespatial", tmp_path, **changes)


def test_what_is_no_such_file_is_an_error(tmp_path):
    with pytest.raises(ValueError, match="lacks the column images, answer; vabench-v has problem, images, answer"):
        opened("vabench-v", tmp_path, {"problem": "x", "image": png()})
    with pytest.raises(ValueError, match=r"lacks the column gt_depth_intrinsics\|intrinsics"):
        opened("tracespatial", tmp_path, {"prompt": "x", "image": png(), "trajectory": [[0.0]]})
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(ValueError, match=r"a\.parquet is damaged or cut off"):
        open_source(f"sharerobot:{tmp_path / 'a.parquet'}")
    with pytest.raises(ValueError, match="no file"):
        open_source("sharerobot:nowhere.parquet")
    empty = write(tmp_path / "empty.parquet", [sharerobot_row()])
    pq.write_table(pq.read_table(empty).slice(0, 0), empty)
    with pytest.raises(ValueError, match="has no rows"):
        open_source(f"sharerobot:{empty}")


def test_a_file_that_was_replaced_is_read_again(tmp_path):
    assert opened("sharerobot", tmp_path, sharerobot_row())[0].annotations[0].instruction == "open the drawer"
    again = opened("sharerobot", tmp_path, sharerobot_row(problem="close it, please"))
    assert again[0].annotations[0].instruction == "close it, please"
