import itertools

import numpy as np
import pytest

from hamster.geometry import pose
from hamster.label.gripper import commanded_events, is_open
from hamster.label.keyposes import find_keyposes
from hamster.path import Gripper
from hamster.path.simplify import segment_distance

C, O = Gripper.CLOSED, Gripper.OPEN  # noqa: E741


def motion():
    corners = np.array([[0.3, 0, 0.4], [0.4, 0, 0.02], [0.4, 0, 0.3], [0.5, 0.3, 0.1]])
    tips = np.concatenate([np.linspace(a, b, 15) for a, b in itertools.pairwise(corners)])
    return np.stack([pose(tip) for tip in tips]), np.arange(45) < 15


def test_corners_changes_and_the_end_are_keyposes():
    poses, opened = motion()
    found = find_keyposes(poses, opened)
    assert len(found.gripper_open) == 3  # down and grasp, up, across
    assert np.array_equal(found.tool_poses_world[-1], poses[-1]) and not found.gripper_open[-1]
    assert found.next[0] == 0 and (np.diff(found.next) >= 0).all() and found.next[-1] == len(found.gripper_open)


def test_straight_lines_between_keyposes_stay_near_the_motion():
    rng = np.random.default_rng(0)
    tips = np.cumsum(rng.normal(scale=0.01, size=(80, 3)), 0)
    found = find_keyposes(np.stack([pose(tip) for tip in tips]), rng.random(80) < 0.5)
    way = np.concatenate([tips[:1], found.tool_poses_world[:, :3, 3]])
    assert segment_distance(tips[:, None], way[:-1], way[1:]).min(-1).max() <= 0.02 + 1e-9


def test_every_change_of_the_gripper_is_a_keypose():
    poses, opened = motion()
    found = find_keyposes(poses, opened)
    assert any(
        np.array_equal(p, poses[15]) and not is_o
        for p, is_o in zip(found.tool_poses_world, found.gripper_open, strict=True)
    )


def test_a_single_frame_is_its_own_keypose():
    found = find_keyposes(pose([0, 0, 0])[None], np.array([True]))
    assert len(found.tool_poses_world) == 1


def test_a_command_counts_from_where_the_fingers_obey():
    #                 on the way           there  moving     closed         moving
    measured = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.8, 0.5, 0.45, 0.45, 0.45, 0.7, 1.0])
    early = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], bool)
    late = np.array([1, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 1], bool)
    assert commanded_events(late, measured) == [(4, C), (9, O)]
    assert commanded_events(early, measured)[0] == (2, C)


@pytest.mark.parametrize(
    ("events", "opening", "state"),
    [
        ([(2, C), (3, O)], [1, 1, 1, 1], [1, 1, 0, 1]),
        ([(1, O)], [0.0, 0, 0], [0, 1, 1]),
        ([], [0.9, 0.9], [1, 1]),
        ([], [0.1, 0.1], [0, 0]),
        ([(1, C)], [0.4, 0.4, 0.1], [1, 0, 0]),  # half open is open if it then closes
    ],
)
def test_states_from_events(events, opening, state):
    assert is_open(events, opening).tolist() == [bool(s) for s in state]
