"""How far the predicted poses of held-out demonstrations are from the expert's."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hamster.policy.rotation import angle_between
from hamster.policy.training.augment import NONE
from hamster.policy.training.samples import Samples, collate

BATCH = 16


def evaluate(samples: Samples, rows: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """Errors of the samples' actor at the frames where a policy is asked, with the path of the first frame.

    Returns:
        By "family/phase", and "all": n, position_mm (median), position_mm_p90, yaw_deg (median), yaw_deg_p90,
        gripper_pc; of the last pose of each answer.
    """
    pack = samples.pack
    rows = rows[pack.meta["key"][rows].astype(bool)]
    errors = np.concatenate([_errors(samples, rows[i : i + BATCH]) for i in range(0, len(rows), BATCH)])
    names = [f"{pack.families[pack.meta['family'][r]]}/{pack.meta['phase'][r]}" for r in rows]
    table = {"all": _summary(errors)}
    for name in sorted(set(names)):
        table[name] = _summary(errors[[n == name for n in names]])
    return table


def _errors(samples: Samples, rows: NDArray[np.int64]) -> NDArray[Any]:
    blind = float(samples.config.augment.path_dropout >= 1)  # who never meets a path is not shown one now
    augment, rng = replace(NONE, stale_path=1.0, path_dropout=blind), np.random.default_rng(0)
    inputs, target = collate([samples.sample(int(row), int(row), augment, rng) for row in rows])
    device = next(samples.actor.parameters()).device
    with torch.inference_mode():
        guess = samples.actor.predict(inputs.to(device), torch.Generator().manual_seed(0)).to(torch.device("cpu"))
    mm = (guess.position - target.position)[:, -1].norm(dim=-1) * 1000
    degrees = angle_between(guess.rotation, target.rotation)[:, -1].rad2deg()
    right = (guess.is_open > 0.5) == (target.is_open > 0.5)
    return torch.stack([mm, degrees, right[:, -1].float()], -1).numpy()


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
