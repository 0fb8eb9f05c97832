"""How much of the tabletop the generator contains is stated, and the statement is checked word by word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from hamster.sim.language import FAMILIES, OFFDOMAIN, TABLETOP
from hamster.sim.offdomain.overlap import can_say, sentence_share, sentences, table

PAGE = Path(__file__).parents[3] / "docs" / "overlap.md"


@pytest.mark.parametrize("family", FAMILIES)
def test_what_a_grammar_says_it_can_say(family: str) -> None:
    rng = Random(0)
    for grammar in (TABLETOP, OFFDOMAIN):
        for _ in range(40):
            words = tuple(grammar.expand(rng, family, True))
            assert can_say(grammar, words, family, True)
            assert not can_say(grammar, (*words, "nevertheless"), family, True) and not can_say(
                grammar, (), family, True
            )


@pytest.mark.parametrize("inside", [False, True])
def test_all_sentences_are_all_that_are_drawn(inside: bool) -> None:
    every = sentences(TABLETOP, "pick_place", inside)
    rng = Random(1)
    drawn = {tuple(TABLETOP.expand(rng, "pick_place", inside)) for _ in range(3000)}
    assert sum(every.values()) == pytest.approx(1) and drawn <= set(every)
    assert sum(every[words] for words in drawn) > 0.95


def test_the_share_falls_with_what_a_grammar_can_no_longer_say() -> None:
    less = replace(OFFDOMAIN, rules={**OFFDOMAIN.rules, "say": ("please <do>",)})
    assert sentence_share(TABLETOP, OFFDOMAIN) > 0.95  # said in docs/overlap.md, and not a thing to be proud of
    assert sentence_share(TABLETOP, less) == pytest.approx(1 / 9, abs=0.02)  # one of nine begins with "please"
    strange = {"say": ("kindly <do>", "<do>"), "do_press": ("depress {target}", "press {target}")}
    other = replace(TABLETOP, rules={**TABLETOP.rules, **strange})
    assert sentence_share(other, TABLETOP) == pytest.approx(
        (4 * 0.5 + 0.25) / 5
    )  # half of four families, a quarter of one


def test_the_page_says_what_is() -> None:
    page = PAGE.read_text(encoding="utf-8")
    for row in table():
        assert f"| {' | '.join(row)} |" in page, row
