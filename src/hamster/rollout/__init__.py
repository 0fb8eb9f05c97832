"""The closed loop: planner, policy and environment, meeting here and nowhere else."""

import warnings
from typing import Any

from hamster.rollout.environment import BrokenEnvironmentError, Environment
from hamster.rollout.loop import rollout
from hamster.rollout.result import Outcome, Rollout, Video
from hamster.rollout.safety import SafetyFilter, UnsafeActionError

__all__ = [
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
