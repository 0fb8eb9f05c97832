"""The simulation: it goes where it is told, remembers, repeats itself, and holds what it grasps."""

import numpy as np
import pytest

from hamster.geometry.keypose_motion import down_pose, keypose_steps
from hamster.sim.arms import ARMS
from hamster.sim.build import _compile, build
from hamster.sim.contacts import TABLE
from hamster.sim.expert import execute, plan
from hamster.sim.scene import Command
from hamster.sim.world import World
from tests.sim.stage import stage, stand


def test_things_rest_on_the_table_where_they_were_put() -> None:
    kinds = ("cube", "cylinder", "bottle", "cup")
    world = stage(*(stand(kind, kind, 0.4 + 0.08 * i, -0.1 + 0.07 * i) for i, kind in enumerate(kinds)))
    for i, kind in enumerate(kinds):
        assert np.allclose(world.thing_pose(kind)[:3, 3], (0.4 + 0.08 * i, -0.1 + 0.07 * i, 0), atol=1e-3)
        assert world.touching(kind) == {TABLE}


def test_the_tool_arrives_within_a_millimetre() -> None:
    world = stage()
    target = down_pose((0.6, 0.2, 0.1), -1.2)
    poses, openings = keypose_steps(world.tool_pose_world, True, target, False)
    for pose, opening in zip(poses, openings, strict=True):
        world.step(pose, opening)
    assert np.linalg.norm(world.tool_pose_world[:3, 3] - target[:3, 3]) < 1e-3
    assert np.allclose(world.tool_pose_world[:3, :3], target[:3, :3], atol=0.01)
    assert world.gripper_opening < 0.05
    assert world.time_s == pytest.approx(0.05 * len(poses))


def test_restoring_a_snapshot_repeats_the_future_exactly() -> None:
    world = stage(stand("cube", "a", 0.5, 0.0), stand("plate", "b", 0.45, 0.15))
    command = Command("pick_place", "a", "b", "")
    keyposes = plan(world, command)
    execute(world, keyposes[:2])
    snapshot = world.snapshot()
    ends, digests = [], []
    for _ in range(2):
        world.restore(snapshot)
        before = world.state_sha256()
        execute(world, keyposes[2:])
        ends.append(world.data.qpos.copy())
        digests.append(world.state_sha256())
    assert np.array_equal(*ends) and digests[0] == digests[1] != before


@pytest.mark.parametrize("arm", ["panda", "slim5"])  # the second one writes what it grasps into its model
def test_a_scene_that_is_simulated_again_behaves_as_in_a_model_of_its_own(arm: str) -> None:
    command, states = Command("pick_place", "a", "b", ""), []
    scene = stage(stand("cube", "a", 0.5, 0.05), stand("plate", "b", 0.45, -0.15), arm=arm).scene
    for compiled_anew in (True, False, False):
        if compiled_anew:
            _compile.cache_clear()
        world = World(scene)
        execute(world, plan(world, command)[:4])
        assert world.held_thing() == "a"
        states.append(world.snapshot().physics)
    assert np.array_equal(states[0], states[1]) and np.array_equal(states[0], states[2])
    assert _compile.cache_info().misses == 1 and build(scene) is not build(scene)


GRASPED = [
    ("cube", {"width": 0.05}),
    ("cylinder", {"radius": 0.02}),
    ("cylinder", {"radius": 0.025}),
    ("ball", {"radius": 0.02}),
    ("ball", {"radius": 0.025}),
    ("bottle", {}),
    ("cup", {}),
]


@pytest.mark.parametrize(("kind", "proportions"), GRASPED)
def test_friction_holds_what_the_fingers_close_on(kind: str, proportions: dict[str, float]) -> None:
    world = stage(stand(kind, "a", 0.5, 0.05, yaw=0.4, **proportions), stand("plate", "b", 0.45, -0.15))
    execute(world, plan(world, Command("pick_place", "a", "b", ""))[:3])
    assert world.held_thing() == "a"
    before = np.linalg.inv(world.tool_pose_world) @ world.thing_pose("a")
    for turn in np.linspace(0, 1, 20):
        world.step(down_pose((0.5, 0.05 - 0.2 * turn, 0.2), -1.57 + turn), 0.0)
    assert world.held_thing() == "a"
    slip = np.linalg.inv(world.tool_pose_world) @ world.thing_pose("a") - before
    assert np.linalg.norm(slip[:3, 3]) < 0.006


@pytest.mark.parametrize("arm", sorted(set(ARMS) - {"panda"}))
def test_other_arms_carry_by_a_weld(arm: str) -> None:
    world = stage(stand("cube", "a", 0.5, 0.05), stand("plate", "b", 0.45, -0.15), arm=arm)
    keyposes = plan(world, Command("pick_place", "a", "b", ""))
    execute(world, keyposes[:4])
    assert world.held_thing() == "a"
    execute(world, keyposes[4:])
    assert world.held_thing() is None
    assert np.linalg.norm(world.thing_pose("a")[:2, 3] - (0.45, -0.15)) < 0.02


def test_an_observation_is_metric_and_calibrated() -> None:
    world = stage(stand("cube", "a", 0.5, 0.0))
    observation = world.observe()
    view = observation.views["front"]
    px, depth_m = view.camera.project([0.5, 0.0, 0.043])
    column, row = px.astype(int)
    assert view.depth_m[row, column] == pytest.approx(depth_m, abs=0.02)
    assert observation.gripper == pytest.approx(1.0, abs=0.02)
    world.close()
