import numpy as np
import pytest

from hamster.dialects import parse, refusal
from hamster.label.export.examples import published
from hamster.planner.finetune.samples import Samples
from hamster.planner.nano_training.pictures import WeightedDataset
from tests.label.export import made as label_sets
from tests.planner.finetune import made

WORDS = published("hamster")


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    """Paths, an absent thing each, and talks, one of them without a picture."""
    folder = tmp_path_factory.mktemp("sets")
    parts = [
        WeightedDataset(made.paths(folder / "paths", 5, absent=1)),
        WeightedDataset(made.talks(folder / "talks", 3)),
    ]
    return Samples(parts, 2, WORDS, folder / "cache")


def test_every_question_is_a_sample_of_its_own(samples):
    assert samples.sizes == (15, 4) and len(samples) == 19
    assert samples.is_path.sum() == 10 and samples.is_instruction.sum() == 15
    assert (samples.pixels()[:15] == 64).all() and samples.pixels()[15:].tolist() == [[30, 20]] * 3 + [[0, 0]]


def test_answers_say_the_path_or_that_it_is_not_in_view(samples):
    for index in range(15):
        row, path = samples.row(index), samples.path(index)
        answer = row["completion"][0]["content"][0]["text"]
        assert samples.instruction(index) in row["prompt"][0]["content"][1]["text"]
        if path is None:
            assert answer == refusal("hamster") and "zebra" in samples.instruction(index)
        else:
            assert np.abs(parse(answer).uv - path.uv).max() <= 0.005 + 1e-9
        assert row["images"][0].size == (64, 64) and row["prompt"][0]["content"][0] == {"type": "image"}


def test_talks_keep_their_turns_and_need_no_picture(samples):
    row = samples.row(15)
    assert [m["role"] for m in row["prompt"] + row["completion"]] == ["user", "assistant"] * 2
    assert row["images"][0].size == (30, 20) and samples.path(15) is None
    bare = samples.row(18)
    assert bare["images"] == [] and [part["type"] for part in bare["prompt"][0]["content"]] == ["text"]


def test_the_lazy_dataset_has_trls_columns_and_this_order(samples):
    lazy = samples.lazily(np.array([17, 2, 18]))
    assert len(lazy) == 3 and set(lazy[0]) == {"images", "prompt", "completion"}
    assert [len(row["images"]) for row in lazy] == [1, 1, 0]
    assert lazy[1]["prompt"] == samples.row(2)["prompt"]


def test_whole_images_are_held_out_never_some_of_their_questions(samples):
    held = samples.held_out(0.4)
    assert held[:15].reshape(5, 3).all(1).sum() == held[:15].reshape(5, 3).any(1).sum() == 2
    assert 0 < held[15:].sum() < 4
    assert not samples.held_out(0.0).any() and samples.held_out(0.01).sum() > 0


def test_frames_of_an_episode_are_held_out_together(tmp_path):
    found = Samples([WeightedDataset(label_sets.episodes(tmp_path))], 3, WORDS, tmp_path / "cache")
    held = found.held_out(0.5)
    assert len(found) == 6 and held.sum() == 3 and held[3:].all()


def test_what_was_read_once_is_mapped_again_and_other_words_are_not_taken_for_it(samples, tmp_path, monkeypatch):
    parts = [WeightedDataset(made.paths(tmp_path / "paths", 2))]
    first = Samples(parts, 2, WORDS, tmp_path / "cache")
    other = Samples(parts, 2, WORDS, tmp_path / "cache", about="another prompt")
    assert other.key != first.key
    monkeypatch.setattr("hamster.planner.finetune.dataset.examples", None)
    assert Samples(parts, 2, WORDS, tmp_path / "cache").key == first.key


def test_a_damaged_label_set_is_one_line(tmp_path):
    folder = made.paths(tmp_path / "paths", 2)
    next(folder.glob("*.npz")).write_bytes(b"torn")
    with pytest.raises(ValueError, match="is not what the manifest says"):
        Samples([WeightedDataset(folder)], 2, WORDS, tmp_path / "cache")


def test_licences_are_known(samples):
    assert samples.licences(0) == {"CC0-1.0": 5} and samples.licences(1) == {"": 4}
