"""How far the predicted keyposes of held-out demonstrations are from the expert's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hamster.policy.actor import FlowActor
from hamster.policy.batches import NO_NOISE, gather
from hamster.policy.flow_policy import predict
from hamster.policy.pack import Pack
from hamster.policy.presets import TrainConfig
from hamster.policy.rotation import angle_between

BATCH = 16


def evaluate(actor: FlowActor, pack: Pack, rows: NDArray[np.int64], config: TrainConfig) -> dict[str, dict[str, float]]:
    """Errors at the frames where a policy is asked, with the path of the first frame.

    Returns:
        By "family/phase", and "all": n, position_mm (median), position_mm_p90, yaw_deg (median), yaw_deg_p90,
        gripper_pc.
    """
    rows = rows[pack.meta["key"][rows].astype(bool)]
    errors = np.concatenate([_errors(actor, pack, rows[i : i + BATCH], config) for i in range(0, len(rows), BATCH)])
    names = [f"{pack.families[pack.meta['family'][r]]}/{pack.meta['phase'][r]}" for r in rows]
    table = {"all": _summary(errors)}
    for name in sorted(set(names)):
        table[name] = _summary(errors[[n == name for n in names]])
    return table


def _errors(actor: FlowActor, pack: Pack, rows: NDArray[np.int64], config: TrainConfig) -> NDArray[Any]:
    augment = replace(NO_NOISE, stale_path=1.0)
    inputs, (position, rotation, is_open, _) = gather(pack, rows, config, augment, np.random.default_rng(0))
    device = next(actor.parameters()).device
    with torch.inference_mode():
        guess = [g.cpu() for g in predict(actor, inputs.to(device), torch.Generator().manual_seed(0))]
    mm = (guess[0] - position).norm(dim=-1) * 1000
    degrees = angle_between(guess[1], rotation).rad2deg()
    return torch.stack([mm, degrees, (guess[2] == (is_open > 0.5)).float()], -1).numpy()


def _summary(errors: NDArray[Any]) -> dict[str, float]:
    mm, degrees, gripper = errors.T
    values = {
        "n": len(errors),
        "position_mm": np.median(mm),
        "position_mm_p90": np.quantile(mm, 0.9),
        "yaw_deg": np.median(degrees),
        "yaw_deg_p90": np.quantile(degrees, 0.9),
        "gripper_pc": 100 * gripper.mean(),
    }
    return {k: round(float(v), 2) for k, v in values.items()}
