from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hamster.nano.configuration import LAYOUT
from hamster.policy.monolithic.config import MonolithicConfig
from hamster.policy.path_prompt import PathPrompt
from hamster.policy.planner_folder import planner_sizes
from hamster.policy.policy_input import PolicyInput, RobotState
from hamster.policy.registry import build_actor
from tests.policy.conftest import WORDS


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


@pytest.fixture
def lively(planner):
    """An actor with the normalisations of new planners, whose pointer and heads say something at once."""
    sizes = planner_sizes(planner) | LAYOUT
    torch.manual_seed(2)
    actor = build_actor(MonolithicConfig(planner=str(planner), backbone=sizes)).eval()
    vocabulary = (planner / "tokenizer.json").read_bytes()
    actor.vocabulary = torch.frombuffer(bytearray(vocabulary), dtype=torch.uint8)
    actor._keep_on_cpu()
    with torch.no_grad():
        actor.pointer.out.weight.normal_(0, 0.3)
        actor.head.normal_()
    return actor
