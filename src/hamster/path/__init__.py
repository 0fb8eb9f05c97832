"""Paths: the record, simplification, metrics, drawing."""

import warnings
from typing import Any

from hamster.path.error import NotInViewError, PlanError
from hamster.path.path import Gripper, Path2D

__all__ = ["Gripper", "NotInViewError", "Path2D", "PlanError"]


def __getattr__(name: str) -> Any:
    """Return what had another name before version 0.2; until version 0.3."""
    if name == "Path":
        warnings.warn("hamster.path.Path is now hamster.path.Path2D", DeprecationWarning, stacklevel=2)
        return Path2D
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
