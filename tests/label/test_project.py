import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hamster.geometry import Camera, look_at, pose
from hamster.label import OCCLUDED, OUT_OF_VIEW, VISIBLE, path_from_poses, project_paths_per_frame
from hamster.label.project import paths_from_events
from hamster.path import Gripper
from hamster.path.simplify import segment_distance

C, O, U = Gripper.CLOSED, Gripper.OPEN, Gripper.UNKNOWN  # noqa: E741
CAMERA = Camera(np.array([[150.0, 0, 64], [0, 150, 64], [0, 0, 1]]), look_at([1.2, 0, 0.7], [0.45, 0, 0]), 128, 128)


def poses_at(tips):
    return np.stack([pose(tip) for tip in np.asarray(tips, float)])


def pick_and_place(steps=20):
    """Down to the object, up, across, down."""
    corners = np.array([[0.4, -0.2, 0.3], [0.45, -0.15, 0.02], [0.45, -0.1, 0.25], [0.5, 0.2, 0.05]])
    tips = np.concatenate([np.linspace(a, b, steps) for a, b in itertools.pairwise(corners)])
    gripper = np.ones(len(tips))
    gripper[steps : 3 * steps - 1] = 0
    return poses_at(tips), gripper


def test_the_path_starts_grasps_and_ends_where_the_tip_does():
    poses, gripper = pick_and_place()
    label = path_from_poses(poses, gripper, CAMERA)
    px, depth_m = CAMERA.project(poses[label.frames, :3, 3])
    assert np.allclose(label.path.uv, px / 128) and np.allclose(label.path.depth_m, depth_m)
    assert label.frames[0] == 0 and label.frames[-1] == len(poses) - 1
    assert [(label.frames[i], state) for i, state in label.path.events] == [(20, C), (59, O)]
    assert 3 <= len(label.path) <= 8
    assert (label.visible == VISIBLE).all()


@given(st.integers(0, 2**32 - 1))
def test_no_projected_tip_is_farther_from_the_path_than_epsilon(seed):
    rng = np.random.default_rng(seed)
    tips = np.array([0.45, 0, 0.2]) + np.cumsum(rng.normal(scale=0.02, size=(40, 3)), 0)
    label = path_from_poses(poses_at(tips), rng.integers(0, 2, 40), CAMERA)
    uv = np.clip(CAMERA.project(tips)[0] / 128, 0, 1)
    gaps = segment_distance(uv[:, None], label.path.uv[:-1], label.path.uv[1:])
    assert gaps.min(-1).max() <= 0.05 + 1e-9


def test_the_state_is_unknown_before_the_first_event():
    poses, gripper = pick_and_place()
    assert path_from_poses(poses, gripper, CAMERA).path.gripper[0] == U


def test_every_frame_gets_the_path_from_there_to_the_end():
    poses, gripper = pick_and_place()
    labels = project_paths_per_frame(poses, gripper, CAMERA)
    assert len(labels) == len(poses)
    for t, label in enumerate(labels):
        assert label.frames[0] == t and label.frames[-1] == len(poses) - 1
        assert np.allclose(label.path.uv[0], CAMERA.project(poses[t, :3, 3])[0] / 128)
        states = [state for _, state in label.path.events]
        assert states == ([C, O] if t < 59 else [O])  # of what happened before only that it is closed now
    assert len(labels[-1].path) == 1


def test_a_gripper_that_is_closed_already_is_closed_at_the_first_waypoint():
    poses, gripper = pick_and_place()
    held = project_paths_per_frame(poses, gripper, CAMERA)[40].path
    assert held.events == [(0, C), (len(held) - 1, O)]
    assert path_from_poses(poses, np.zeros(len(poses)), CAMERA).path.events == [(0, C)]
    assert path_from_poses(poses, np.ones(len(poses)), CAMERA).path.events == []


def test_a_path_that_starts_at_the_grasp_carries_the_event_at_its_first_point():
    poses, gripper = pick_and_place()
    assert project_paths_per_frame(poses, gripper, CAMERA)[20].path.events[0] == (0, C)


def test_points_out_of_view_are_on_the_border_and_marked():
    tips = np.linspace([0.45, -0.1, 0.1], [0.45, 1.5, 0.1], 30)
    label = path_from_poses(poses_at(tips), np.ones(30), CAMERA)
    assert label.visible[0] == VISIBLE and label.visible[-1] == OUT_OF_VIEW
    assert label.path.uv[-1].max() == 1 or label.path.uv[-1].min() == 0


def test_points_behind_the_camera_are_out_of_view_on_their_own_side():
    behind = poses_at([[0.45, 0, 0.1], [1.8, 0.3, 0.7]])
    label = path_from_poses(behind, np.ones(2), CAMERA)
    assert label.visible.tolist() == [VISIBLE, OUT_OF_VIEW]
    in_front = path_from_poses(poses_at([[0.45, 0, 0.1], [1.0, 0.3, 0.7]]), np.ones(2), CAMERA)
    assert (label.path.uv[1, 0] > 0.5) == (in_front.path.uv[1, 0] > 0.5)
    assert (label.path.depth_m > 0).all()


def test_a_nearer_surface_hides_a_point():
    poses, gripper = pick_and_place()
    _, depth_m = CAMERA.project(poses[:, :3, 3])
    wall = np.full((128, 128), float(depth_m.min()) - 0.3)
    assert (path_from_poses(poses, gripper, CAMERA, wall).visible == OCCLUDED).all()
    behind = np.full((128, 128), float(depth_m.max()) + 0.1)
    assert (path_from_poses(poses, gripper, CAMERA, behind).visible == VISIBLE).all()


def test_the_thing_that_is_grasped_does_not_hide_the_tip_inside_it():
    tip = poses_at([[0.45, 0, 0.02]])
    depth = float(CAMERA.project(tip[0, :3, 3])[1])
    near, nearer = (np.full((128, 128), depth - d) for d in (0.03, 0.08))
    assert path_from_poses(tip, [1], CAMERA, near).visible.tolist() == [VISIBLE]
    assert path_from_poses(tip, [1], CAMERA, nearer).visible.tolist() == [OCCLUDED]


@pytest.mark.parametrize("unknown", [0.0, np.nan])
def test_holes_in_the_depth_hide_nothing(unknown):
    poses, gripper = pick_and_place()
    holes = np.full((128, 128), unknown)
    assert (path_from_poses(poses, gripper, CAMERA, holes).visible == VISIBLE).all()


def test_a_moving_camera_comes_once_per_frame():
    tips = np.linspace([0.45, -0.1, 0.1], [0.45, 0.1, 0.1], 5)
    cameras = [Camera(CAMERA.intrinsics, look_at([1.2, 0, 0.7], tip), 128, 128) for tip in tips]
    labels = project_paths_per_frame(poses_at(tips), np.ones(5), cameras)
    assert all(np.allclose(label.path.uv[0], 0.5) for label in labels)


@given(st.integers(0, 2**32 - 1))
def test_each_label_is_that_of_an_episode_that_starts_there(seed):
    """The tips are projected once for all frames at which the camera stands still: that must not show."""
    rng = np.random.default_rng(seed)
    poses = poses_at(np.array([0.45, 0, 0.2]) + np.cumsum(rng.normal(scale=0.04, size=(12, 3)), 0))
    events = [(int(t), (C, O)[i % 2]) for i, t in enumerate(np.flatnonzero(rng.random(12) < 0.3) - 1)]
    eyes = np.array([1.2, 0, 0.7]) + np.repeat(rng.normal(scale=0.1, size=(3, 3)), rng.multinomial(12, [1 / 3] * 3), 0)
    cameras = [Camera(CAMERA.intrinsics, look_at(eye, [0.45, 0, 0]), 128, 128) for eye in eyes]
    depths = [rng.uniform(0.5, 1.5, (128, 128)) if rng.random() < 0.5 else None for _ in cameras]
    for t, label in enumerate(paths_from_events(poses, events, cameras, depths)):
        later = [(frame - t, state) for frame, state in events]
        alone = paths_from_events(poses[t:], later, cameras[t:], depths[t:])[0]
        assert label.path.gripper.tolist() == alone.path.gripper.tolist()
        assert np.allclose(label.path.uv, alone.path.uv) and np.allclose(label.path.depth_m, alone.path.depth_m)
        assert np.array_equal(label.visible, alone.visible) and np.array_equal(label.frames, alone.frames + t)


@pytest.mark.parametrize(
    ("poses", "gripper", "complaint"),
    [
        (np.zeros((0, 4, 4)), [], "T >= 1"),
        (np.zeros((3, 4, 4)), [1, 1], r"\(T,\)"),
        (np.full((2, 4, 4), np.nan), [1, 1], "finite"),
    ],
)
def test_wrong_shapes_are_refused(poses, gripper, complaint):
    with pytest.raises(ValueError, match=complaint):
        path_from_poses(poses, gripper, CAMERA)


def test_a_depth_image_of_another_size_is_refused():
    with pytest.raises(ValueError, match="does not fit"):
        path_from_poses(poses_at([[0.45, 0, 0]]), [1], CAMERA, np.ones((64, 64)))


def test_labels_become_plain_json():
    poses, gripper = pick_and_place()
    record = path_from_poses(poses, gripper, CAMERA).to_json()
    assert set(record) == {"path", "visible", "frames"} and record["visible"][0] == "visible"


def test_an_event_before_the_tool_moves_or_after_it_has_arrived_makes_no_waypoint_of_its_own():
    tips = np.concatenate([np.full((6, 3), [0.45, -0.1, 0.1]), np.linspace([0.45, -0.1, 0.1], [0.45, 0.1, 0.1], 9),
                           np.full((6, 3), [0.45, 0.1, 0.1])])  # fmt: skip
    gripper = np.ones(21)
    gripper[3:17] = 0
    path = path_from_poses(poses_at(tips), gripper, CAMERA).path
    assert len(path) == 2 and path.events == [(0, C), (1, O)]
    for label in project_paths_per_frame(poses_at(tips), gripper, CAMERA)[4:18]:
        assert [state for _, state in label.path.events] in ([C, O], [O]) and len(label.path) <= 2
