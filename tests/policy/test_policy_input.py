from dataclasses import replace

import numpy as np

from hamster.data import Observation
from hamster.geometry import apply, inverse, pose, rotation_z
from hamster.path import Path2D
from hamster.policy.path_prompt import PathPrompt
from hamster.policy.policy_input import PolicyInput, RobotState

Moment = tuple[Observation, Path2D]
AT = np.linspace(0, 1, 9)


def _scene(moment: Moment) -> PolicyInput:
    observation, path = moment
    assert observation.tool_pose_world is not None
    body = RobotState(observation.tool_pose_world, 1.0, True, RobotState(pose([0.3, 0.2, 0.4]), 1.0, True))
    return PolicyInput(observation.views, body, PathPrompt(replace(path, depth_m=None), observation.views["front"]))


def _from_tool(scene: PolicyInput, points: np.ndarray) -> np.ndarray:
    return apply(inverse(scene.robot.tool_pose_world), points)


def _cloud(scene: PolicyInput) -> np.ndarray:
    view = scene.views["front"]
    assert view.camera is not None and view.depth_m is not None
    return view.camera.points_world(view.depth_m)


def _path_and_previous(world: PolicyInput) -> np.ndarray:
    """Points of the path, and the tool at the previous call, relative to the tool."""
    assert world.prompt is not None and world.robot.previous is not None
    points = [*world.prompt.points_world(AT), world.robot.previous.tool_pose_world[:3, 3]]
    return _from_tool(world, np.array(points))


def test_a_moved_world_looks_the_same_from_the_tool(moment: Moment) -> None:
    scene = _scene(moment)
    moved = scene.moved(pose([0.3, -1.0, 0.2], rotation_z(0.7)))
    np.testing.assert_allclose(_from_tool(moved, _cloud(moved)), _from_tool(scene, _cloud(scene)), atol=1e-9)
    here, there = (_path_and_previous(world) for world in (scene, moved))
    np.testing.assert_allclose(there, here, atol=1e-9)


def test_the_mirror_flips_the_y_axis_and_the_picture(moment: Moment) -> None:
    scene = _scene(moment)
    mirrored = scene.mirrored()
    np.testing.assert_allclose(_cloud(mirrored)[:, ::-1], _cloud(scene) * [1, -1, 1], atol=1e-9)
    assert scene.prompt is not None and mirrored.prompt is not None
    np.testing.assert_allclose(mirrored.prompt.points_world(AT), scene.prompt.points_world(AT) * [1, -1, 1], atol=0.02)
    tool = mirrored.robot.tool_pose_world
    np.testing.assert_allclose(np.linalg.det(tool[:3, :3]), 1)
    np.testing.assert_allclose(tool[:3, 3], scene.robot.tool_pose_world[:3, 3] * [1, -1, 1])
    twice = mirrored.mirrored()
    np.testing.assert_allclose(twice.robot.tool_pose_world, scene.robot.tool_pose_world, atol=1e-12)
    np.testing.assert_array_equal(twice.views["front"].rgb, scene.views["front"].rgb)


def test_a_mirrored_camera_sees_a_mirrored_point_in_the_mirrored_pixel(moment: Moment) -> None:
    """Also with a principal point that is not the image's centre."""
    observation, path = moment
    view = observation.views["front"]
    assert view.camera is not None
    camera = replace(view.camera, intrinsics=view.camera.intrinsics + np.outer([7.5, -3.25, 0], [0, 0, 1]))
    view = replace(view, camera=camera)
    mirrored = _scene((replace(observation, views={"front": view}), path)).mirrored()
    assert mirrored.prompt is not None
    points = np.random.default_rng(0).uniform(-0.3, 0.3, (20, 3))
    px, depth_m = camera.project(points)
    for mirrored_camera in (mirrored.views["front"].camera, mirrored.prompt.view.camera):
        assert mirrored_camera is not None
        mirrored_px, mirrored_depth_m = mirrored_camera.project(points * [1, -1, 1])
        np.testing.assert_allclose(mirrored_px, [camera.width, 0] + [-1, 1] * px, atol=1e-9)
        np.testing.assert_allclose(mirrored_depth_m, depth_m, atol=1e-9)


def test_another_camera_sees_the_path_where_its_points_are(moment: Moment) -> None:
    scene = _scene(moment)
    prompt, camera = scene.prompt, scene.views["front"].camera
    assert prompt is not None and camera is not None
    assert prompt.seen_from(camera) is prompt.path
    aside = replace(camera, world_from_camera=pose([0, 0.1, 0]) @ camera.world_from_camera)
    path = prompt.seen_from(aside)
    places = prompt.points_world(np.array([0.0, 1.0]))
    np.testing.assert_allclose(path.uv[[0, -1]], aside.project(places)[0] / aside.size_px, atol=1e-9)
    assert [state for _, state in path.events] == [state for _, state in prompt.path.events]


def test_waypoints_with_a_depth_of_their_own_are_put_there(moment: Moment) -> None:
    scene = _scene(moment)
    assert scene.prompt is not None
    path = replace(scene.prompt.path, depth_m=np.full(len(scene.prompt.path), 0.5))
    prompt = PathPrompt(path, scene.prompt.view)
    assert prompt.view.camera is not None
    np.testing.assert_allclose(prompt.view.camera.project(prompt.points_world(AT))[1], 0.5)
