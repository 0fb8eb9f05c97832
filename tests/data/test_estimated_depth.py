"""A test double stands for a model of monocular depth: it sees one depth everywhere."""

import numpy as np
import pytest

from hamster.data.estimated_depth import ESTIMATOR, depth_estimator_of, register_depth_estimator
from hamster.data.lerobot import LeRobot
from hamster.data.registry import open_source
from hamster.data.source import Tracked
from hamster.label import read_episodes, write
from hamster.label.export import export
from hamster.policy.flow.config import FlowConfig
from hamster.policy.training.packed_dataset import load_packed_dataset
from tests.data.lerobot_files import write_dataset


class Flat:
    def __init__(self, depth_m=0.8):
        self.depth_m = depth_m

    def __call__(self, rgb, camera):
        return np.full(rgb.shape[:2], self.depth_m, np.float32)


register_depth_estimator("flat-of-a-test")(Flat)
register_depth_estimator("millimetres-of-a-test")(lambda: Flat(800.0))
register_depth_estimator("small-of-a-test")(lambda: lambda rgb, camera: np.full((4, 6), 0.8, np.float32))


@pytest.fixture
def dataset(tmp_path):
    return write_dataset(tmp_path / "set")


def opened(dataset, name="flat-of-a-test"):
    return open_source(f"estimated-depth:{name}:lerobot:{dataset}")


def test_every_episode_says_so(dataset, tmp_path):
    source = opened(dataset)
    assert isinstance(source, Tracked) and source.inputs(0).facts != LeRobot(dataset).inputs(0).facts
    assert source.advice == LeRobot(dataset).advice and source.keypoints_uv(0) == LeRobot(dataset).keypoints_uv(0)
    episode = source[0]
    assert (episode.observations[0].views["front"].depth_m == np.float32(0.8)).all()
    assert episode.provenance.extra[ESTIMATOR] == depth_estimator_of(episode.provenance) == "flat-of-a-test"
    write([source], tmp_path / "labels")
    (labelled, *_) = read_episodes(tmp_path / "labels")
    assert [note for note in labelled.method.to_json()["notes"] if "estimated by flat-of-a-test" in note]
    assert depth_estimator_of(labelled.episode.provenance) == "flat-of-a-test"


def test_it_decides_no_visibility_is_not_exported_and_trained_on_only_if_asked(dataset, tmp_path):
    labels, config = tmp_path / "labels", FlowConfig(cameras=("front",))
    write([opened(dataset)], labels)
    write([LeRobot(dataset)], tmp_path / "without")
    for one, other in zip(read_episodes(labels), read_episodes(tmp_path / "without"), strict=True):
        assert all(np.array_equal(a.visible, b.visible) for a, b in zip(one.labels, other.labels, strict=True))
    export(labels, tmp_path / "lerobot", "lerobot")
    assert LeRobot(tmp_path / "lerobot")[0].observations[0].views["front"].depth_m is None
    with pytest.raises(ValueError, match=r"estimated by flat-of-a-test, not measured.*--estimated-depth"):
        load_packed_dataset(labels, config, tmp_path / "pack")
    packed = load_packed_dataset(labels, config, tmp_path / "pack", estimated_depth=True)
    assert (packed.depth["front"] == 8000).all()


@pytest.mark.parametrize(
    ("name", "reason"), [("millimetres-of-a-test", "millimetres read as metres"), ("small-of-a-test", "its image")]
)
def test_an_estimator_that_is_not_metric_fails_the_item(dataset, name, reason):
    with pytest.raises(ValueError, match=reason):
        opened(dataset, name)[0].observations[0]


def test_unknown_names_list_what_there_is(dataset):
    with pytest.raises(ValueError, match=r"depth estimator.*flat-of-a-test"):
        opened(dataset, "nothing")
    with pytest.raises(ValueError, match="estimated-depth:NAME:SOURCE"):
        open_source("estimated-depth:flat-of-a-test")
