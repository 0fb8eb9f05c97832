"""The data structure of a grammar: context-free sentence rules, words for objects, and patterns that refer to one.

A *rule* has a name and alternatives; an alternative consists of words, `<rule>` for another rule, and the slots
`{target}` and `{goal}`; a prefix `3*` gives it the weight 3. A *pattern* refers to an object: it consists of words,
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
    """A grammar of instructions.

    Attributes:
        name: name of the grammar.
        rules: sentence rules by name, starting with "say". A rule `x` may have variants for a task family ("x_press")
            and for a goal ("x_in" for containers, "x_on" for all others), which take precedence in this order.
        nouns, colours: synonyms of each canonical word, the canonical one first. A word listed under several kinds may
            mean any of them, and is ambiguous where two such objects are on the table.
        generic: nouns that fit everything.
        patterns: patterns by the name of what they express (`scope.RELATIONS`, `scope.EXTREMES`, "between", "ordinal"
            and, for marks, "letter" and "picture").
        canonical: probability of the canonical word where there are synonyms.
        bare: probability that a noun alone is tried first ("the cube").
        coloured_generic: probability that a colour with a generic noun is tried first ("the red one").
        complex_share: share of commands that refer to an object by a relation, superlative, size or rank.
        mix: share of commands with each way of `phrases.WAYS`; replaces `complex_share`.
        complex_slots: slots for which ways other than "plain" may be used.
        facts: split of `data.knowledge` whose facts may describe an object.
        typos: share of commands with a misspelt word.
        unknown: share of commands with an invented word.
        casing: weights of lower case, Sentence case and UPPER CASE.
        full_stop: probability of a full stop at the end.
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
    complex_slots: tuple[str, ...] = ("{target}", "{goal}")
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
        """Return the kinds that each noun may mean, except for generic nouns, which mean all."""
        return _inverse(self.nouns)

    @cached_property
    def colours_by_word(self) -> dict[str, frozenset[str]]:
        """Return the canonical colours that each colour word may mean."""
        return _inverse(self.colours)

    def expand(self, rng: Random, family: str, inside: bool) -> list[str]:
        """Draw a sentence: words and the slots "{target}" and "{goal}".

        Args:
            rng: random generator.
            family: of the task.
            inside: whether the goal is a container.
        """
        words: list[str] = []
        self._expand("say", rng, (f"_{family}", "_in" if inside else "_on", ""), words)
        return words

    def alternatives(self, name: str, family: str, inside: bool) -> list[tuple[tuple[str, ...], float]]:
        """Return the alternatives of a rule, in the variant for a family and goal, with their probabilities.

        Args:
            name: of the rule.
            family: of the task.
            inside: whether the goal is a container.

        Raises:
            KeyError: if there is no such rule.
        """
        for suffix in (f"_{family}", "_in" if inside else "_on", ""):
            if name + suffix in self._parsed:
                tokens, cumulative = self._parsed[name + suffix]
                weights = [b - a for a, b in zip((0.0, *cumulative), cumulative, strict=False)]
                return [
                    (alternative, weight / cumulative[-1]) for alternative, weight in zip(tokens, weights, strict=True)
                ]
        raise KeyError(f"no rule {name!r} in the grammar {self.name!r}; there are {sorted(self.rules)}")

    def _expand(self, name: str, rng: Random, suffixes: tuple[str, ...], words: list[str]) -> None:
        for suffix in suffixes:
            rule = self._parsed.get(name + suffix)
            if rule is not None:
                break
        else:
            raise KeyError(f"no rule {name!r} in the grammar {self.name!r}; there are {sorted(self.rules)}")
        alternatives, cumulative = rule
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
    return {word: frozenset(senses) for word, senses in meanings.items()}
