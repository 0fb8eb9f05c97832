"""The picture, the depth and the calibration tell the same story as the physics."""

from collections.abc import Iterator

import mujoco
import numpy as np
import pytest

from hamster.sim.annotate import NOTHING, segment
from hamster.sim.render import Renderer
from hamster.sim.tabletop.sample import sample
from hamster.sim.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World(sample(np.random.default_rng(3), "pick_place")[0], 256)
    yield world
    world.close()


def test_unprojected_depth_lies_on_the_table(world: World) -> None:
    view = world.observe(("front",)).views["front"]
    points = view.camera.points_world(view.depth_m)
    nothing = segment(world, "front") == NOTHING
    on_table = nothing & (points[..., 0] > 0.3) & (points[..., 0] < 0.7) & (np.abs(points[..., 1]) < 0.3)
    height = points[on_table][:, 2]
    assert np.median(np.abs(height)) < 0.0005


def test_things_are_seen_where_they_project(world: World) -> None:
    view = world.observe(("front",)).views["front"]
    mask = segment(world, "front")
    for i, thing in enumerate(world.scene.things):
        px, _ = view.camera.project(world.thing_pose(thing.name)[:3, 3] + [0, 0, thing.size[2] / 2])
        rows, columns = np.nonzero(mask == i)
        assert np.hypot(columns.mean() + 0.5 - px[0], rows.mean() + 0.5 - px[1]) < 9


def test_rgb_and_depth_come_from_one_pass(world: World) -> None:
    first, second = (world.observe(("front",)).views["front"] for _ in range(2))
    assert np.array_equal(first.rgb, second.rgb)
    assert np.array_equal(first.depth_m, second.depth_m)
    assert first.rgb.dtype == np.uint8 and first.depth_m.dtype == np.float32


def test_the_wrist_camera_moves_with_the_hand(world: World) -> None:
    before = world.observe(("wrist",)).views["wrist"].camera.world_from_camera
    tool = world.tool_pose_world
    for _ in range(8):
        target = tool.copy()
        target[:3, 3] += [0.04, 0.0, -0.03]
        world.step(target, 1.0)
    after = world.observe(("wrist",)).views["wrist"].camera.world_from_camera
    shift = world.tool_pose_world[:3, 3] - tool[:3, 3]
    assert np.linalg.norm(shift) > 0.03
    assert after[:3, 3] - before[:3, 3] == pytest.approx(shift, abs=2e-3)


def test_a_scene_without_shadows_has_no_shadow_map_and_looks_the_same(world: World) -> None:
    assert world.model.vis.quality.shadowsize == 0 and not world.model.light_castshadow.any()
    view = world.observe(("front",)).views["front"]
    world.model.vis.quality.shadowsize = 4096  # MuJoCo's default
    renderer = Renderer(world.model)
    world.model.vis.quality.shadowsize = 0
    mujoco.mj_forward(world.model, world.data)
    with_map = renderer.render(world.data, "front")
    renderer.close()
    assert np.array_equal(view.rgb, with_map.rgb) and np.array_equal(view.depth_m, with_map.depth_m)
