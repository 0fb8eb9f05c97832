"""HAMSTER: a vision-language model draws a 2D path on the image, a 3D policy follows it.

    import hamster

    planner = hamster.load_planner("nano")
    policy = hamster.load_policy("flow-nano")
    plan = planner.plan(image, "put the red cube on the blue plate")
    action = policy.act(observation, plan.path)

    result = hamster.evaluate(planner, policy, episodes=20)
    result.success_rate

Names are imported when they are first used: `import hamster` loads neither torch nor a simulator.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from hamster.gymnasium_env import register_with_gymnasium

if TYPE_CHECKING:
    from hamster.data import Episode, Observation, View
    from hamster.data.estimated_depth import register_depth_estimator
    from hamster.data.registry import register_source
    from hamster.dialects import register_dialect
    from hamster.evaluate import EvalResult, Suite, evaluate, register_suite
    from hamster.geometry import Camera
    from hamster.label import LabelResult, label
    from hamster.path import Gripper, NotInViewError, Path2D, PlanError
    from hamster.planner import Plan, Planner, load_planner
    from hamster.planner.families import register_vlm_family
    from hamster.planner.registry import register_planner
    from hamster.policy import ActionChunk, Policy, PolicyError, load_policy
    from hamster.policy.conditioning import register_conditioner
    from hamster.policy.registry import register_policy
    from hamster.rollout import Environment, Rollout, SafetyFilter, UnsafeActionError, rollout
    from hamster.rollout.robots import Robot, register_robot

__version__ = "0.1.0"

_MODULES = {
    "ActionChunk": "hamster.policy",
    "Camera": "hamster.geometry",
    "Environment": "hamster.rollout",
    "Episode": "hamster.data",
    "EvalResult": "hamster.evaluate",
    "Gripper": "hamster.path",
    "LabelResult": "hamster.label",
    "NotInViewError": "hamster.path",
    "Observation": "hamster.data",
    "Path2D": "hamster.path",
    "Plan": "hamster.planner",
    "PlanError": "hamster.path",
    "Planner": "hamster.planner",
    "Policy": "hamster.policy",
    "PolicyError": "hamster.policy",
    "Robot": "hamster.rollout.robots",
    "Rollout": "hamster.rollout",
    "SafetyFilter": "hamster.rollout",
    "Suite": "hamster.evaluate",
    "UnsafeActionError": "hamster.rollout",
    "View": "hamster.data",
    "evaluate": "hamster.evaluate",
    "label": "hamster.label",
    "load_planner": "hamster.planner",
    "load_policy": "hamster.policy",
    "register_conditioner": "hamster.policy.conditioning",
    "register_depth_estimator": "hamster.data.estimated_depth",
    "register_dialect": "hamster.dialects",
    "register_planner": "hamster.planner.registry",
    "register_policy": "hamster.policy.registry",
    "register_robot": "hamster.rollout.robots",
    "register_source": "hamster.data.registry",
    "register_suite": "hamster.evaluate",
    "register_vlm_family": "hamster.planner.families",
    "rollout": "hamster.rollout",
}

__all__ = [
    "ActionChunk",
    "Camera",
    "Environment",
    "Episode",
    "EvalResult",
    "Gripper",
    "LabelResult",
    "NotInViewError",
    "Observation",
    "Path2D",
    "Plan",
    "PlanError",
    "Planner",
    "Policy",
    "PolicyError",
    "Robot",
    "Rollout",
    "SafetyFilter",
    "Suite",
    "UnsafeActionError",
    "View",
    "evaluate",
    "label",
    "load_planner",
    "load_policy",
    "register_conditioner",
    "register_depth_estimator",
    "register_dialect",
    "register_planner",
    "register_policy",
    "register_robot",
    "register_source",
    "register_suite",
    "register_vlm_family",
    "rollout",
]


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used."""
    if name not in _MODULES:
        raise AttributeError(f"module 'hamster' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


register_with_gymnasium()
