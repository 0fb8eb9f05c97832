import re

import h5py
import numpy as np
import pytest

from hamster.data.hdf5 import HDF5
from hamster.label import write
from hamster.label.episodes import DEPTH_UNIT_M
from hamster.policy.flow.config import FlowConfig
from hamster.policy.training.packed_dataset import load_packed_dataset
from tests.data.depth_files import millimetres, scene_m
from tests.data.hdf5_files import SIZE, STEPS, write_libero, write_robomimic

FAR_M = scene_m(SIZE, SIZE) * 2  # some of it farther than a metre


def read(file, values, key="agentview_depth", units=None, demo="demo_0"):
    with h5py.File(file, "r+") as h5:
        array = h5[f"data/{demo}/obs"].create_dataset(key, data=np.stack([values] * STEPS))
        if units:
            array.attrs["units"] = units
    episode = HDF5(file)[0]
    return episode.observations[2].views["agentview"], episode.provenance.extra.get("notes", [])


@pytest.mark.parametrize(
    ("values", "units"),
    [(FAR_M, None), (FAR_M[..., None], None), (millimetres(FAR_M), None), (FAR_M * 1000, "mm"), (FAR_M / 2, "m")],
)
def test_metres_and_millimetres(tmp_path, values, units):
    view, notes = read(write_robomimic(tmp_path / "a.hdf5"), values, units=units, demo="demo_3")
    expected_m = FAR_M / 2 if units == "m" else FAR_M
    assert np.allclose(view.depth_m, expected_m, atol=0.00051) and view.camera is not None and not notes


def test_it_is_turned_upright_with_its_colours(tmp_path):
    view, _ = read(write_libero(tmp_path / "a.hdf5"), FAR_M)  # LIBERO stores both bottom up
    assert np.array_equal(view.depth_m, FAR_M[::-1])


@pytest.mark.parametrize(
    ("values", "note"),
    [
        (1 - FAR_M / 100, "between 0 and 1: metres, or a normalised depth buffer"),
        (FAR_M * 1000, "millimetres read as metres"),
        ((FAR_M * 40).astype(np.uint8), "of uint8"),
        (np.stack([FAR_M] * 3, -1), r"has shape \(8, 64, 64, 3\)"),
        (FAR_M[:32], "another shape"),
        (np.full_like(FAR_M, np.nan), "between 0 and 1|no measurement"),
    ],
)
def test_what_is_not_known_to_be_metric_is_left_out_with_the_reason(tmp_path, values, note):
    view, notes = read(write_libero(tmp_path / "a.hdf5"), values)
    assert view.depth_m is None and len(notes) == 1 and re.search(note, notes[0])


def test_a_policy_that_needs_depth_is_trained_on_it(tmp_path):
    file = write_libero(tmp_path / "a.hdf5")
    read(file, FAR_M)
    write([HDF5(file)], tmp_path / "labels")
    packed = load_packed_dataset(tmp_path / "labels", FlowConfig(cameras=("agentview",)), tmp_path / "pack")
    assert np.array_equal(packed.depth["agentview"][0], (FAR_M[::-1] / DEPTH_UNIT_M).round().astype(np.uint16))


def test_depth_without_colours_is_noted(tmp_path):
    view, notes = read(write_libero(tmp_path / "a.hdf5"), FAR_M, key="birdview_depth")
    assert view.depth_m is None and "no colour images beside it" in notes[0]
