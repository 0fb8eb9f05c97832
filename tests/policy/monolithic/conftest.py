from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hamster.nano import HamsterNanoConfig, HamsterNanoForConditionalGeneration, build_processor
from hamster.policy.monolithic.config import MonolithicConfig
from hamster.policy.path_prompt import PathPrompt
from hamster.policy.policy_input import PolicyInput, RobotState
from hamster.policy.registry import build_actor

WORDS = ["put the red cube on the left plate", "press the button"]


@pytest.fixture(scope="session")
def planner(tmp_path_factory):
    """The folder of a very small planner."""
    folder = tmp_path_factory.mktemp("planner")
    processor = build_processor(WORDS)
    torch.manual_seed(1)
    sizes = HamsterNanoConfig(len(processor.tokenizer), 32, 2, 2, 64, 1, (8, 8, 16), (1, 1))
    HamsterNanoForConditionalGeneration(sizes).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture
def small(planner):
    """An untrained actor that stands on it, its ranges two metres and a quarter turn wide."""
    torch.manual_seed(0)
    actor = build_actor(MonolithicConfig(planner=str(planner))).eval()
    rng = np.random.default_rng(0)
    poses = np.tile(np.eye(4), (64, 1, 1))
    poses[:, :3, 3] = rng.uniform(-1, 1, (64, 3))
    actor.fit_normalization(torch.from_numpy(poses).float(), torch.from_numpy(poses[::-1].copy()).float())
    return actor


@pytest.fixture
def scene(moment) -> PolicyInput:
    observation, path = moment
    body = RobotState(observation.tool_pose_world, observation.gripper, True)
    return PolicyInput(observation.views, body, PathPrompt(path, observation.views["front"]), WORDS[0])


@pytest.fixture
def without_depth(scene) -> PolicyInput:
    """All that such a policy needs."""
    views = {name: replace(view, depth_m=None, camera=None) for name, view in scene.views.items()}
    return replace(scene, views=views, prompt=None)
