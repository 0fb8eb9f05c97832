"""The judges look at the physics: putting things by hand where they belong is enough, pretending is not."""

import numpy as np
import pytest

from hamster.geometry.keypose_motion import down_pose
from hamster.sim.expert import execute, plan
from hamster.sim.scene import Command
from hamster.sim.tasks import begin, footprint_gap_m, is_failed, is_success
from hamster.sim.world import World
from tests.sim.stage import stage, stand

UPRIGHT = (1.0, 0.0, 0.0, 0.0)
LYING = (np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0)


def put(world: World, name: str, xyz: tuple[float, float, float], quaternion: tuple[float, ...] = UPRIGHT) -> None:
    """Puts a thing somewhere by an unseen hand and lets it settle."""
    joint = world.data.joint(f"{name}_free")
    joint.qpos[:] = (*xyz, *quaternion)
    joint.qvel[:] = 0
    for _ in range(12):
        world.step(down_pose((0.42, 0.0, 0.28), -np.pi / 2), 1.0)


def test_pick_place_wants_the_target_at_rest_on_the_goal() -> None:
    world = stage(stand("cube", "a", 0.5, 0.1), stand("plate", "b", 0.5, -0.15), stand("plate", "c", 0.4, 0.2))
    command, start = Command("pick_place", "a", "b", ""), begin(world)
    assert not is_success(world, command, start)
    put(world, "a", (0.5, -0.15, 0.013))
    assert is_success(world, command, start)
    assert not is_success(world, Command("pick_place", "a", "c", ""), start)
    put(world, "a", (0.5, -0.25, 0.001))
    assert not is_success(world, command, start)


def test_pick_place_is_not_done_while_the_gripper_holds_on() -> None:
    world = stage(stand("cube", "a", 0.5, 0.1), stand("plate", "b", 0.5, -0.15))
    command, start = Command("pick_place", "a", "b", ""), begin(world)
    *held, release, retreat = plan(world, command)
    execute(world, held)
    for _ in range(10):
        world.step(down_pose((*release.position[:2], release.position[2] - 0.004), release.yaw), 0.0)
    assert not is_success(world, command, start)
    execute(world, [release, retreat])
    assert is_success(world, command, start)


def test_stack_wants_the_target_on_top_not_beside() -> None:
    world = stage(stand("cube", "a", 0.5, 0.1), stand("cube", "b", 0.5, -0.1))
    command, start = Command("stack", "a", "b", ""), begin(world)
    put(world, "a", (0.5, -0.056, 0.0))
    assert not is_success(world, command, start)
    put(world, "a", (0.5, -0.1, 0.045))
    assert is_success(world, command, start)
    assert not is_success(world, Command("stack", "b", "a", ""), start)


def test_press_wants_this_button_alone() -> None:
    world = stage(stand("button", "a", 0.5, 0.1), stand("button", "b", 0.5, -0.1))
    command, start = Command("press", "a", None, ""), begin(world)
    execute(world, plan(world, command))
    assert is_success(world, command, start)
    assert not is_success(world, Command("press", "b", None, ""), start)
    assert not is_failed(world, command, start) and is_failed(world, Command("press", "b", None, ""), start)
    execute(world, plan(world, Command("press", "b", None, "")))
    assert not is_success(world, command, start) and is_failed(world, command, start)
    start = begin(world)
    assert not is_success(world, command, start)


def test_knock_wants_the_target_down_and_nothing_else() -> None:
    world = stage(stand("bottle", "a", 0.5, 0.1), stand("bottle", "b", 0.5, -0.1))
    command, start = Command("knock", "a", None, ""), begin(world)
    assert not is_success(world, command, start)
    put(world, "a", (0.45, 0.1, 0.022), LYING)
    assert is_success(world, command, start)
    assert not is_failed(world, command, start)
    put(world, "b", (0.45, -0.1, 0.022), LYING)
    assert not is_success(world, command, start) and is_failed(world, command, start)


def test_push_wants_contact_and_an_upright_target() -> None:
    world = stage(stand("cylinder", "a", 0.5, 0.15), stand("plate", "b", 0.5, -0.1))
    command, start = Command("push", "a", "b", ""), begin(world)
    assert not is_success(world, command, start)
    put(world, "a", (0.5, -0.1 + 0.07 + 0.021, 0.0))
    assert is_success(world, command, start)
    put(world, "a", (0.5, -0.1, 0.032), LYING)
    assert not is_success(world, command, start)


def test_footprint_gap_of_two_cubes_face_to_face_and_corner_to_face() -> None:
    world = stage(stand("cube", "a", 0.5, 0.1, width=0.04), stand("cube", "b", 0.5, 0.0, width=0.04))
    a, b = world.scene.things
    assert footprint_gap_m(world, a, b) == pytest.approx(0.06, abs=1e-3)
    world = stage(stand("cube", "a", 0.5, 0.1, yaw=np.pi / 4, width=0.04), stand("cube", "b", 0.5, 0.0, width=0.04))
    assert footprint_gap_m(world, a, b) == pytest.approx(0.08 - 0.02 * np.sqrt(2), abs=1e-3)


def test_an_unknown_family_is_named() -> None:
    world = stage(stand("cube", "a", 0.5, 0.1))
    with pytest.raises(ValueError, match="choose from"):
        is_success(world, Command("juggle", "a", None, ""), begin(world))
