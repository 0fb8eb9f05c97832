"""Nothing of the tabletop's look may be seen off-domain: otherwise the planner would have been there before."""

import numpy as np

from hamster.sim.catalogue import CATALOGUE
from hamster.sim.layout import image_layout
from hamster.sim.offdomain.sample import ARM_NAMES, HSV, sample_scene, shade_of
from hamster.sim.tabletop.sample import CAMERAS, PALETTE

SCENES = [sample_scene(np.random.default_rng(seed)) for seed in range(120)]


def test_no_panda_no_wood_no_camera_of_the_tabletop() -> None:
    assert "panda" not in ARM_NAMES
    for scene in SCENES:
        assert scene.arm in ARM_NAMES
        assert "wood" not in (scene.table.pattern, scene.floor.pattern)
        assert np.linalg.norm(np.subtract(scene.cameras["front"].eye, CAMERAS["front"].eye)) > 0.05


def test_no_shade_of_the_tabletop() -> None:
    rng = np.random.default_rng(0)
    for colour in HSV:
        shades = np.array([shade_of(colour, rng) for _ in range(100)])
        assert shades.min() >= 0 and shades.max() <= 1
        for own in PALETTE.values():
            assert np.abs(shades - own).max(1).min() > 0.02
        if colour in PALETTE:
            assert np.abs(shades - PALETTE[colour]).max(1).min() > 0.04


def test_colour_words_can_be_learned_for_all_in_domain_colours() -> None:
    assert set(PALETTE) <= set(HSV)


def test_scenes_are_varied_and_in_view() -> None:
    assert {scene.arm for scene in SCENES} == set(ARM_NAMES)
    assert {thing.kind for scene in SCENES for thing in scene.things} == set(CATALOGUE)
    spots = [spot for scene in SCENES for spot in image_layout(scene).values()]
    inside = [0 < u < 1 and 0 < v < 1 for u, v, _ in spots]
    assert np.mean(inside) > 0.85
    assert min(len(scene.things) for scene in SCENES) >= 2 and max(len(scene.things) for scene in SCENES) <= 8
