import numpy as np
import pytest

from hamster.data.rlds import RLDS
from tests.data import rlds_files
from tests.data.depth_files import encoded, millimetres, scene_m

STEPS, SIZE = 5, 32
SCENE_M = scene_m(SIZE, SIZE)


def read(folder, values, feature, name="exterior_depth_1_left"):
    features, episode = rlds_files.droid_features(), rlds_files.droid_episode(STEPS)
    features["steps"]["observation"][name] = feature
    episode[f"steps/observation/{name}"] = values
    rlds_files.dataset(folder, [episode], features)
    read_back = RLDS(folder)[0]
    return read_back.observations[3].views, read_back.provenance.extra.get("notes", [])


def png_feature():
    return {"image": {"shape": {"dimensions": [str(SIZE)] * 2 + ["1"]}, "dtype": "uint16", "encodingFormat": "png"}}


def test_png_of_sixteen_bits(tmp_path):
    views, notes = read(tmp_path, [encoded(millimetres(SCENE_M))] * STEPS, png_feature())
    assert np.allclose(views["exterior_image_1_left"].depth_m, SCENE_M, atol=0.00051) and not notes
    assert views["wrist_image_left"].depth_m is None


@pytest.mark.parametrize("shape", [(SIZE, SIZE), (SIZE, SIZE, 1)])
def test_tensors(tmp_path, shape):
    values = np.stack([SCENE_M] * STEPS)
    views, _ = read(tmp_path / "floats", values, rlds_files.tensor_feature(*shape))
    assert np.array_equal(views["exterior_image_1_left"].depth_m, SCENE_M)
    whole = millimetres(values).astype(np.int64)
    views, _ = read(tmp_path / "integers", whole, rlds_files.tensor_feature(*shape, dtype="uint16"))
    assert np.allclose(views["exterior_image_1_left"].depth_m, SCENE_M, atol=0.00051)


@pytest.mark.parametrize(
    ("values", "feature", "note"),
    [
        ([encoded(np.full((SIZE, SIZE), 9, np.uint8))] * STEPS, png_feature(), "shades or colours, not metric depth"),
        ([encoded(millimetres(SCENE_M))] * 3, png_feature(), "3 images for 5 steps"),
        (np.stack([SCENE_M] * 3), rlds_files.tensor_feature(SIZE, SIZE), "numbers for 5 steps"),
        (np.stack([SCENE_M * 1000] * STEPS), rlds_files.tensor_feature(SIZE, SIZE), "millimetres read as metres"),
        (np.ones((STEPS, SIZE, SIZE), int), rlds_files.tensor_feature(SIZE, SIZE, dtype="uint8"), "8-bit integers"),
    ],
)
def test_what_is_no_metric_depth_is_left_out_with_the_reason(tmp_path, values, feature, note):
    views, notes = read(tmp_path, values, feature)
    assert views["exterior_image_1_left"].depth_m is None
    assert len(notes) == 1 and note in notes[0]


def test_depth_of_an_unknown_camera_is_noted(tmp_path):
    _, notes = read(tmp_path, [encoded(millimetres(SCENE_M))] * STEPS, png_feature(), "depth_head")
    assert notes == ["depth_head holds depth, but of which camera its name does not say: it is not used"]
