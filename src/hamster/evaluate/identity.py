"""What a table is a table of: a folder's episodes are only continued by a run of the same."""

from __future__ import annotations

from typing import Any

from hamster.devices import choose_device
from hamster.evaluate.config import EvalConfig
from hamster.identity import checkpoint_digest, code_digests, plain
from hamster.planner.identity import planner_identity
from hamster.planner.load import bundled_planners
from hamster.policy import find_policy
from hamster.rollout.baselines import BASELINES


def run_identity(config: EvalConfig) -> dict[str, Any]:
    """Return what all episodes of a table have in common: scenes, policy with its weights, code, engines, device.

    Raises:
        ValueError: if there is no such policy.
    """
    return plain(
        {
            "suite": config.suite,
            "seed": config.seed,
            "families": config.families,
            "replan": config.replan,
            "policy": config.policy,
            "policy weights": checkpoint_digest(find_policy(config.policy)),
            **code_digests(),
            "device": device(config.device),
            "dtype": config.dtype,
        }
    )


def conditions_of(config: EvalConfig) -> dict[str, Any]:
    """Return by condition which planner that is today; the baselines are code.

    Raises:
        ValueError: if there is no such planner.
        PlannerUnavailableError: if a planner's server cannot be asked now.
    """
    planners = [name for name in config.planners if name not in BASELINES]
    return plain({name: planner_identity(name, dialect_for(name, config.dialect)) for name in planners})


def dialect_for(name: str, dialect: str | None) -> str | None:
    """Return the dialect that a planner is asked in: bundled ones keep their own."""
    return None if name in bundled_planners() else dialect


def device(name: str | None = None) -> str:
    """Return where models run, or would by default; results differ from one to the other."""
    import torch

    place = choose_device(name)
    return torch.cuda.get_device_name(place) if place.type == "cuda" else place.type
