"""Texts without pictures."""

from __future__ import annotations

import numpy as np
import torch

from hamster import nano
from hamster.data.knowledge import facts
from hamster.nano import tokens
from hamster.nano.configuration import LAYOUT
from hamster.planner.nano_training.facts import FactProbe, Facts, FactTable, fact_texts

SMALL = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64,
         "tower_channels": [8, 16, 32], "tower_blocks": [0, 1]}  # fmt: skip


def table():
    words = sorted({fact.meaning for fact in facts()})
    return FactTable.of(nano.build_processor(fact_texts(), words).tokenizer), words


def test_texts_of_both_splits_are_taught_and_those_kept_for_measuring_are_not() -> None:
    made, _ = table()
    taught = [fact for fact in facts() if fact.split != "never"]
    assert len(made.ids) == len(taught) == len(fact_texts())
    assert not {fact.text for fact in facts("never")} & set(fact_texts())
    tokenizer = nano.build_processor(fact_texts(), [fact.meaning for fact in facts()]).tokenizer
    for i in (0, 40, len(taught) - 1):
        assert tokenizer.decode(made.ids[i, : made.length[i]]).strip() == taught_in_order()[i].text.lower()
        assert tokenizer.decode([made.names[made.answer[i]]]).strip() == taught_in_order()[i].meaning.lower()


def taught_in_order():
    return [*facts("images"), *facts("text")]


def test_what_a_text_stands_for_is_learned_whatever_the_picture_shows() -> None:
    torch.manual_seed(0)
    made, _ = table()
    size = int(max(made.ids.max(), made.names.max())) + 1
    model = nano.HamsterNanoForConditionalGeneration(nano.HamsterNanoConfig(vocab_size=size, **SMALL, **LAYOUT))
    probe = FactProbe(32, torch.from_numpy(made.names))
    optimiser = torch.optim.AdamW([*model.parameters(), *probe.parameters()], lr=5e-3)
    rng, losses = np.random.default_rng(0), []
    few = FactTable(made.ids[:12], made.length[:12], made.answer[:12], made.names)
    for step in range(40):
        pixels = torch.rand(1, 3, tokens.PIXELS, tokens.PIXELS, generator=torch.Generator().manual_seed(step))
        said = Facts.draw(few, 8, rng, "cpu")
        loss = torch.nn.functional.cross_entropy(probe(model, pixels, said), said.answer)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 < 2 < losses[0]
