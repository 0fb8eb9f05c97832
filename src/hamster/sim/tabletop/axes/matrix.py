"""Which factor each axis holds out: read off scenes and sentences, not off the records that they were drawn from."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Hashable, Iterable, Mapping
from functools import cache

import numpy as np

from hamster.data.knowledge import Fact, facts
from hamster.sim.offdomain.overlap import sentences
from hamster.sim.scene import Command, Scene, Thing
from hamster.sim.tabletop.axes.factors import AXES, FAMILIES, TRAIN, UNINVOLVED, cases
from hamster.sim.tabletop.axes.looks import DEMOS_SEED, N_DEMOS, demonstration
from hamster.sim.tabletop.axes.sample import EXPERT_FAILS, REASONS, draw, draw_case, sample
from hamster.sim.tabletop.axes.words import DEMOS
from hamster.sim.tabletop.demos import mixed
from hamster.sim.tabletop.sample import CAMERAS, LAMPS, PALETTE

COLUMNS = {
    "kinds": "kind",
    "colours": "colour",
    "marks": "mark",
    "kind_pairs": "pair of kinds",
    "colour_pairs": "pair of colours",
    "single_colours": "colour of button or bottle",
    "frames": "sentence",
    "references": "way of reference",
    "facts": "fact",
    "surfaces": "table",
    "lights": "light",
    "extras": "uninvolved kinds",
    "counts": "number of things",
    "azimuths_deg": "camera",
}
"""Heading of each factor."""
_PHRASE = r"(?:the|letter)(?: [\w']+){1,12}?"

Values = Mapping[str, frozenset[Hashable]]


def observed(scene: Scene, command: Command) -> Values:
    """Return the values of each factor that a scene and its command show."""
    target = scene.thing(command.target)
    goal = None if command.goal is None else scene.thing(command.goal)
    about = [target] if goal is None else [target, goal]
    kinds, colours = [_kind(thing) for thing in about], [thing.colour for thing in about]
    known_kinds, known_colours = set(kinds) <= TRAIN.kinds, set(colours) <= set(PALETTE)
    extras = {thing.name: thing.kind for thing in scene.things if thing.kind in UNINVOLVED and thing not in about}
    extras = {name: kind for name, kind in extras.items() if kind not in kinds}
    text = command.instruction.lower()
    values: dict[str, set[Hashable]] = {
        "kinds": set(kinds),
        "colours": set(colours),
        "marks": {thing.mark for thing in about if thing.mark is not None},
        "kind_pairs": {tuple(kinds)} if goal is not None and known_kinds else set(),
        "colour_pairs": {tuple(colours)} if goal is not None and known_colours else set(),
        "single_colours": set(colours) if goal is None and known_colours else set(),
        "frames": {"tabletop" if _is_trained_sentence(command, text) else "other"},
        "references": {command.way or "plain"},
        "facts": {fact.words for fact in facts() if _stated(fact).lower() in text},
        "surfaces": {scene.table.pattern},
        "lights": {"lamps" if scene.lights == LAMPS else "other"},
        "extras": set(extras.values()),
        "counts": {len(scene.things) - len(extras)},
        "azimuths_deg": {0 if scene.cameras["front"] == CAMERAS["front"] else scene.cameras["front"].eye},
    }
    return {name: frozenset(held) for name, held in values.items()}


@cache
def demonstrated_values(n: int = N_DEMOS, seed: int = DEMOS_SEED) -> Values:
    """Return all values of each factor in the demonstrations, from one layout of each."""
    scenes = (
        draw(np.random.default_rng((seed, i, 1)), family, pair=demonstration(seed, i))
        for i, family in enumerate(mixed(n))
    )
    return _union(observed(*scene) for scene in scenes)


def axis_values(axis: str, n: int, seed: int = 0) -> dict[tuple[str, str], list[Values]]:
    """Return the values of each factor in scenes of an axis, by case and family; the expert is not executed.

    Args:
        axis: a key of `AXES`.
        n: number of scenes of each case and family.
        seed: of the scenes.
    """
    values = {}
    for family in FAMILIES:
        for case in cases(axis, family):
            rng = np.random.default_rng((seed, list(AXES).index(axis)))
            values[case.name, family] = [observed(*draw_case(rng, family, case)[1:]) for _ in range(n)]
    return values


def held_out(values: Values, demos: Values) -> frozenset[str]:
    """Return the factors of which a scene has a value that is in none of the demonstrations."""
    return frozenset(name for name in COLUMNS if not values[name] <= demos[name])


def table(n: int = 8, seed: int = 0) -> list[list[str]]:
    """Return the matrix of axes and factors, as rows of cells with headings.

    A cell names the cases in which a scene has a value of the factor that no demonstration has.

    Args:
        n: number of scenes of each case and family of an axis.
        seed: of the scenes.
    """
    demos = demonstrated_values()
    rows = [["axis", *COLUMNS.values()]]
    for axis in AXES:
        drawn = axis_values(axis, n, seed)
        new = {case: set[str]() for case, _ in drawn}
        for (case, _), scenes in drawn.items():
            new[case].update(*(held_out(values, demos) for values in scenes))
        rows.append([axis, *(_cell({case for case, names in new.items() if name in names}) for name in COLUMNS)])
    return rows


def rejection_table(n: int, seed: int = 0) -> list[list[str]]:
    """Return how many scenes `sample` draws and why it rejects them, as rows of cells with headings.

    All shares but the last are of the scenes drawn. The last is that of the scenes in which only the expert failed:
    where it exceeds 10 %, the axis consists of easier scenes than the other rules allow.

    Args:
        n: number of scenes of each axis, case and family.
        seed: of the scenes.
    """
    rows = [["axis", "family", "scenes", "drawn", *REASONS]]
    for axis in AXES:
        for family in FAMILIES:
            scenes = [sample(axis, family, seed, number) for number in range(n * len(cases(axis, family)))]
            rejected = sum((Counter(scene.rejected) for scene in scenes), Counter[str]())
            n_drawn, n_executed = len(scenes) + rejected.total(), len(scenes) + rejected[EXPERT_FAILS]
            shares = [_share(rejected[reason], n_drawn) for reason in REASONS[:-1]]
            failed = _share(rejected[EXPERT_FAILS], n_executed)
            rows.append([axis, family, str(len(scenes)), str(n_drawn), *shares, failed])
    return rows


def _share(count: int, of: int) -> str:
    return f"{count / of:.1%} ({count} of {of})"


def _cell(names: set[str]) -> str:
    if not names:
        return "as demonstrated"
    return "held out: " + ", ".join(sorted(names)) if len(names) <= 3 else f"held out in {len(names)} cases"


def _union(all_values: Iterable[Values]) -> Values:
    union: dict[str, frozenset[Hashable]] = dict.fromkeys(COLUMNS, frozenset())
    for values in all_values:
        union = {name: held | values[name] for name, held in union.items()}
    return union


def _stated(fact: Fact) -> str:
    return f"colour of {fact.words}" if fact.aspect == "colour" else f" {fact.words}"


def _kind(thing: Thing) -> str:
    if thing.button and thing.parts[-1].shape == "box":
        return "square button"
    return "tall button" if thing.button and thing.size[2] > 0.06 else thing.kind


def _is_trained_sentence(command: Command, text: str) -> bool:
    """Return whether a rule of the demonstrations' grammar fits the sentence, whatever its phrases are."""
    return any(pattern.fullmatch(text.rstrip(".")) for pattern in _trained_sentences(command.family))


@cache
def _trained_sentences(family: str) -> tuple[re.Pattern[str], ...]:
    rules = {words for inside in (False, True) for words in sentences(DEMOS, family, inside)}
    return tuple(
        re.compile(" ".join(_PHRASE if word in ("{target}", "{goal}") else re.escape(word.lower()) for word in rule))
        for rule in sorted(rules)
    )
