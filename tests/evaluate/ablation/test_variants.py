"""Which trainings an ablation consists of, and which of them are done."""

from __future__ import annotations

import json

import pytest

from hamster.evaluate.ablation.variants import seconds_left, variants


def names(tmp_path, presets, ways, shares=(1.0,)):
    found, refused = variants(tmp_path, presets, ways, shares, 10, 3)
    return [variant.name for variant in found], refused


def test_all_combinations_that_can_be(tmp_path):
    found, refused = names(tmp_path, ["flow", "image"], ["tokens", "cloud"], (0.5, 1.0))
    assert {"flow-tokens-50", "flow-tokens-100", "image-tokens-50", "image-tokens-100"} <= set(found)
    assert not any(name.startswith("image-cloud") for name in found)
    assert [reason.split(":")[0] for reason in refused] == ["image-cloud-50", "image-cloud-100"]


def test_who_sees_no_path_is_one_variant_and_is_never_shown_one(tmp_path):
    found, _ = variants(tmp_path, ["monolithic", "flow"], ["none", "tokens"], [1.0], None, 0)
    by_name = {variant.name: variant.config for variant in found}
    assert set(by_name) == {"monolithic-100", "flow-none-100", "flow-tokens-100"}
    blind, sees = by_name["flow-none-100"], by_name["flow-tokens-100"]
    assert blind.augment.path_dropout_prob == 1.0 > sees.augment.path_dropout_prob
    assert blind.actor.max_instruction_tokens > 0 == sees.actor.max_instruction_tokens


def test_a_variant_is_done_when_its_folder_says_so(tmp_path):
    [variant], _ = variants(tmp_path, ["debug"], ["default"], [0.5], 10, 3)
    assert variant.config.data_fraction == 0.5 and variant.config.steps == 10 and variant.config.seed == 3
    assert not variant.is_trained and seconds_left(variant, [variant]) > 0
    variant.folder.mkdir()
    (variant.folder / "train_info.json").write_text(json.dumps({"train": variant.config.to_json(), "seconds": 20.0}))
    assert variant.is_trained and seconds_left(variant, [variant]) == 0
    before_muon = {name: value for name, value in variant.config.to_json().items() if name != "muon_lr"}
    (variant.folder / "train_info.json").write_text(json.dumps({"train": before_muon, "seconds": 20.0}))
    assert variant.is_trained, "what has become an option since was its default then"
    [longer], _ = variants(tmp_path, ["debug"], ["default"], [0.5], 30, 3)
    assert not longer.is_trained
    [other], _ = variants(tmp_path, ["debug"], ["default"], [1.0], 30, 3)
    assert seconds_left(other, [other, variant]) == pytest.approx(60)


def test_nothing_to_train_says_why(tmp_path):
    with pytest.raises(ValueError, match="image policy cannot use the conditioner"):
        names(tmp_path, ["image"], ["cloud"])
    with pytest.raises(ValueError, match="There are"):
        names(tmp_path, ["flaw"], ["tokens"])
    with pytest.raises(ValueError, match="a share in"):
        names(tmp_path, ["flow"], ["tokens"], (2.0,))


def test_a_policy_that_trains_on_a_second_label_set_is_left_out_before_anything_is_trained(tmp_path):
    _, refused = variants(tmp_path, ["debug", "monolithic-cotrained"], ["default"], [1.0], None, 0)
    assert len(refused) == 1 and "--co-training-data" in refused[0]
