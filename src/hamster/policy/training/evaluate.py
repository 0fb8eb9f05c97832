"""Errors of predicted poses against those of held-out demonstrations."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from hamster.policy.rotation import angle_between
from hamster.policy.training.augment import NONE
from hamster.policy.training.samples import Samples, collate

BATCH_SIZE = 16


def evaluate(samples: Samples, rows: NDArray[np.int64]) -> dict[str, dict[str, float]]:
    """Return errors of the samples' actor at the frames where a policy is called, with the path of the first frame.

    Args:
        samples: their packed dataset and actor are used, without augmentation.
        rows: of the packed dataset; those between keyposes are skipped.

    Returns:
        By "family/phase", and "all": n, position_mm (median), position_mm_p90, yaw_deg (median), yaw_deg_p90,
        gripper_pc (accuracy in per cent); of the last pose of each prediction.
    """
    dataset = samples.dataset
    rows = rows[dataset.meta["key"][rows].astype(bool)]
    errors = np.concatenate([_errors(samples, rows[i : i + BATCH_SIZE]) for i in range(0, len(rows), BATCH_SIZE)])
    names = [f"{dataset.families[dataset.meta['family'][r]]}/{dataset.meta['phase'][r]}" for r in rows]
    table = {"all": _summary(errors)}
    for name in sorted(set(names)):
        table[name] = _summary(errors[[n == name for n in names]])
    return table


def _errors(samples: Samples, rows: NDArray[np.int64]) -> NDArray[Any]:
    dropout = float(samples.config.augment.path_dropout_prob >= 1)  # trained without paths: evaluated without
    augment = replace(NONE, first_frame_path_prob=1.0, path_dropout_prob=dropout)
    rng = np.random.default_rng(0)
    inputs, target = collate([samples.sample(int(row), int(row), augment, rng) for row in rows])
    device = next(samples.actor.parameters()).device
    with torch.inference_mode():
        prediction = samples.actor.predict(inputs.to(device), torch.Generator().manual_seed(0))
    prediction = prediction.detach().to(torch.device("cpu"))
    mm = (prediction.position - target.position)[:, -1].norm(dim=-1) * 1000
    degrees = angle_between(prediction.rotation, target.rotation)[:, -1].rad2deg()
    is_correct = (prediction.is_open > 0.5) == (target.is_open > 0.5)
    return torch.stack([mm, degrees, is_correct[:, -1].float()], -1).numpy()


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
