"""Overlap of the tabletop with the off-domain generator, by enumeration rather than sampling.

    python -m hamster.sim.offdomain.overlap

Prints a table of kinds, marks, nouns, colour words, sentences, arms, patterns, shades and cameras of both.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

import numpy as np

from hamster.sim.language import OFFDOMAIN, TABLETOP, Grammar
from hamster.sim.offdomain.sample import ARM_NAMES, HSV, PROPORTIONS
from hamster.sim.offdomain.scenery import PATTERNS
from hamster.sim.tabletop.sample import CAMERAS, MARKS, PALETTE, RECEIVERS, TOYS
from hamster.sim.textures import LETTERS, PICTURES

FAMILIES = ("pick_place", "press", "knock", "stack", "push")
TABLETOP_KINDS = (*TOYS, *RECEIVERS, "button")
NEAREST_CAMERA_M = 0.08  # `sample.camera` draws none nearer to the tabletop's own
NEAREST_SHADE = 0.04  # `sample.shade_of` draws none nearer in any channel


def sentences(grammar: Grammar, family: str, inside: bool) -> dict[tuple[str, ...], float]:
    """Return all sentences of a family, with slots for objects, and their probabilities.

    Args:
        grammar: a grammar without recursion.
        family: of the task.
        inside: whether the goal is a container.
    """
    probabilities: dict[tuple[str, ...], float] = {}
    for words, p in _expansions(grammar, "<say>", family, inside):
        probabilities[words] = probabilities.get(words, 0.0) + p
    return probabilities


def can_say(grammar: Grammar, words: tuple[str, ...], family: str, inside: bool) -> bool:
    """Return whether a grammar generates a sentence.

    Args:
        grammar: the grammar.
        words: words and slots of the sentence.
        family: of the task.
        inside: whether the goal is a container.
    """
    return len(words) in _ends(grammar, "<say>", words, 0, family, inside, {})


def sentence_share(of: Grammar, by: Grammar) -> float:
    """Return the share of one grammar's sentences, weighted by probability, that another grammar generates, too."""
    cases = [(family, inside) for family in FAMILIES for inside in (False, True)]
    shares = [sum(p for words, p in sentences(of, *case).items() if can_say(by, words, *case)) for case in cases]
    return float(np.mean(shares))


def table() -> list[tuple[str, str, str, str]]:
    """Return rows of what is compared, the tabletop's, the generator's, and what they share."""
    marks = {"A", "B", *MARKS}
    nouns = [{word for words in grammar.nouns.values() for word in words} for grammar in (TABLETOP, OFFDOMAIN)]
    shared = sentence_share(TABLETOP, OFFDOMAIN)
    return [
        _sets("kinds of things", TABLETOP_KINDS, PROPORTIONS),
        _sets("marks", marks, (*LETTERS, *PICTURES)),
        _sets("nouns", *nouns),
        _sets("colour words", PALETTE, HSV),
        ("sentences, things as slots", "all", "by rules", f"{shared:.0%} of the tabletop's, by probability"),
        _sets("arms", ("panda",), ARM_NAMES),
        _sets("patterns of table and floor", ("wood", "plain"), PATTERNS),
        ("shades of colours", str(len(PALETTE)), "ranges", f"none nearer than {NEAREST_SHADE} in a channel"),
        ("camera", str(CAMERAS["front"].eye), "ranges", f"none nearer than {NEAREST_CAMERA_M} m"),
        ("shadows", "none", "in half of the scenes", "half of the scenes have none"),
        ("things standing around", "none", "walls, cloths, clutter, an idle arm", "some scenes have none"),
    ]


def _sets(name: str, tabletop: Collection[str], generator: Collection[str]) -> tuple[str, str, str, str]:
    both = sorted(set(tabletop) & set(generator))
    missing = sorted(set(tabletop) - set(generator))
    note = f"{len(both)}" + (f"; not {', '.join(missing)}" if missing else "")
    return name, str(len(set(tabletop))), str(len(set(generator))), note


def _expansions(grammar: Grammar, token: str, family: str, inside: bool) -> Iterator[tuple[tuple[str, ...], float]]:
    if token[0] != "<":
        yield (token,), 1.0
        return
    for tokens, p in grammar.alternatives(token[1:-1], family, inside):
        partial: list[tuple[tuple[str, ...], float]] = [((), p)]
        for part in tokens:
            partial = [
                (words + more, p * q) for words, p in partial for more, q in _expansions(grammar, part, family, inside)
            ]
        yield from partial


def _ends(
    grammar: Grammar, token: str, words: tuple[str, ...], start: int, family: str, inside: bool,
    known: dict[tuple[str, int], frozenset[int]],
) -> frozenset[int]:  # fmt: skip
    """Return the positions in a sentence at which a token that begins at `start` may end.

    Args:
        grammar: the grammar.
        token: a word, slot or `<rule>`.
        words: words and slots of the sentence.
        start: position of the token's first word.
        family: of the task.
        inside: whether the goal is a container.
        known: results so far, by token and start.
    """
    if token[0] != "<":
        return frozenset({start + 1} if start < len(words) and words[start] == token else ())
    if (token, start) not in known:
        ends: set[int] = set()
        for tokens, _ in grammar.alternatives(token[1:-1], family, inside):
            reached = frozenset({start})
            for part in tokens:
                reached = frozenset().union(*(_ends(grammar, part, words, at, family, inside, known) for at in reached))
            ends |= reached
        known[token, start] = frozenset(ends)
    return known[token, start]


def main() -> None:
    """Print the table as Markdown."""
    print("| | tabletop | off-domain | in both |\n|---|---|---|---|")  # noqa: T201
    for row in table():
        print(f"| {' | '.join(row)} |")  # noqa: T201


if __name__ == "__main__":
    main()
