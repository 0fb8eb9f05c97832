"""Path-conditioned 3D policies: observation and path in, a chunk of actions out."""

import warnings
from typing import Any

from hamster.policy.base import ActionChunk, Policy, PolicyError, PolicyUnavailableError
from hamster.policy.load import bundled_policies, find_policy, load_policy

__all__ = [
    "ActionChunk",
    "Policy",
    "PolicyError",
    "PolicyUnavailableError",
    "bundled_policies",
    "find_policy",
    "load_policy",
]


def __getattr__(name: str) -> Any:
    """Return what has another name now; ends with version 0.3."""
    if name == "Motion":
        warnings.warn("hamster.policy.Motion is now ActionChunk", DeprecationWarning, stacklevel=2)
        return ActionChunk
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
