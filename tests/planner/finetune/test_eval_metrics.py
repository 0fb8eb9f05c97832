from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hamster.dialects import refusal
from hamster.label.export.examples import published
from hamster.planner.backend import Completion
from hamster.planner.finetune.eval_metrics import across_processes, choose, evaluate, save_sheet, summary
from hamster.planner.finetune.samples import Samples
from hamster.planner.nano_training.pictures import WeightedDataset
from tests.planner.finetune import made


class Said:
    """A model that says what it is told to."""

    class processor:  # noqa: N801
        @staticmethod
        def tokenizer(text):
            return {"input_ids": list(text)}

    def __init__(self, answers):
        self.answers = answers

    def generate(self, requests, sampling, on_token=None):
        assert sampling.max_new_tokens > 2 and sampling.grammar == ""
        return [[Completion(text)] for text in self.answers]


@pytest.fixture(scope="module")
def samples(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    parts = [WeightedDataset(made.paths(folder / "near", 3, absent=1)), WeightedDataset(made.paths(folder / "far", 2))]
    return Samples(parts, 2, published("hamster"), folder / "cache")


def _truths(samples, chosen):
    return [samples.row(i)["completion"][0]["content"][0]["text"] for i in chosen.tolist()]


def _judged(samples, chosen, answers):
    return evaluate(Said(answers), samples, chosen, "hamster", lambda size: size)


def test_right_answers_have_no_errors(samples, tmp_path):
    chosen = np.arange(len(samples))
    judged = _judged(samples, chosen, _truths(samples, chosen))
    found = summary(samples, judged)
    assert found["n"] == 10 and found["parse_rate"] == found["event_f1"] == found["refused"] == 1
    assert found["falsely_refused"] == 0 and max(found[name] for name in ("start", "end", "frechet")) < 0.01
    assert found["near/n"] == 6 and found["far/n"] == 4 and "far/refused" not in found
    save_sheet(samples, judged, tmp_path / "new" / "sheet.png")
    assert Image.open(tmp_path / "new" / "sheet.png").size[0] > 1000


def test_wrong_unreadable_and_refused_answers_are_told_apart(samples):
    chosen = np.flatnonzero(samples.set_of == 0)[:3]  # two paths, and one that is not in view
    judged = _judged(samples, chosen, ["<ans>[(0.5, 0.5)]</ans>", refusal("hamster"), "gibberish"])
    found = summary(samples, judged)
    assert found["parse_rate"] == 0.5 and found["falsely_refused"] == 0.5 and found["refused"] == 0
    assert found["start"] > 0 and found["event_f1"] < 1


def test_the_same_few_of_each_set_are_chosen(samples):
    which = samples.is_instruction
    first, again = choose(samples, which, 2), choose(samples, which, 2)
    assert first.tolist() == again.tolist() and np.bincount(samples.set_of[first]).tolist() == [2, 2]
    assert len(choose(samples, which & False, 2)) == 0


def test_sharded_models_are_asked_everything_in_step_by_all(samples):
    class Alone:
        num_processes, distributed_type, process_index = 2, "DistributedType.FSDP", 1

    asked = []
    across_processes(lambda chosen: asked.append(chosen) or [], np.arange(5), Alone)
    assert asked[0].tolist() == [0, 1, 2, 3, 4]


def test_a_judgement_is_comparable(samples):
    chosen = np.array([0])
    (one,) = _judged(samples, chosen, _truths(samples, chosen))
    assert replace(one, text="x").errors == one.errors
