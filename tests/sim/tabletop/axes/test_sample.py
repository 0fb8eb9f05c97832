"""A scene of an axis is a function of axis, family, seed and number, and its instruction has one meaning."""

import pytest

from hamster.sim.language import tasks
from hamster.sim.tabletop.axes.factors import AXES, FAMILIES, TRAIN, cases, combine
from hamster.sim.tabletop.axes.sample import sample
from hamster.sim.tabletop.axes.seeds import DEV, TEST, run_and_number, scene_seed


def test_a_scene_depends_on_its_arguments_alone_and_its_case_on_its_number() -> None:
    first = sample.__wrapped__("object-goal", "press", 3, 1)
    assert first == sample.__wrapped__("object-goal", "press", 3, 1)
    assert first.scene != sample("object-goal", "press", 4, 1).scene
    of_axis = cases("language", "press")
    assert [sample("language", "press", 0, i).case for i in range(4)] == [case.name for case in of_axis] * 2


@pytest.mark.parametrize("family", FAMILIES)
def test_guessing_among_the_admissible_targets_is_at_most_one_in_three(family: str) -> None:
    for number in range(2):
        drawn = sample("basic", family, 0, number)
        possible = [task for task in tasks(drawn.scene) if task.family == family]
        assert len({task.target for task in possible}) >= 3
        assert family != "pick_place" or len({task.goal for task in possible}) == 2
        assert len(drawn.scene.things) == 5 and (drawn.command.target, drawn.command.goal) in [t[1:] for t in possible]


def test_development_and_test_seeds_are_apart_and_recoverable() -> None:
    assert not set(DEV) & set(TEST)
    for seed in (0, DEV[-1], TEST[0], TEST[-1]):
        assert run_and_number(scene_seed(seed, 119)) == (seed, 119) and scene_seed(seed, 119) < 1 << 62
    with pytest.raises(ValueError, match="the axes suites have no seed 100000; for development 0 to 99999"):
        scene_seed(100_000, 0)


def test_unknown_names_are_errors_that_list_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown axis 'colour'; choose from basic, object-goal"):
        sample("colour", "press", 0, 0)
    with pytest.raises(ValueError, match="unknown family 'push' of an axis; choose from pick_place, press, knock"):
        sample("basic", "push", 0, 0)


def test_two_cases_that_decide_the_same_thing_are_not_combined() -> None:
    shape, colour = (case.factors for case in cases("novel-object", "press"))
    (new_colour,) = (case.factors for case in cases("object-goal", "press"))
    assert combine([new_colour, colour]) is None
    both = combine([new_colour, shape])
    assert both is not None and both.kinds == shape.kinds and both.single_colours == new_colour.single_colours
    assert combine([]) == TRAIN and len(AXES["multiple"]) == 10
