from __future__ import annotations

import re
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from hamster.sim.catalogue import CATALOGUE
from hamster.sim.language import FAMILIES, OFFDOMAIN, TABLETOP, Grammar, commands
from hamster.sim.language.offdomain import frames, knock, pick_place, press, push, stack

from .scenes import random_scene


def words_of(grammar: Grammar) -> set[str]:
    """Every word that the grammar can say."""
    tables = (grammar.rules, grammar.nouns, grammar.colours, grammar.patterns)
    sentences = " ".join(text for table in tables for texts in table.values() for text in (*texts, *grammar.generic))
    return set(re.findall(r"[a-zA-Z']+", re.sub(r"<[^>]*>|\{[^}]*\}|\d+\*", " ", sentences)))


def skeletons(grammar: Grammar, family: str, n: int) -> set[str]:
    rng = Random(0)
    return {" ".join(grammar.expand(rng, family, bool(i % 2))) for i in range(n)}


def test_offdomain_knows_every_word_of_the_tabletop() -> None:
    assert words_of(TABLETOP) - words_of(OFFDOMAIN) == set()
    assert len(words_of(OFFDOMAIN)) > 2 * len(words_of(TABLETOP))


@pytest.mark.parametrize("family", FAMILIES)
def test_there_are_many_ways_to_say_each_family(family: str) -> None:
    assert len(TABLETOP.rules[f"do_{family}"]) >= 10
    assert sum(len(OFFDOMAIN.rules[f"{form}_{family}"]) for form in ("do", "state", "short")) >= 40
    assert len(skeletons(OFFDOMAIN, family, 3000)) >= 1500


@pytest.mark.parametrize("grammar", [TABLETOP, OFFDOMAIN], ids=["tabletop", "offdomain"])
@pytest.mark.parametrize("family", FAMILIES)
def test_sentences_hold_each_slot_once(grammar: Grammar, family: str) -> None:
    for sentence in skeletons(grammar, family, 500):
        assert sentence.count("{target}") == 1
        assert sentence.count("{goal}") == (0 if family in ("press", "knock") else 1)
        assert "<" not in sentence and not re.search(r"\d", sentence)


def test_sentences_read_well() -> None:
    rng = np.random.default_rng(0)
    tidy = replace(OFFDOMAIN, typos=0.0, casing=(1.0, 0.0, 0.0))
    for _ in range(150):
        for command in commands(random_scene(rng, tuple(CATALOGUE)), rng, 5, tidy):
            text = command.instruction
            assert not re.search(r"\ba [aeiou]|\ban [^aeiou]|  | [.,?:]|[<>{}*]|[.?,:]{2}", text), text
            assert not re.search(r"\b(\w+) \1\b|(pick up|put down|press down|switch on|turn on) it\b", text), text


def test_no_file_of_rules_overrides_another() -> None:
    files = (frames, pick_place, press, knock, stack, push)
    assert sum(len(file.RULES) for file in files) == len(OFFDOMAIN.rules)


def test_every_rule_is_used() -> None:
    for grammar in (TABLETOP, OFFDOMAIN):
        used = {name for texts in grammar.rules.values() for text in texts for name in re.findall(r"<([^>]+)>", text)}
        stems = {re.sub(rf"_({'|'.join(FAMILIES)}|in|on)$", "", name) for name in grammar.rules}
        assert stems == used | {"say"}


def test_typing_habits() -> None:
    rng = np.random.default_rng(0)
    (scene,) = (random_scene(rng) for _ in range(1))
    upper = commands(scene, rng, 20, replace(OFFDOMAIN, casing=(0.0, 0.0, 1.0)))
    assert all(c.instruction.isupper() for c in upper)
    stopped = commands(scene, rng, 20, replace(OFFDOMAIN, full_stop=1.0))
    assert all(c.instruction[-1] in ".?" for c in stopped)
    misspelt = commands(scene, rng, 50, replace(TABLETOP, typos=1.0))
    known = words_of(TABLETOP) | {t.colour for t in scene.things} | {"A", "B", "star", "arrow"}
    unknown = [{*re.findall(r"\w+", c.instruction.lower())} - {w.lower() for w in known} for c in misspelt]
    assert all(len(found) <= 1 for found in unknown) and any(unknown)


def test_a_missing_rule_is_named() -> None:
    with pytest.raises(KeyError, match="no rule 'verb' in the grammar 'tabletop'; there are"):
        replace(TABLETOP, rules={"say": ("<verb> {target}",)}).expand(Random(0), "press", False)
