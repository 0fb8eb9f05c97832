"""Paths: the record, simplification, metrics, text dialects, drawing."""

from hamster.path.error import NotInViewError, PlanError
from hamster.path.path import Gripper, Path

__all__ = ["Gripper", "NotInViewError", "Path", "PlanError"]
