"""The Gymnasium environment: the standard's own checks, determinism, and an episode from reset to success."""

import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import hamster.sim.tabletop  # noqa: F401 (registers the environment)
from hamster.geometry import quaternion_from_matrix
from hamster.geometry.keypose_motion import keypose_steps
from hamster.sim.scene import keypose_pose
from hamster.sim.tabletop.env import TabletopEnv


def make(**options: object) -> TabletopEnv:
    env = gymnasium.make("hamster/Tabletop-v0", image_size=64, **options).unwrapped
    assert isinstance(env, TabletopEnv)
    return env


def test_passes_gymnasiums_own_checker() -> None:
    env = make(family="press")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # it recommends normalised actions; ours are metres
        check_env(env, skip_render_check=True)
    env.close()


def test_an_episode_is_a_function_of_its_seed() -> None:
    first, second = make(family="push"), make(family="push")
    a, b = first.reset(seed=7), second.reset(seed=7)
    assert a[1] == b[1]
    assert np.array_equal(a[0]["front"]["rgb"], b[0]["front"]["rgb"])
    assert np.array_equal(a[0]["front"]["depth_m"], b[0]["front"]["depth_m"])
    assert not np.array_equal(a[0]["front"]["rgb"], first.reset(seed=8)[0]["front"]["rgb"])
    first.close()
    second.close()


def test_the_experts_keyposes_earn_the_reward() -> None:
    env = make(family="press")
    observation, info = env.reset(seed=11)
    assert info["family"] == "press"
    assert not info["is_success"]
    pose, is_open, terminated = observation["tool_pose_world"], True, False
    for keypose in env.expert_plan():
        poses, openings = keypose_steps(pose, is_open, keypose_pose(keypose), keypose.gripper_open)
        for target, opening in zip(poses, openings, strict=True):
            action = np.array([*target[:3, 3], *quaternion_from_matrix(target[:3, :3]), opening])
            _, reward, terminated, _, info = env.step(action)
            assert reward == float(terminated) == float(info["is_success"])
        pose, is_open = poses[-1], keypose.gripper_open
        if terminated:
            break
    assert terminated
    env.close()


def test_errors_say_what_is_wrong() -> None:
    with pytest.raises(ValueError, match="pick_place, press"):
        TabletopEnv(family="dance")
    env = TabletopEnv(family="press", image_size=64)
    with pytest.raises(RuntimeError, match="reset"):
        env.step(np.zeros(8))
    env.reset(seed=0)
    for action in (np.zeros(8), np.zeros(7), np.full(8, np.nan)):
        with pytest.raises(ValueError, match="qw"):
            env.advance(action)
    env.close()
