"""The identity of a run (scenes, weights, code, device): a result folder is only continued by a run of the same."""

from __future__ import annotations

from contextlib import closing
from typing import Any

from hamster.devices import choose_device
from hamster.evaluate.config import EvalConfig
from hamster.evaluate.suites import SUITES, registered_name, suite_of
from hamster.identity import checkpoint_digest, code_digests, flat, object_identity, plain, plugin_digest
from hamster.planner.identity import planner_identity
from hamster.planner.load import bundled_planners
from hamster.policy import find_policy
from hamster.policy.load import is_served
from hamster.policy.registry import POLICY_TYPES, checked_type, is_ready, policy_code
from hamster.rollout.baselines import BASELINES


def run_identity(config: EvalConfig) -> dict[str, Any]:
    """Return what all episodes of a table have in common: scenes, policy with its weights, code, engines, device.

    Raises:
        ValueError: if there is no such policy.
    """
    suite_code = plugin_digest(*_suite_definitions(config))
    return plain(
        {
            "suite": config.suite,
            **({"suite code": suite_code} if suite_code else {}),
            "seed": config.seed,
            "families": config.families,
            "replan": config.replan,
            **_latency(config),
            "policy": config.policy,
            **_policy_identity(config),
            **code_digests(),
            "device": device_name(config.device),
            "dtype": config.dtype,
        }
    )


def _latency(config: EvalConfig) -> dict[str, float]:
    """Return the planner's simulated latency, where there is one: runs of earlier versions have none."""
    return {} if config.planner_latency_s is None else {"planner latency": config.planner_latency_s}


def _suite_definitions(config: EvalConfig) -> list[Any]:
    suite = suite_of(config)
    return [suite] if config.objects.suite is not None else [SUITES.get(registered_name(config.suite)), suite]


def _policy_identity(config: EvalConfig) -> dict[str, Any]:
    if config.objects.policy is not None:
        return flat("policy", object_identity(config.objects.policy))
    if is_served(config.policy):
        from hamster.policy.served import ServedPolicy  # which needs the extra `serve`

        with closing(ServedPolicy(config.policy)) as policy:
            return flat("policy server", policy.identity)
    if is_ready(config.policy):
        return {"policy code": plugin_digest(POLICY_TYPES.get(config.policy))}
    from hamster.policy.checkpoint import read_config  # which needs torch

    folder = find_policy(config.policy)
    record = read_config(folder)
    policy_type = checked_type(record.get("type"), folder / "config.json")
    code = policy_code(policy_type, record["actor"].get("conditioners", ()))
    return {"policy weights": checkpoint_digest(folder), **({"policy code": code} if code else {})}


def conditions_of(config: EvalConfig) -> dict[str, Any]:
    """Return the identity of each condition's planner today; baselines are covered by the code digests.

    Raises:
        ValueError: if there is no such planner.
        PlannerUnavailableError: if a planner's server does not respond.
    """
    objects = config.objects.planners
    return plain(
        {
            name: object_identity(objects[name])
            if name in objects
            else planner_identity(name, dialect_for(name, config.dialect))
            for name in config.planners
            if name not in BASELINES
        }
    )


def dialect_for(name: str, dialect: str | None) -> str | None:
    """Return the dialect that a planner answers in: bundled ones keep their own."""
    return None if name in bundled_planners() else dialect


def device_name(name: str | None = None) -> str:
    """Return the name of the device that models run on, or would by default; results differ between devices."""
    import torch

    device = choose_device(name)
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
