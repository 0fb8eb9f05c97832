"""Small scenes and small actors."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parent))  # for `import synthetic`

import synthetic

from hamster.data import Observation, View
from hamster.nano import HamsterNanoConfig, HamsterNanoForConditionalGeneration, build_processor
from hamster.path import Path2D
from hamster.policy.flow.config import FlowConfig
from hamster.policy.flow.model import FlowActor
from hamster.policy.training.presets import PRESETS

WORDS = ["put the red cube on the left plate", "press the button", *synthetic.FAMILIES]


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


@pytest.fixture(scope="session")
def moment() -> tuple[Observation, Path2D]:
    """The first moment of a pick and place, and its path."""
    rng = np.random.default_rng(3)
    arrays, labels = synthetic.episode(synthetic.sample_scene(rng), "pick_place", rng, size=96, between=0)
    depth_m = arrays["depth_mm10_front"][0].astype(np.float32) * np.float32(1e-4)
    view = View(arrays["rgb_front"][0], depth_m, synthetic.front_camera(96))
    observation = Observation({"front": view}, arrays["tool_poses_world"][0], float(arrays["gripper"][0]), 0.0)
    return observation, Path2D.from_json(labels["labels"][0]["path"])


@pytest.fixture
def actor() -> FlowActor:
    """An untrained small actor with all weights random, also those that start at zero."""
    torch.manual_seed(0)
    config = PRESETS["debug"].actor
    assert isinstance(config, FlowConfig)
    actor = FlowActor(config).eval()
    with torch.no_grad():
        for parameter in actor.parameters():
            if not parameter.any():
                parameter.normal_(0, 0.05)
    return actor
