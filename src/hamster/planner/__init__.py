"""Image + instruction → path."""

from hamster.planner.base import Plan, Planner
from hamster.planner.error import PlannerConfigurationError, PlannerUnavailableError
from hamster.planner.load import load_planner

__all__ = ["Plan", "Planner", "PlannerConfigurationError", "PlannerUnavailableError", "load_planner"]
