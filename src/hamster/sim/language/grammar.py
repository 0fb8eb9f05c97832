"""What a grammar is: a context-free grammar of sentences, words for things, and patterns that refer to one of them.

A grammar is data. A *rule* has a name and alternatives; an alternative is words, `<rule>` for another rule, and the
slots `{target}` and `{goal}`; a prefix `3*` makes it three times as likely. A *pattern* refers to a thing: words,
`<head>` ("red cube"), `<mark>` (its letter or picture), `<other>` and `<another>` (phrases for landmarks).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from random import Random

from hamster.data.knowledge import Split


@dataclass(frozen=True, eq=False)
class Grammar:
    """A way of speaking.

    Attributes:
        rules: sentence rules by name; "say" is where every sentence starts. A rule `x` may have variants by the task's
            family ("x_press") and by its goal ("x_in" for containers, "x_on" for the rest); the variant wins.
        nouns, colours: words for each canonical word, the canonical one first. A word listed under several kinds may
            mean any of them, and counts as ambiguous where two such things stand on the table.
        generic: nouns that fit everything.
        patterns: by the name of the relation (`scope.RELATIONS`, `scope.EXTREMES`, "between", "ordinal" or, for marks,
            "letter" and "picture"): the patterns that say it.
        canonical: how often the canonical word is taken where there are others.
        bare: how often a noun alone is tried first ("the cube"), and `coloured_generic` "the red one".
        complex_share: how many commands say one of their phrases with a relation, superlative, size or rank.
        mix: how many commands say one of their phrases in each way of `phrases.WAYS`; then `complex_share` has no say.
        twisted: which slots may be told in another way than plainly.
        facts: which split of `data.knowledge` may tell a thing.
        typos: how many commands have one misspelt word. unknown: how many have a word that does not exist.
        casing: weights of lower case, Sentence case and UPPER CASE.
        full_stop: how often a sentence ends with one.
    """

    name: str
    rules: Mapping[str, tuple[str, ...]]
    nouns: Mapping[str, tuple[str, ...]]
    colours: Mapping[str, tuple[str, ...]]
    generic: tuple[str, ...]
    patterns: Mapping[str, tuple[str, ...]]
    canonical: float = 0.75
    bare: float = 0.3
    coloured_generic: float = 0.05
    complex_share: float = 0.15
    mix: Mapping[str, float] = field(default_factory=dict)
    twisted: tuple[str, ...] = ("{target}", "{goal}")
    facts: Split = "images"
    typos: float = 0.0
    unknown: float = 0.0
    casing: tuple[float, float, float] = (0.5, 0.5, 0.0)
    full_stop: float = 0.3

    @cached_property
    def _parsed(self) -> dict[str, tuple[list[tuple[str, ...]], list[float]]]:
        return {name: _parse(alternatives) for name, alternatives in self.rules.items()}

    @cached_property
    def kinds_by_noun(self) -> dict[str, frozenset[str]]:
        """The kinds that each noun may mean (generic nouns, which mean all, are not listed)."""
        return _inverse(self.nouns)

    @cached_property
    def colours_by_word(self) -> dict[str, frozenset[str]]:
        """The canonical colours that each colour word may mean."""
        return _inverse(self.colours)

    def expand(self, rng: Random, family: str, inside: bool) -> list[str]:
        """Draws a sentence for a family: words and the slots "{target}" and "{goal}"."""
        words: list[str] = []
        self._expand("say", rng, (f"_{family}", "_in" if inside else "_on", ""), words)
        return words

    def alternatives(self, name: str, family: str, inside: bool) -> list[tuple[tuple[str, ...], float]]:
        """The alternatives of a rule, in the variant for a family and goal, with their probabilities."""
        for suffix in (f"_{family}", "_in" if inside else "_on", ""):
            if name + suffix in self._parsed:
                tokens, cumulative = self._parsed[name + suffix]
                weights = [b - a for a, b in zip((0.0, *cumulative), cumulative, strict=False)]
                return [(each, weight / cumulative[-1]) for each, weight in zip(tokens, weights, strict=True)]
        raise KeyError(f"no rule {name!r} in the grammar {self.name!r}; there are {sorted(self.rules)}")

    def _expand(self, name: str, rng: Random, suffixes: tuple[str, ...], words: list[str]) -> None:
        for suffix in suffixes:
            found = self._parsed.get(name + suffix)
            if found is not None:
                break
        else:
            raise KeyError(f"no rule {name!r} in the grammar {self.name!r}; there are {sorted(self.rules)}")
        alternatives, cumulative = found
        for token in rng.choices(alternatives, cum_weights=cumulative)[0]:
            if token[0] == "<":
                self._expand(token[1:-1], rng, suffixes, words)
            else:
                words.append(token)


def _parse(alternatives: tuple[str, ...]) -> tuple[list[tuple[str, ...]], list[float]]:
    parsed: list[tuple[str, ...]] = []
    cumulative: list[float] = []
    for text in alternatives:
        weight, star, rest = text.partition("*")
        parsed.append(tuple((rest if star else text).split()))
        cumulative.append((cumulative[-1] if cumulative else 0.0) + (float(weight) if star else 1.0))
    return parsed, cumulative


def _inverse(words_by_meaning: Mapping[str, tuple[str, ...]]) -> dict[str, frozenset[str]]:
    meanings: dict[str, set[str]] = {}
    for meaning, words in words_by_meaning.items():
        for word in words:
            meanings.setdefault(word, set()).add(meaning)
    return {word: frozenset(found) for word, found in meanings.items()}
