import numpy as np
import pytest

from hamster.data.registry import open_source
from hamster.sim.offdomain.factor_images import FACTORS, TabletopFactors
from hamster.sim.offdomain.sample import ARM_NAMES
from hamster.sim.tabletop.sample import PALETTE, sample

ROWS = len(FACTORS)


@pytest.fixture(scope="module")
def images():
    return list(TabletopFactors(ROWS, seed=3))


def test_rows_take_turns_and_show_one_scene(images):
    assert [image.provenance.extra["row"] for image in images] == list(FACTORS)
    annotations = [image.annotations[0] for image in images]
    assert len({(a.task, a.target, a.goal) for a in annotations}) == 1
    assert len({image.objects for image in images}) == 1
    pixels = {image.view.rgb.tobytes() for image in images}
    assert len(pixels) == ROWS  # each change can be seen


def test_all_but_the_camera_leaves_things_where_they_are(images):
    plain, *changed = images
    for image in changed:
        same = (image.segmentation == plain.segmentation).mean()
        assert (same > 0.93) == (image.provenance.extra["row"] != "camera"), image.provenance.extra["row"]


def test_an_image_depends_on_the_seed_and_its_number_alone(images):
    again = TabletopFactors(5 * ROWS, seed=3)[2]
    assert np.array_equal(again.view.rgb, images[2].view.rgb)
    assert open_source("tabletop-factors:8").uri == "tabletop-factors:8"


@pytest.mark.parametrize("name", FACTORS)
def test_a_change_is_of_one_factor(name):
    scene, _ = sample(np.random.default_rng(0), "press")
    changed = FACTORS[name](scene, np.random.default_rng(1))
    fields = {field for field in vars(scene) if getattr(scene, field) != getattr(changed, field)}
    expected = {
        "nothing": set(),
        "arm": {"arm", "arm_look"},
        "table and floor": {"table", "floor"},
        "shades of colours": {"things"},
        "patterns on things": {"things"},
        "lights": {"lights"},
        "surroundings": {"scenery"},
        "camera": {"cameras"},
    }
    assert fields == expected[name]
    assert changed.arm in (*ARM_NAMES, "panda")
    if name == "shades of colours":
        assert not any(part.rgba[:3] == PALETTE[thing.colour] for thing in changed.things for part in thing.parts)
