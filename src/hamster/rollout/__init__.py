"""The closed loop of planner, policy and environment: `hamster.rollout(…)` is `rollout` of this package."""

import warnings
from typing import Any

from hamster._callable import make_callable
from hamster.rollout.agent import Agent
from hamster.rollout.environment import BrokenEnvironmentError, Environment
from hamster.rollout.loop import rollout
from hamster.rollout.result import Outcome, Rollout
from hamster.rollout.safety import SafetyFilter, UnsafeActionError
from hamster.rollout.video import Video

__all__ = [
    "Agent",
    "BrokenEnvironmentError",
    "Environment",
    "Outcome",
    "Rollout",
    "SafetyFilter",
    "UnsafeActionError",
    "Video",
    "rollout",
]

_OLD_NAMES = {"Film": Video, "Gate": SafetyFilter, "MotionRefusedError": UnsafeActionError}


def __getattr__(name: str) -> Any:
    """Return what has another name now; ends with version 0.3."""
    if name in _OLD_NAMES:
        current = _OLD_NAMES[name]
        warnings.warn(f"hamster.rollout.{name} is now {current.__name__}", DeprecationWarning, stacklevel=2)
        return current
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


make_callable(__name__)
