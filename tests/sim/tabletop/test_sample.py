import numpy as np
import pytest

from hamster.sim.tabletop.sample import FAMILIES, PALETTE, sample


@pytest.mark.parametrize("family", FAMILIES)
def test_a_scene_has_rivals_of_the_target(family: str) -> None:
    """Only the instruction, or the path, may tell which thing is meant: else "no path" would succeed by guessing."""
    for seed in range(15):
        scene, command = sample(np.random.default_rng(seed), family)
        target = scene.thing(command.target)
        able = {"press": lambda t: t.button, "knock": lambda t: t.topples}.get(family, lambda t: t.graspable)
        rivals = [t for t in scene.things if able(t)]
        assert target in rivals
        assert len(rivals) >= (3 if family in ("press", "knock") else 2)
        assert len({(t.kind, t.colour) for t in scene.things}) == len(scene.things)
        assert all(t.colour in PALETTE for t in scene.things)
        assert command.family == family and command.instruction


def test_the_seed_decides_everything() -> None:
    one, two, other = (sample(np.random.default_rng(s), "pick_place") for s in (5, 5, 6))
    assert one == two
    assert one != other


def test_an_unknown_family_is_named_with_the_known_ones() -> None:
    with pytest.raises(ValueError, match="unknown family 'juggle'; choose from pick_place, press, knock, stack, push"):
        sample(np.random.default_rng(0), "juggle")
