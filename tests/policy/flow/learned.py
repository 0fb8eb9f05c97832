"""Small actors, each overfitted to one synthetic episode; shared by the tests."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import synthetic
import torch

from hamster.policy.actor import Target
from hamster.policy.flow.config import FlowConfig
from hamster.policy.flow.inputs import FlowInputs
from hamster.policy.flow.model import FlowActor
from hamster.policy.training.augment import NONE
from hamster.policy.training.packed_dataset import load_packed_dataset
from hamster.policy.training.presets import TrainConfig
from hamster.policy.training.samples import Samples, collate

SMALL = FlowConfig(width=32, heads=2, crop_px=0, image_px=32, conditioners=("tokens",), path_waypoints=6)
CASES = {"keypose": SMALL, "trajectory": replace(SMALL, action_type="trajectory", horizon=4, position_scale_m=0.05)}
STEPS, LR = 200, 5e-3


@cache
def overfitted(case: str) -> tuple[FlowActor, FlowInputs, Target]:
    """The actor, and its training batch: every keypose of the episode."""
    actor_config = CASES[case]
    config = TrainConfig(
        actor=actor_config, augment=replace(NONE, first_frame_path_prob=1.0), held_out_every=0, bf16=False
    )
    with TemporaryDirectory() as folder:
        data = synthetic.write(Path(folder) / "data", {"pick_place": 1}, size=64)
        pack = load_packed_dataset(data, actor_config, Path(folder) / "pack", 1)
        torch.manual_seed(0)
        samples = Samples(pack, config, FlowActor(actor_config))
        rows = np.flatnonzero(pack.meta["key"])
        inputs, target = collate(
            [samples.sample(int(r), int(r), config.augment, np.random.default_rng(0)) for r in rows]
        )
        actor: FlowActor = samples.actor.train()
        optimiser, generator = torch.optim.AdamW(actor.parameters(), LR), torch.Generator().manual_seed(0)
        for step in range(STEPS):
            optimiser.param_groups[0]["lr"] = LR * min(1, (step + 1) / 20, (STEPS - step) / 100)
            loss = torch.stack(list(actor.compute_loss(inputs, target, generator).values())).sum()
            optimiser.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(actor.parameters(), 1.0)
            optimiser.step()
    return actor.eval(), inputs, target
