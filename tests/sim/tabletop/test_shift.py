"""The target, or its goal, is shifted to another place while the robot is on its way."""

from __future__ import annotations

from math import hypot

import numpy as np
import pytest

from hamster.geometry import quaternion_from_matrix
from hamster.sim.expert import execute, plan
from hamster.sim.layout import footprint_radius
from hamster.sim.tabletop.env import TabletopEnv
from hamster.sim.tabletop.sample import FAMILIES, WORKSPACE, is_feasible
from hamster.sim.tabletop.shift import DISTANCE_M, STEPS, sample_with_shift, shifted
from hamster.sim.world import World


@pytest.mark.parametrize("family", FAMILIES)
def test_a_shift_goes_to_a_free_place_within_reach(family):
    for seed in range(8):
        scene, command, shift = sample_with_shift(np.random.default_rng(seed), family)
        assert shift.thing in (command.target, command.goal) and STEPS[0] <= shift.after_step <= STEPS[1]
        thing, after = scene.thing(shift.thing), shifted(scene, shift)
        (x, y), radius = shift.xy, footprint_radius(thing)
        assert DISTANCE_M[0] <= hypot(x - thing.xy[0], y - thing.xy[1]) <= DISTANCE_M[1] + 1e-9
        assert WORKSPACE[0] <= x - radius and x + radius <= WORKSPACE[1] and abs(y) + radius <= WORKSPACE[3]
        assert is_feasible(after, command)
        for other in scene.things:
            if other.name != shift.thing:
                assert hypot(x - other.xy[0], y - other.xy[1]) > radius + footprint_radius(other)


def test_a_third_of_the_shifts_are_of_the_goal_and_no_instruction_speaks_of_places():
    shifts = [sample_with_shift(np.random.default_rng(seed), "pick_place") for seed in range(60)]
    assert 10 <= sum(shift.thing == command.goal for _, command, shift in shifts) <= 30
    words = {word for _, command, _ in shifts for word in command.instruction.lower().split()}
    assert not words & {"left", "leftmost", "right", "rightmost", "nearest", "farthest", "behind", "between"}


@pytest.mark.parametrize("kind", ["cube", "plate", "button"])
def test_a_shifted_thing_is_where_it_was_put_at_rest_and_so_after_a_snapshot(kind):
    family = "press" if kind == "button" else "pick_place"
    scene = next(
        scene
        for scene, _, _ in (sample_with_shift(np.random.default_rng(seed), family) for seed in range(50))
        if any(thing.kind == kind for thing in scene.things)
    )
    name = next(thing.name for thing in scene.things if thing.kind == kind)
    world = World(scene, 64)
    before, snapshot = world.thing_pose(name), world.snapshot()
    world.shift(name, (0.5, 0.33))
    for _ in range(10):
        world.step(world.tool_pose_world, 1.0)
    after = world.thing_pose(name)
    assert np.allclose(after[:2, 3], (0.5, 0.33), atol=1e-3) and np.allclose(after[2, 3], before[2, 3], atol=1e-3)
    assert np.allclose(after[:3, :3], before[:3, :3], atol=1e-2) and world.speed_m_s(name) < 0.01
    world.restore(snapshot)
    assert np.allclose(world.thing_pose(name), before, atol=1e-6)


@pytest.mark.parametrize("family", ["pick_place", "press", "knock"])
def test_the_expert_can_still_do_the_task(family):
    env = TabletopEnv(family, image_size=64, shifts=True)
    for seed in range(2):
        env.reset(seed=seed)
        shift = env.shift
        assert shift is not None
        env.apply_shift(shift)
        execute(env.world, plan(env.world, env.command))
        assert env.is_success()
    env.close()


def test_the_environment_shifts_after_so_many_steps_and_only_then():
    env = TabletopEnv("press", image_size=64, shifts=True)
    env.reset(seed=3)
    pose = env.world.tool_pose_world
    action = np.array([*pose[:3, 3], *quaternion_from_matrix(pose[:3, :3]), 1.0])
    place = env.world.thing_pose(env.command.target)[:2, 3]
    moved = []
    for _ in range(STEPS[1] + 2):
        env.advance(action)
        moved.append(np.linalg.norm(env.world.thing_pose(env.command.target)[:2, 3] - place) > 0.05)
    assert STEPS[0] <= moved.index(True) + 1 <= STEPS[1] and all(moved[moved.index(True) :])
    env.reset(seed=3)
    assert np.allclose(env.world.thing_pose(env.command.target)[:2, 3], place), "a new episode begins before the shift"
    env.close()
