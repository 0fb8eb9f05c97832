from __future__ import annotations

import re
from collections import Counter
from itertools import product

import numpy as np

from hamster.data.knowledge import Fact, facts
from hamster.sim.catalogue import CATALOGUE
from hamster.sim.language import OFFDOMAIN, TABLETOP, commands
from hamster.sim.offdomain import sample_scene
from hamster.sim.offdomain.sample import HSV
from hamster.sim.textures import LETTERS, PICTURES


def test_the_bank_knows_every_colour_kind_and_mark_in_several_ways() -> None:
    known = Counter((fact.aspect, fact.meaning) for fact in facts())
    assert len(facts()) >= 240 and len({fact.words for fact in facts()}) == len(facts())
    assert all(known["colour", colour] >= 8 for colour in HSV)
    assert all(known["kind", kind] >= 5 for kind in CATALOGUE)
    assert all(known["mark", mark] >= 2 for mark in LETTERS + PICTURES)


def test_half_of_the_facts_are_for_images_a_quarter_for_text_a_quarter_for_none() -> None:
    shares = {split: len(facts(split)) / len(facts()) for split in ("images", "text", "never")}
    assert abs(sum(shares.values()) - 1) < 1e-9
    assert 0.4 < shares["images"] < 0.6 and 0.18 < shares["text"] < 0.32 and 0.18 < shares["never"] < 0.32
    assert Fact("colour", "green", "grass").split == Fact("colour", "green", "grass").split
    for aspect, split in product(("colour", "kind", "mark"), ("images", "text", "never")):
        assert any(fact.aspect == aspect for fact in facts(split))


def test_no_word_that_gives_a_fact_away_is_in_it() -> None:
    names = {"colour": OFFDOMAIN.colours, "kind": OFFDOMAIN.nouns}
    for fact in facts():
        words = set(fact.words.lower().split())
        assert fact.meaning.lower() not in words or fact.aspect == "mark"
        assert not words & {word for word in names.get(fact.aspect, {}).get(fact.meaning, ()) if " " not in word}


def test_facts_of_text_and_never_are_in_no_instruction() -> None:
    lead = {"colour": "colour of", "kind": "(?:that|which)", "mark": "(?:with|that shows|showing)"}
    hidden = [fact for split in ("text", "never") for fact in facts(split)]
    said = re.compile("|".join(rf"{lead[fact.aspect]} {re.escape(fact.words.lower())}\b" for fact in hidden))
    spoken = 0
    for i in range(60):
        rng = np.random.default_rng(i)
        for command in commands(sample_scene(rng), rng, 24, OFFDOMAIN):
            spoken += command.way == "knowledge"
            assert not said.search(command.instruction.lower()), command.instruction
    assert spoken > 50
    rules = " ".join(text for grammar in (OFFDOMAIN, TABLETOP) for texts in grammar.rules.values() for text in texts)
    assert not any(f" {fact.words.lower()} " in rules for fact in hidden)
