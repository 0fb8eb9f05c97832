"""Demonstrations with depth survive the way through a LeRobotDataset: the policy's packed data are the same."""

import numpy as np
import pyarrow.parquet as pq
import pytest

from hamster.data.depth import decode_depth
from hamster.data.lerobot import LeRobot
from hamster.data.lerobot.demonstrations import FILE
from hamster.label import read_episodes, write
from hamster.label.export import export
from hamster.policy.flow.config import FlowConfig
from hamster.policy.training.packed_dataset import load_packed_dataset
from tests.label.export import made

COLOURS = 5  # largest mean difference of an image that went through video, of 255: 2.7 where it was measured


@pytest.fixture(scope="module")
def both(tmp_path_factory):
    folder = tmp_path_factory.mktemp("depth")
    labels = made.episodes(folder, phrases=("reach it", "go there"))
    export(labels, folder / "lerobot", "lerobot")
    write([LeRobot(folder / "lerobot")], folder / "again")
    return labels, folder / "lerobot", folder / "again"


def test_depth_is_the_same_bit_for_bit(both):
    labels, _, again = both
    for one, other in zip(read_episodes(labels), read_episodes(again), strict=True):
        assert one.camera == other.camera and one.task == other.task
        for a, b in zip(one.episode.observations, other.episode.observations, strict=True):
            assert list(a.views) == list(b.views) and a.time_s == pytest.approx(b.time_s)
            for name, view in a.views.items():
                assert np.array_equal(view.depth_m, b.views[name].depth_m) and (view.depth_m > 0).any()
        for a, b in zip(one.labels, other.labels, strict=True):
            assert np.allclose(a.path.uv, b.path.uv, atol=1e-5) and np.array_equal(a.path.gripper, b.path.gripper)


def test_the_policys_packed_data_are_the_same(both, tmp_path):
    labels, _, again = both
    config = FlowConfig(cameras=("front",))
    one, other = (load_packed_dataset(data, config, tmp_path / data.name) for data in (labels, again))
    assert np.array_equal(one.depth["front"], other.depth["front"])
    assert np.abs(one.rgb["front"].astype(int) - other.rgb["front"]).mean() < COLOURS
    assert set(one.meta) == set(other.meta) and one.instructions == other.instructions
    for path, again_path in zip(one.paths, other.paths, strict=True):
        assert np.allclose(path.uv, again_path.uv, atol=1e-5) and np.array_equal(path.gripper, again_path.gripper)
        assert np.allclose(path.depth_m, again_path.depth_m, atol=1e-5)
    for values, others in ((one.meta, other.meta), (one.tracks, other.tracks)):
        for name, value in values.items():
            assert np.allclose(value, others[name], atol=1e-5, equal_nan=True), name


def test_lerobots_own_reader_finds_metres(both):
    _, dataset, _ = both
    feature = LeRobot(dataset)._metadata.features["observation.images.front_depth"]
    assert feature["info"] == {"is_depth_map": True, "depth_unit": "m"} and feature["shape"][2] == 1
    (file, *_) = sorted(dataset.glob("data/*/*.parquet"))
    cell = pq.read_table(file)["observation.images.front_depth"][0].as_py()
    depth_m = decode_depth(cell["bytes"], "it")
    assert depth_m.dtype == np.float32 and np.array_equal(
        depth_m, LeRobot(dataset)[0].observations[0].views["front"].depth_m
    )


def test_damaged_keyposes_are_one_line(both, tmp_path):
    _, dataset, _ = both
    file = dataset / FILE
    content = file.read_bytes()
    try:
        table = pq.read_table(file)
        rows = table.to_pylist()
        rows[0]["keypose_index"][0] = 99
        pq.write_table(table.from_pylist(rows, table.schema), file)
        assert "do not fit its 6 frames" in LeRobot(dataset)[0].reason
    finally:
        file.write_bytes(content)
