from __future__ import annotations

import re
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from hamster.sim.catalogue import CATALOGUE
from hamster.sim.language import FAMILIES, OFFDOMAIN, TABLETOP, Grammar, Task, commands, tasks
from hamster.sim.language.phrases import WAYS
from hamster.sim.layout import image_layout
from hamster.sim.offdomain import sample_scene
from hamster.sim.scene import Command, Scene

from .resolver import Resolver
from .scenes import INDOMAIN, random_scene, scene, thing

BOTH = pytest.mark.parametrize(
    ("grammar", "kinds"), [(TABLETOP, INDOMAIN), (OFFDOMAIN, tuple(CATALOGUE))], ids=["tabletop", "offdomain"]
)
PHRASES = {
    "say_pick_place": ("{target} / {goal}",),
    "say_stack": ("{target} / {goal}",),
    "say_push": ("{target} / {goal}",),
    "say_press": ("{target}",),
    "say_knock": ("{target}",),
}


def phrases_alone(grammar: Grammar) -> Grammar:
    """The grammar with nothing around its phrases, all of them as complex as they come half of the time."""
    casing = (1.0, 0.0, 0.0)
    return replace(grammar, rules=PHRASES, complex_share=0.7, typos=0.0, unknown=0.0, casing=casing, full_stop=0.0)


def scenes(kinds: tuple[str, ...], n: int, seed: int = 0) -> list[Scene]:
    rng = np.random.default_rng(seed)
    return [random_scene(rng, kinds) for _ in range(n)]


@BOTH
def test_every_phrase_means_one_thing_to_an_independent_reader(grammar: Grammar, kinds: tuple[str, ...]) -> None:
    alone, count = phrases_alone(grammar), 0
    for i, world in enumerate(scenes(kinds, 300)):
        resolver = Resolver(world, image_layout(world), grammar)
        for command in commands(world, np.random.default_rng(i), 12, alone):
            things = [command.target] if command.goal is None else [command.target, command.goal]
            for phrase, name in zip(command.instruction.split(" / "), things, strict=True):
                assert resolver.resolve(phrase) == {name}, (phrase, command)
                count += 1
    assert count > 4000


@BOTH
def test_mentions_are_words_and_the_last_of_each_phrase_is_its_referent(
    grammar: Grammar, kinds: tuple[str, ...]
) -> None:
    for i, world in enumerate(scenes(kinds, 100)):
        for command in commands(world, np.random.default_rng(i), 8, phrases_alone(grammar)):
            things = [command.target] if command.goal is None else [command.target, command.goal]
            ends = [m.end() for m in re.finditer(r"[^/]+?(?= /|$)", command.instruction)]
            alone = {end: names for _, end, names in command.mentions}
            assert [alone[end] for end in ends] == [(name,) for name in things]


@BOTH
def test_spans_cover_whole_words_in_order(grammar: Grammar, kinds: tuple[str, ...]) -> None:
    for i, world in enumerate(scenes(kinds, 100)):
        for command in commands(world, np.random.default_rng(i), 8, grammar):
            text, last, before = command.instruction, -1, (-1, -1)
            assert command.mentions
            for start, end, names in command.mentions:
                # The last word of a landmark means the landmark, and then what it leads to.
                assert last < start < end or (grammar.mix and (start, end) == before)
                before = (start, end)
                assert re.fullmatch(r"[\w']+", text[start:end])
                assert (start == 0 or text[start - 1] == " ") and (end == len(text) or text[end] in " ,.?:")
                assert names and set(names) <= {t.name for t in world.things}
                last = end


def test_a_word_points_at_all_that_fits_so_far() -> None:
    world = scene(
        [
            thing("a", "cube", "red", (0.4, -0.2)),
            thing("b", "ball", "red", (0.5, 0.0)),
            thing("c", "cube", "blue", (0.6, 0.2)),
            thing("p", "plate", "green", (0.4, 0.15)),
        ]
    )
    plain = replace(phrases_alone(TABLETOP), complex_share=0.0, bare=0.0, coloured_generic=0.0, canonical=1.0)
    (command,) = commands(world, np.random.default_rng(0), 1, plain, among=[Task("pick_place", "a", "p")])
    assert command.instruction == "the red cube / the green plate"
    assert command.mentions == ((4, 7, ("a", "b")), (8, 12, ("a",)), (19, 24, ("p",)), (25, 30, ("p",)))


@BOTH
def test_all_families_occur_and_only_what_is_possible(grammar: Grammar, kinds: tuple[str, ...]) -> None:
    seen: Counter[str] = Counter()
    for i, world in enumerate(scenes(kinds, 150)):
        possible = set(tasks(world))
        for command in commands(world, np.random.default_rng(i), 8, grammar):
            assert Task(command.family, command.target, command.goal) in possible
            seen[command.family] += 1
    assert set(seen) == set(FAMILIES) and min(seen.values()) >= 15


def test_families_and_tasks_can_be_chosen() -> None:
    for i, world in enumerate(scenes(INDOMAIN, 60)):
        rng = np.random.default_rng(i)
        assert {c.family for c in commands(world, rng, 5, TABLETOP, families=("knock",))} <= {"knock"}
        for task in tasks(world)[:2]:
            said = commands(world, rng, 3, OFFDOMAIN, among=[task])
            assert {(c.family, c.target, c.goal) for c in said} <= {tuple(task)}


def test_things_that_are_hardly_seen_are_not_spoken_of() -> None:
    for i, world in enumerate(scenes(INDOMAIN, 60)):
        visible = {t.name: (0.39, 0.41)[k % 2] for k, t in enumerate(world.things)}
        for command in commands(world, np.random.default_rng(i), 8, OFFDOMAIN, image_layout(world), visible):
            assert visible[command.target] > 0.4
            assert command.goal is None or visible[command.goal] > 0.4


def test_twins_at_the_same_place_in_the_image_cannot_be_told_apart() -> None:
    twins = [thing(name, "button", "red", (0.5, y)) for name, y in (("a", 0.0), ("b", 0.02))]
    assert commands(scene(twins), np.random.default_rng(0), 5, OFFDOMAIN) == []
    apart = [twins[0], thing("b", "button", "red", (0.5, 0.2))]
    assert len(commands(scene(apart), np.random.default_rng(0), 20, OFFDOMAIN)) >= 5


def test_left_is_left_in_the_image_of_a_camera_that_looks_back_at_the_robot() -> None:
    world = scene([thing("a", "button", "red", (0.5, -0.2)), thing("b", "button", "red", (0.5, 0.2))])
    patterns = {"leftmost": TABLETOP.patterns["leftmost"]}
    said = commands(world, np.random.default_rng(0), 10, replace(TABLETOP, patterns=patterns))
    assert said and {c.target for c in said} == {"a"}


def test_nothing_possible_gives_no_commands() -> None:
    assert commands(scene([thing("a", "hammer", "red", (0.5, 0.0))]), np.random.default_rng(0), 5, OFFDOMAIN) == []
    assert commands(scene([]), np.random.default_rng(0), 5, OFFDOMAIN) == []


def test_a_seed_gives_the_same_commands() -> None:
    (world,) = scenes(INDOMAIN, 1)
    first, second = (commands(world, np.random.default_rng(7), 20, OFFDOMAIN) for _ in range(2))
    assert first == second
    assert first != commands(world, np.random.default_rng(8), 20, OFFDOMAIN)


def test_plain_names_prevail_in_the_tabletop() -> None:
    kinds = ("cube", "bottle", "button", "plate")
    spots = [(0.34 + 0.04 * i, 0.06 * (i * 5 % 8) - 0.2) for i in range(8)]
    world = scene([thing(f"t{i}", kinds[i // 2], ("red", "blue")[i % 2], xy) for i, xy in enumerate(spots)])
    said = commands(world, np.random.default_rng(0), 1000, TABLETOP)
    names = {"red", "blue", "block", *kinds}
    plain = sum({c.instruction[a:b] for a, b, _ in c.mentions} <= names for c in said)
    assert len(said) == 1000 and 800 < plain < 900


def offdomain_commands(n: int) -> list[Command]:
    rngs = (np.random.default_rng(i) for i in range(n))
    return [command for rng in rngs for command in commands(sample_scene(rng), rng, 24, OFFDOMAIN)]


def test_each_way_of_telling_a_thing_has_its_share() -> None:
    assert sum(OFFDOMAIN.mix.values()) == pytest.approx(1) and set(OFFDOMAIN.mix) == set(WAYS)
    ways = Counter(command.way for command in offdomain_commands(120))
    for way, share in OFFDOMAIN.mix.items():
        assert 0.3 * share < ways[way] / ways.total() < 2 * share, (way, share, ways[way] / ways.total())


def test_superlatives_mean_the_half_that_they_prefer_before_their_noun_is_said() -> None:
    things = [thing(f"thing{i}", "button", "red", (0.5, -0.2 + 0.1 * i)) for i in range(5)]
    world, found = scene(things), 0
    u = {name: spot[0] for name, spot in image_layout(world).items()}
    left_half = set(sorted(u, key=lambda name: u[name])[:3])
    alone = replace(phrases_alone(OFFDOMAIN), mix={"side extreme": 1.0})
    for command in commands(world, np.random.default_rng(0), 60, alone):
        start, end, names = command.mentions[0]
        if command.instruction[start:end] == "leftmost":
            found += 1
            assert set(names) == left_half and {command.mentions[-1][2]} == {(min(u, key=lambda name: u[name]),)}
    assert found > 3


def test_the_last_word_of_a_landmark_means_the_landmark_and_then_what_it_leads_to() -> None:
    world = scene([thing(f"thing{i}", "button", "red", (0.5, -0.2 + 0.2 * i)) for i in range(2)]
                  + [thing("plate", "plate", "blue", (0.5, -0.1))])  # fmt: skip
    alone = replace(phrases_alone(OFFDOMAIN), mix={"side relation": 1.0})
    seen = 0
    for command in commands(world, np.random.default_rng(0), 40, alone):
        spans = [(start, end) for start, end, _ in command.mentions]
        doubled = [i for i in range(1, len(spans)) if spans[i] == spans[i - 1]]
        for i in doubled:
            landmark, referent = (set(command.mentions[j][2]) for j in (i - 1, i))
            assert len(landmark) == len(referent) == 1 and landmark != referent
            seen += 1
    assert seen >= 20


def test_words_that_do_not_exist_stand_where_they_change_nothing() -> None:
    world = random_scene(np.random.default_rng(4), INDOMAIN)
    made_up = commands(world, np.random.default_rng(0), 30, replace(OFFDOMAIN, unknown=1.0, typos=0.0))
    for command in made_up:
        assert re.search(r"\b(?:[bdfgklmnprstvz][aeiou]){1,3}x\b", command.instruction.lower()), command.instruction
    assert len(made_up) == 30
