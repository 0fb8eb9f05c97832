"""A camera that stands elsewhere sees the same world."""

from __future__ import annotations

import numpy as np
import pytest

from hamster.sim.layout import world_camera
from hamster.sim.tabletop.env import TabletopEnv
from hamster.sim.tabletop.sample import FAMILIES, VIEWPOINTS, other_tasks, sample, seen_from


@pytest.fixture
def both():
    envs = [TabletopEnv("pick_place", image_size=96, viewpoint=name) for name in ("front", "moved")]
    for env in envs:
        env.reset(seed=5)
    yield envs
    for env in envs:
        env.close()


def test_the_world_and_the_task_are_the_same(both):
    front, moved = both
    assert moved.world.scene.things == front.world.scene.things
    assert np.array_equal(moved.world.data.qpos, front.world.data.qpos)
    assert (moved.command.target, moved.command.goal) == (front.command.target, front.command.goal)
    assert moved.expert_plan() == front.expert_plan()


def test_both_views_show_the_same_surfaces(both):
    """Points that the moved camera sees on the table are where the front camera's depth says they are."""
    views = [env.observation().views["front"] for env in both]
    points = views[1].camera.points_world(views[1].depth_m).reshape(-1, 3)
    px, depth_m = views[0].camera.project(points)
    inside = ((px >= 0) & (px < 96)).all(1) & (np.abs(points[:, 2]) < 0.002)
    column, row = px[inside].astype(int).T
    off = np.abs(views[0].depth_m[row, column] - depth_m[inside])
    assert inside.sum() > 500 and np.median(off) < 0.01
    assert not np.allclose(views[0].camera.world_from_camera, views[1].camera.world_from_camera, atol=0.1)


def test_it_is_25_degrees_aside_and_nothing_leaves_the_picture():
    front, moved = (np.array(VIEWPOINTS[name].eye) - VIEWPOINTS[name].target for name in ("front", "moved"))
    angle = np.degrees(np.arctan2(moved[1], moved[0]) - np.arctan2(front[1], front[0]))
    assert abs(angle - 25) < 1 and moved[2] > front[2]
    camera = world_camera(VIEWPOINTS["moved"], 1, 1)
    for seed in range(30):
        scene, _ = sample(np.random.default_rng(seed), FAMILIES[seed % 3])
        uv, _ = camera.project([[*thing.xy, z] for thing in scene.things for z in (0.0, thing.size[2])])
        assert (uv > 0.01).all() and (uv < 0.99).all()


def test_words_stay_unless_they_speak_of_the_view():
    kept = changed = 0
    for seed in range(40):
        scene, command = sample(np.random.default_rng(seed), "pick_place")
        there, said = seen_from(scene, command, "moved", np.random.default_rng(0))
        assert (said.target, said.goal) == (command.target, command.goal) and "moved" in there.cameras
        sided = any(word in command.instruction.lower() for word in ("left", "right", "near", "close"))
        kept += said.instruction == command.instruction and not sided
        changed += said.instruction != command.instruction
    assert kept > 5 and changed > 2


def test_other_tasks_are_others_in_the_same_words():
    for seed in range(6):
        scene, command = sample(np.random.default_rng(seed), FAMILIES[seed % 3])
        others = other_tasks(scene, command)
        assert others and all((other.target, other.goal) != (command.target, command.goal) for other in others)
        assert {(other.family, other.instruction) for other in others} == {(command.family, command.instruction)}


def test_unknown_viewpoints_are_named():
    with pytest.raises(ValueError, match="front, moved"):
        TabletopEnv(viewpoint="above")
