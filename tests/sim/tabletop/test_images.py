import numpy as np
import pytest

from hamster.data.registry import open_source
from hamster.path.path import Gripper
from hamster.sim.tabletop import TabletopImages, TabletopUnderWay

N = 12


@pytest.fixture(scope="module")
def first_frames():
    return list(TabletopImages(N, seed=5))


@pytest.fixture(scope="module")
def under_way():
    return list(TabletopUnderWay(N, seed=5))


def test_on_first_frames_nothing_is_held(first_frames):
    assert all(image.annotations and image.absent for image in first_frames)
    assert len(_carrying(first_frames)) > 0 and not any(map(_starts_closed, _carrying(first_frames)))


def test_under_way_some_things_are_held_and_their_paths_go_on_from_there(under_way):
    assert all(image.annotations and image.absent for image in under_way)
    held = [path for path in _carrying(under_way) if _starts_closed(path)]
    assert 0 < len(held) < len(_carrying(under_way))
    assert all([state for _, state in path.events] == [Gripper.CLOSED, Gripper.OPEN] for path in held)


def test_each_image_depends_on_the_seed_and_its_number_alone(under_way):
    again = TabletopUnderWay(2 * N, seed=5)[3]
    assert np.array_equal(again.view.rgb, under_way[3].view.rgb)


def test_sources_open_by_their_uri():
    for uri in ("tabletop-images:2", "tabletop-under-way:2", "offdomain:2", "offdomain-under-way:2"):
        source = open_source(uri)
        assert source.uri == uri and len(source) == 2


def _carrying(images):
    return [image.annotations[0].path for image in images if image.annotations[0].task == "pick_place"]


def _starts_closed(path):
    return path.events[0] == (0, Gripper.CLOSED)
