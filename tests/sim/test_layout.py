import numpy as np

from hamster.sim.catalogue import cube, plate
from hamster.sim.layout import footprint_radius, image_layout, scatter, world_camera
from hamster.sim.tabletop.sample import CAMERAS, FAMILIES, WORKSPACE, sample
from hamster.sim.world import World

RED = (0.8, 0.1, 0.1)


def test_scattered_things_keep_their_distance_and_their_order() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        things = [cube("a", "red", RED), plate("b", "red", RED), cube("c", "red", RED)]
        placed = scatter(things, WORKSPACE, rng, gap_m=0.03)
        assert placed is not None
        assert [t.name for t in placed] == ["a", "b", "c"]
        for i, one in enumerate(placed):
            for other in placed[:i]:
                gap = np.hypot(one.xy[0] - other.xy[0], one.xy[1] - other.xy[1])
                assert gap > footprint_radius(one) + footprint_radius(other) + 0.03


def test_too_many_things_do_not_fit() -> None:
    things = [plate(f"p{i}", "red", RED, radius=0.12) for i in range(9)]
    assert scatter(things, WORKSPACE, np.random.default_rng(0), gap_m=0.03) is None


def test_the_camera_without_a_model_is_the_camera_of_the_model() -> None:
    scene, _ = sample(np.random.default_rng(1), "press")
    world = World(scene)
    rendered = world.observe(("front",)).views["front"].camera
    computed = world_camera(CAMERAS["front"], 256, 256)
    assert np.allclose(rendered.world_from_camera, computed.world_from_camera, atol=1e-6)
    assert np.allclose(rendered.intrinsics, computed.intrinsics)
    world.close()


def test_everything_on_the_tabletop_is_in_the_picture() -> None:
    for seed in range(20):
        scene, _ = sample(np.random.default_rng(seed), FAMILIES[seed % 5])
        for u, v, area in image_layout(scene).values():
            assert 0 < u < 1 and 0 < v < 1 and 0 < area < 0.1
