"""Paths: the record, simplification, metrics, text dialects, drawing."""

from hamster.path.error import PlanError
from hamster.path.path import Gripper, Path

__all__ = ["Gripper", "Path", "PlanError"]
