import pytest

from hamster.planner.finetune.presets import FinetuneConfig
from hamster.planner.nano_training.config import TrainConfig
from hamster.planner.presets import PRESETS, preset


def test_names_lead_to_both_kinds_of_training():
    assert isinstance(preset("nano"), TrainConfig) and isinstance(preset("lora"), FinetuneConfig)
    assert len(PRESETS) == len(set(PRESETS)) >= 8


def test_an_unknown_name_is_met_with_the_likeliest_and_all_others():
    with pytest.raises(ValueError, match=r"Did you mean 'qlora'.*nano, finetune, .*paper, full, lora, qlora"):
        preset("qlorra")


def test_the_papers_mixture_is_as_published():
    paper = preset("paper")
    assert (paper.batch_size, paper.learning_rate, paper.method, paper.train_vision) == (256, 1e-5, "full", True)


@pytest.mark.parametrize(
    "wrong",
    [{"method": "none"}, {"batch_size": 2, "micro_batch_size": 4}, {"held_out_fraction": 1.0}, {"learning_rate": 0.0}],
)
def test_numbers_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match=r"need|method"):
        FinetuneConfig(**wrong)
