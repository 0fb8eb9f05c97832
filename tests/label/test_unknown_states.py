"""Recordings that lack the tool's pose or the gripper's opening in some of their frames."""

from dataclasses import replace

import numpy as np
import pytest

from hamster.data import Unreadable
from hamster.data.lerobot import LeRobot
from hamster.data.rlbench import read_episode
from hamster.label.label_item import Options, label_item
from hamster.path import Gripper
from tests.data import lerobot_files, rlbench_files
from tests.label.test_nothing_shown import STEPS, TIPS, episode

OPENING = np.r_[np.ones(10), np.zeros(10)]


def with_gripper(unknown, opening=OPENING, value=np.nan, tips=TIPS):
    opening = opening.copy()
    opening[unknown] = value
    return episode(gripper=opening, tips=tips)


def with_poses(unknown, value=np.nan, tips=TIPS):
    one = episode(tips=tips)
    poses = one.tool_poses_world.copy()
    poses[unknown] = value
    return replace(one, tool_poses_world=poses)


def events(labelled):
    path, frames = labelled.labels[0].path, labelled.labels[0].frames
    return [(int(frames[i]), state) for i, state in path.events]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("unknown", [[4], [3, 4, 5], [15, 16], [0], [19]])
def test_a_gripper_that_is_not_known_for_a_while_has_no_event_there(unknown, value):
    labelled = label_item(with_gripper(unknown, value=value), Options())
    assert len(labelled.labels) == STEPS and events(labelled) == [(10, Gripper.CLOSED)]
    assert f"not known in {len(unknown)} of 20 frames: no gripper event there" in labelled.method.notes[-1]
    assert labelled.episode.gripper.tolist() == OPENING.tolist()


@pytest.mark.parametrize("unknown", [range(7, 14), range(12), range(20)], ids=["event in it", "from the start", "all"])
def test_where_a_gripper_closed_while_it_was_not_known_and_moved_is_not_invented(unknown):
    labelled = label_item(with_gripper(list(unknown)), Options())
    assert len(labelled.labels) == STEPS and events(labelled) == [] and labelled.episode.gripper is None
    assert "paths without gripper events" in labelled.method.notes[-1]


def test_a_gripper_that_closed_unseen_where_the_tool_rested_closed_there():
    tips = np.concatenate([TIPS[:10], np.repeat(TIPS[9:10], 5, 0), TIPS[10:15]])
    labelled = label_item(with_gripper([9, 10, 11], tips=tips), Options())
    (event,) = events(labelled)
    assert event[1] is Gripper.CLOSED and 9 <= event[0] <= 12


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_frames_without_a_pose_have_no_label_and_are_counted(value):
    whole = label_item(episode(), Options())
    labelled = label_item(with_poses([4, 12], value), Options())
    assert labelled.left_out == {"without_pose": 2} and len(labelled.labels) == STEPS - 2
    assert np.allclose(labelled.labels[0].path.uv[[0, -1]], whole.labels[0].path.uv[[0, -1]])
    assert np.isfinite(labelled.episode.tool_poses_world).all()


def test_no_path_leads_straight_across_poses_that_are_not_known():
    labelled = label_item(with_poses(range(5, 12)), Options())
    assert labelled.left_out == {"without_pose": 7, "across_unknown_poses": 5} and len(labelled.labels) == 8


def test_a_tool_whose_pose_is_never_known_is_no_item():
    assert "not known in 20 of 20 frames" in label_item(with_poses(range(20)), Options()).reason


@pytest.mark.parametrize("version", ["v3.0", "v2.1"])
def test_a_lerobot_episode_with_unknown_states_is_read(tmp_path, version):
    def states(steps):
        values = np.c_[lerobot_files.tips(steps), np.tile([0.0, 1, 0, 0], (steps, 1)), np.ones(steps)]
        if steps > 5:
            values[2, -1], values[4, 1], values[5, 3] = np.nan, np.nan, np.inf
        return values

    read = LeRobot(lerobot_files.write_dataset(tmp_path / "set", version, states=states))[0]
    assert not isinstance(read, Unreadable)
    unknown = ~np.isfinite(read.tool_poses_world).all((1, 2))
    assert np.flatnonzero(unknown).tolist() == [4, 5] and np.flatnonzero(np.isnan(read.gripper)).tolist() == [2]
    assert np.isnan(read.tool_poses_world[unknown]).all()


def test_an_rlbench_episode_with_unknown_states_is_read(tmp_path):
    numbers = iter(range(6))

    def change(observation):
        number = next(numbers)
        if number == 2:
            observation.gripper_open = np.nan
        if number == 3:
            observation.gripper_pose = np.full(7, np.inf)

    rlbench_files.write_episode(tmp_path / "episode0", steps=6, change=change)
    read = read_episode(tmp_path / "episode0")
    assert np.flatnonzero(np.isnan(read.gripper)).tolist() == [2]
    assert np.flatnonzero(np.isnan(read.tool_poses_world).all((1, 2))).tolist() == [3]
