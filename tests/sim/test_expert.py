"""The expert: its keyposes say what to do, its execution does it, and it can start again half way."""

from math import pi

import numpy as np
import pytest

from hamster.geometry.keypose_motion import LOW_M_S, SPEED_M_S, down_pose, keypose_steps, yaw_of
from hamster.sim.expert import execute, plan
from hamster.sim.layout import towards_viewer
from hamster.sim.scene import Command
from hamster.sim.tabletop.check import expert_success
from hamster.sim.tabletop.sample import FAMILIES
from hamster.sim.tasks import begin, is_success
from tests.sim.stage import stage, stand


@pytest.mark.parametrize("family", FAMILIES)
def test_succeeds_on_random_scenes_quickly(family: str) -> None:
    tally = expert_success(family, n=5, seed=5000)
    assert tally.n_success >= 4, tally
    assert tally.max_steps <= 150
    assert tally.mean_cpu_s < 1.0


def test_picks_and_places_in_six_keyposes() -> None:
    world = stage(stand("cube", "a", 0.5, 0.1, yaw=0.3), stand("plate", "b", 0.45, -0.1))
    keyposes = plan(world, Command("pick_place", "a", "b", ""))
    assert [k.gripper_open for k in keyposes] == [True, False, False, False, True, True]
    assert [k.retreat for k in keyposes] == [False] * 5 + [True]
    assert np.allclose(keyposes[1].position[:2], (0.5, 0.1), atol=1e-3)
    assert np.allclose(keyposes[4].position[:2], (0.45, -0.1), atol=1e-3)


def test_fingers_close_across_a_cubes_faces() -> None:
    for yaw in np.linspace(-3, 3, 13):
        world = stage(stand("cube", "a", 0.5, 0.1, yaw=yaw), stand("plate", "b", 0.45, -0.1))
        grasp = plan(world, Command("pick_place", "a", "b", ""))[1]
        off = (grasp.yaw - yaw + pi / 4) % (pi / 2) - pi / 4
        assert abs(off) < 0.01
        assert abs(grasp.yaw + pi / 2) <= pi / 4 + 0.01


def test_plans_from_the_middle_of_a_task() -> None:
    world = stage(stand("cube", "a", 0.5, 0.1), stand("plate", "b", 0.45, -0.1))
    command = Command("pick_place", "a", "b", "")
    start = begin(world)
    execute(world, plan(world, command)[:3])
    rest = plan(world, command)
    assert not rest[0].gripper_open
    assert len(rest) == 4
    execute(world, rest)
    assert is_success(world, command, start)


def test_knocks_towards_the_viewer_but_not_into_a_neighbour() -> None:
    alone = stage(stand("bottle", "a", 0.5, 0.15))
    _, start, _, end, _ = plan(alone, Command("knock", "a", None, ""))
    towards = towards_viewer(alone.scene, (0.5, 0.15))
    stroke = np.subtract(end.position, start.position)[:2]
    assert np.allclose(stroke / np.linalg.norm(stroke), towards, atol=1e-3)
    world = stage(stand("bottle", "a", 0.5, 0.0), stand("bottle", "b", *(np.array([0.5, 0.0]) + 0.12 * towards)))
    command, begun = Command("knock", "a", None, ""), begin(world)
    execute(world, plan(world, command))
    assert is_success(world, command, begun)


def test_errors_name_what_there_is() -> None:
    world = stage(stand("cube", "a", 0.5, 0.1))
    with pytest.raises(ValueError, match="choose from pick_place, stack"):
        plan(world, Command("juggle", "a", None, ""))
    with pytest.raises(ValueError, match="needs a goal"):
        plan(world, Command("stack", "a", None, "stack the cube"))


def test_steps_end_at_the_keypose_and_never_hurry() -> None:
    start, target = down_pose((0.4, 0.1, 0.3), 0.0), down_pose((0.6, -0.2, 0.1), 1.0)
    poses, openings = keypose_steps(start, True, target, False)
    assert np.array_equal(poses[-1], target)
    assert openings[0] == 1
    assert openings[-1] == 0
    stride = np.linalg.norm(np.diff(np.concatenate([start[None], poses])[:, :3, 3], axis=0), axis=1)
    assert stride.max() <= SPEED_M_S * 0.05 + 1e-9
    closing = poses[openings == 0]
    assert (closing == target).all()
    low, _ = keypose_steps(down_pose((0.4, 0.1, 0.01), 0.0), False, down_pose((0.5, 0.1, 0.01), 0.0), False)
    assert np.linalg.norm(np.diff(low[:, :3, 3], axis=0), axis=1).max() <= LOW_M_S * 0.05 + 1e-9


def test_yaw_is_the_direction_of_the_fingers() -> None:
    for yaw in (-3.0, -1.57, 0.0, 2.0):
        assert yaw_of(down_pose((0, 0, 0), yaw)) == pytest.approx(yaw)
