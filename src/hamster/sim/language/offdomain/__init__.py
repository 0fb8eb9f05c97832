"""OFFDOMAIN: the broad grammar of the planner's training data, composed of openers, word orders, verbs and closers.

It contains every word of TABLETOP, so that a planner trained on it knows the vocabulary of the tabletop's instructions.
"""

from __future__ import annotations

from hamster.sim.language.grammar import Grammar
from hamster.sim.language.offdomain import frames, knock, pick_place, press, push, stack
from hamster.sim.language.offdomain.words import COLOURS, NOUNS, PATTERNS

MIX = {
    "plain": 0.30,
    "side extreme": 0.12,
    "depth extreme": 0.08,
    "size": 0.04,
    "rank": 0.10,
    "side relation": 0.07,
    "depth relation": 0.05,
    "near": 0.05,
    "between": 0.03,
    "negation": 0.05,
    "side of the picture": 0.03,
    "side of the robot": 0.03,
    "knowledge": 0.05,
}
"""Share of commands with each way of referring, set by what must be learned and not by what scenes happen to allow."""

OFFDOMAIN = Grammar(
    name="offdomain",
    rules={**frames.RULES, **pick_place.RULES, **press.RULES, **knock.RULES, **stack.RULES, **push.RULES},
    nouns=NOUNS,
    colours=COLOURS,
    generic=("object", "thing", "item", "one"),
    patterns=PATTERNS,
    canonical=0.75,
    bare=0.25,
    coloured_generic=0.08,
    complex_share=0.3,
    mix=MIX,
    typos=0.03,
    unknown=0.02,
    casing=(0.55, 0.4, 0.05),
    full_stop=0.4,
)
