"""The demonstrations hold nothing of what an axis holds out, and an axis differs from them in nothing else."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from math import dist

import numpy as np
import pytest

from hamster.data import Episode
from hamster.data.knowledge import Split, facts
from hamster.evaluate.statistics import clopper_pearson
from hamster.sim.catalogue import CATALOGUE
from hamster.sim.language import OFFDOMAIN, TABLETOP, tasks
from hamster.sim.offdomain.overlap import can_say
from hamster.sim.offdomain.sample import PROPORTIONS
from hamster.sim.scene import Scene, Thing
from hamster.sim.tabletop.axes import AxesDemonstrations, frames
from hamster.sim.tabletop.axes.factors import AXES, FAMILIES, TRAIN, cases, changed
from hamster.sim.tabletop.axes.layouts import demonstrated_layouts, layout_digest
from hamster.sim.tabletop.axes.looks import demonstrated, demonstration, pair_generator
from hamster.sim.tabletop.axes.matrix import COLUMNS, Values, axis_values, demonstrated_values, held_out
from hamster.sim.tabletop.axes.sample import draw, draw_case, scene_generator
from hamster.sim.tabletop.axes.solids import SOLIDS
from hamster.sim.tabletop.axes.words import DEMOS
from hamster.sim.tabletop.demos import Frames, mixed

pytestmark = pytest.mark.slow

N = 1  # scenes of each case and family
MEANT = {
    "object-goal": {"kind_pairs", "colour_pairs", "single_colours"},
    "visual": {"surfaces", "lights", "extras"},
    "language": {"frames", "references", "facts"},
    "spatial": {"references"},
    "novel-object": {"kinds", "colours", "marks"},
    "new-camera": {"azimuths_deg"},
    "clutter": {"counts"},
    "unseen-kinds": {"kinds"},
    "unseen-facts": {"references", "facts"},
}


@pytest.fixture(scope="module")
def demos() -> Values:
    return demonstrated_values()


def test_the_demonstrations_show_what_their_record_allows_and_no_more(demos: Values) -> None:
    for name in COLUMNS:
        allowed = getattr(TRAIN, name)
        if name == "colour_pairs":  # 48; the 220 demonstrations of pick and place need not have all
            assert demos[name] <= allowed
        else:
            assert demos[name] == allowed, name


@pytest.mark.parametrize("axis", AXES)
def test_an_axis_holds_out_its_own_factors_alone(axis: str, demos: Values) -> None:
    for (case, family), scenes in axis_values(axis, N).items():
        for values in scenes:
            new = held_out(values, demos)
            if axis == "multiple":
                meant = [MEANT[name] for name in case.split("+")]
                assert all(new & names for names in meant) and new <= set().union(*meant), (case, family, new)
            else:
                (factors,) = [c.factors for c in AXES[axis] if c.name == case and family in c.families]
                assert new == changed(factors) - {"shifts"} <= MEANT.get(axis, set()), (case, family, new)


def test_a_layout_is_what_stands_where_to_the_millimetre() -> None:
    scene, _ = draw(np.random.default_rng(0), "press")
    first, *others = scene.things
    assert layout_digest(replace(scene, things=(*others, first), cameras={})) == layout_digest(scene)
    x, y = (round(metres, 3) for metres in first.xy)
    placed = [replace(scene, things=(replace(first, xy=(x + dx, y)), *others)) for dx in (0.0, 0.0004, 0.001)]
    assert layout_digest(placed[0]) == layout_digest(placed[1]) != layout_digest(placed[2])
    recoloured = replace(scene, things=(replace(first, colour="cyan"), *others))
    assert layout_digest(recoloured) != layout_digest(scene)


def test_no_scene_has_the_layout_of_a_demonstration_or_of_a_scene_of_another_run_number_or_axis() -> None:
    digests = list[str]()
    for seed in (0, 1, 1 << 41):  # the test seeds, 2**40 and those that follow, are not read here
        for axis in ("basic", "object-goal", "visual", "language"):
            for family in FAMILIES:
                for number in range(2):
                    rng = scene_generator(axis, family, seed, number)
                    digests.append(layout_digest(draw_case(rng, family, cases(axis, family)[0])[1]))
    assert len(set(digests)) == len(digests) == 72
    assert not set(digests) & demonstrated_layouts(redrawn=1)


@pytest.mark.parametrize("family", FAMILIES)
def test_no_rule_that_ignores_words_and_image_finds_the_target(family: str) -> None:
    n, hits = 40, Counter[str]()
    for seed in range(n):
        scene, command = draw(np.random.default_rng((seed, 9)), family)
        names = {task.target for task in tasks(scene) if task.family == family}
        chosen = {name: rule(scene, [t for t in scene.things if t.name in names]) for name, rule in RULES.items()}
        hits.update(name for name, thing in chosen.items() if thing.name == command.target)
    for name in RULES:
        assert clopper_pearson(hits[name], n, 0.9999)[0] <= 1 / 3, (name, hits[name])


def gap(scene: Scene, thing: Thing) -> float:
    return min(dist(thing.xy, other.xy) for other in scene.things if other is not thing)


RULES: dict[str, Callable[[Scene, list[Thing]], Thing]] = {
    "first": lambda scene, things: things[0],
    "last": lambda scene, things: things[-1],
    "near the tool": lambda scene, things: min(things, key=lambda thing: dist(thing.xy, scene.start_tool[:2])),
    "near the viewer": lambda scene, things: max(things, key=lambda thing: thing.xy[0]),
    "near the robot": lambda scene, things: min(things, key=lambda thing: thing.xy[0]),
    "left": lambda scene, things: min(things, key=lambda thing: thing.xy[1]),
    "right": lambda scene, things: max(things, key=lambda thing: thing.xy[1]),
    "alone": lambda scene, things: max(things, key=lambda thing: gap(scene, thing)),
    "crowded": lambda scene, things: min(things, key=lambda thing: gap(scene, thing)),
}


def test_no_hand_written_sentence_can_be_generated() -> None:
    n = 0
    for family in FAMILIES:
        for text in frames.RULES[f"say_{family}"]:
            n += 1
            for inside, preposition in ((False, "on"), (True, "in")):
                words = tuple(text.replace("<loc>", preposition).split())
                for grammar in (TABLETOP, OFFDOMAIN, DEMOS):
                    lower = tuple(word.lower() for word in words)
                    assert not can_say(grammar, words, family, inside) and not can_say(grammar, lower, family, inside)
    assert n >= 60


@pytest.mark.parametrize(
    ("axis", "taught"), [("language", (OFFDOMAIN.facts,)), ("unseen-facts", (OFFDOMAIN.facts, "text"))]
)
def test_no_fact_of_an_axis_is_among_those_that_the_planner_was_taught(axis: str, taught: tuple[Split, ...]) -> None:
    known = {fact.words for split in taught for fact in facts(split)}
    named = [values["facts"] for scenes in axis_values(axis, 6).values() for values in scenes]
    assert any(named) and not any(words & known for words in named)


@pytest.mark.parametrize("family", ["press", "knock"])
def test_a_fact_is_needed_since_the_colour_is_not_named_beside_it(family: str) -> None:
    (case,) = cases("unseen-facts", family)
    for seed in range(8):
        _, scene, command = draw_case(np.random.default_rng(seed), family, case)
        assert scene.thing(command.target).colour not in command.instruction.lower().split()


def test_a_kind_in_neither_world_is_called_an_object_of_its_colour() -> None:
    assert not set(SOLIDS) & {*CATALOGUE, *PROPORTIONS, *TRAIN.kinds}
    for family, noun in (("pick_place", "object"), ("press", "button"), ("knock", "object")):
        (case,) = cases("unseen-kinds", family)
        for seed in range(4):
            _, scene, command = draw_case(np.random.default_rng(seed), family, case)
            target = scene.thing(command.target)
            assert f"the {target.colour} {noun}" in command.instruction.lower()
            assert noun == "button" or sum(thing.colour == target.colour for thing in scene.things) == 1


def test_the_generators_of_a_demonstrations_pair_and_layout_differ() -> None:
    for number in range(20):
        streams = [pair_generator(0, number, mixed(320)[number]), np.random.default_rng((0, number))]
        assert len({generator.random() for generator in streams}) == 2


def test_target_and_goal_of_a_demonstration_depend_on_its_number_alone() -> None:
    pairs = [pair for family in FAMILIES for pair in demonstrated(family)]
    assert len(pairs) == 320 and {f: len(demonstrated(f)) for f in FAMILIES} == {
        "pick_place": 220, "press": 50, "knock": 50,
    }  # fmt: skip
    first = next(i for i, family in enumerate(mixed(320)) if family == "pick_place")
    assert demonstrated("pick_place")[0] == demonstration(0, first)
    assert demonstrated("pick_place", 10) == demonstrated("pick_place")[: len(demonstrated("pick_place", 10))]


def test_a_demonstration_has_the_pair_of_its_number_and_plain_words() -> None:
    source = AxesDemonstrations(320)
    assert source.inputs(0).name == "axes-demos episode 0"
    episode = source[0]
    assert isinstance(episode, Episode) and episode.provenance.source == "axes-demos" and source.uri == "axes-demos:320"
    assert episode.provenance.extra["family"] == mixed(320)[0] == "pick_place" and len(episode.instructions) == 4
    assert isinstance(episode.observations, Frames)
    assert layout_digest(episode.observations._world.scene) in demonstrated_layouts(1)
    pair = demonstration(0, 0)
    assert pair.goal is not None
    for text in episode.instructions:
        assert pair.target.kind in text
        assert any(str(word) in text for word in (pair.goal.kind, pair.goal.mark))
        assert not any(word in text for word in ("left", "right", "nearest", "behind", "between", "next", "thing"))
