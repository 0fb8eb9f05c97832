from dataclasses import replace

import numpy as np

from hamster.data import Observation
from hamster.geometry import apply, inverse, pose, rotation_z
from hamster.path import Path2D
from hamster.policy.path_prompt import Guide
from hamster.policy.scene import Body, Scene

Seen = tuple[Observation, Path2D]
AT = np.linspace(0, 1, 9)


def _scene(seen: Seen) -> Scene:
    observation, path = seen
    assert observation.tool_pose_world is not None
    body = Body(observation.tool_pose_world, 1.0, True, Body(pose([0.3, 0.2, 0.4]), 1.0, True))
    return Scene(observation.views, body, Guide(replace(path, depth_m=None), observation.views["front"]))


def _from_tool(scene: Scene, points: np.ndarray) -> np.ndarray:
    return apply(inverse(scene.body.tool_pose_world), points)


def _cloud(scene: Scene) -> np.ndarray:
    view = scene.views["front"]
    assert view.camera is not None and view.depth_m is not None
    return view.camera.points_world(view.depth_m)


def test_a_moved_world_looks_the_same_from_the_tool(seen: Seen) -> None:
    scene = _scene(seen)
    moved = scene.moved(pose([0.3, -1.0, 0.2], rotation_z(0.7)))
    np.testing.assert_allclose(_from_tool(moved, _cloud(moved)), _from_tool(scene, _cloud(scene)), atol=1e-9)
    for each in (scene, moved):
        assert each.guide is not None and each.body.previous_position is not None
    here, there = (_from_tool(each, each.guide.points_world(AT)) for each in (scene, moved) if each.guide)
    np.testing.assert_allclose(there, here, atol=1e-9)
    before = [_from_tool(each, each.body.previous_position) for each in (scene, moved)]
    np.testing.assert_allclose(before[0], before[1], atol=1e-9)


def test_the_mirror_flips_the_y_axis_and_the_picture(seen: Seen) -> None:
    scene = _scene(seen)
    mirrored = scene.mirrored()
    np.testing.assert_allclose(_cloud(mirrored)[:, ::-1], _cloud(scene) * [1, -1, 1], atol=1e-9)
    assert scene.guide is not None and mirrored.guide is not None
    np.testing.assert_allclose(mirrored.guide.points_world(AT), scene.guide.points_world(AT) * [1, -1, 1], atol=0.02)
    tool = mirrored.body.tool_pose_world
    np.testing.assert_allclose(np.linalg.det(tool[:3, :3]), 1)
    np.testing.assert_allclose(tool[:3, 3], scene.body.tool_pose_world[:3, 3] * [1, -1, 1])
    twice = mirrored.mirrored()
    np.testing.assert_allclose(twice.body.tool_pose_world, scene.body.tool_pose_world, atol=1e-12)
    np.testing.assert_array_equal(twice.views["front"].rgb, scene.views["front"].rgb)


def test_another_camera_sees_the_path_where_its_points_are(seen: Seen) -> None:
    scene = _scene(seen)
    guide, camera = scene.guide, scene.views["front"].camera
    assert guide is not None and camera is not None
    assert guide.seen_from(camera) is guide.path
    aside = replace(camera, world_from_camera=pose([0, 0.1, 0]) @ camera.world_from_camera)
    path = guide.seen_from(aside)
    places = guide.points_world(np.array([0.0, 1.0]))
    np.testing.assert_allclose(path.uv[[0, -1]], aside.project(places)[0] / aside.size_px, atol=1e-9)
    assert [state for _, state in path.events] == [state for _, state in guide.path.events]


def test_waypoints_with_a_depth_of_their_own_are_put_there(seen: Seen) -> None:
    scene = _scene(seen)
    assert scene.guide is not None
    path = replace(scene.guide.path, depth_m=np.full(len(scene.guide.path), 0.5))
    guide = Guide(path, scene.guide.view)
    assert guide.view.camera is not None
    np.testing.assert_allclose(guide.view.camera.project(guide.points_world(AT))[1], 0.5)
