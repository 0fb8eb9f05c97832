"""Image + instruction → path."""

from hamster.planner.base import Plan, Planner, load_planner
from hamster.planner.error import PlannerConfigurationError, PlannerUnavailableError

__all__ = ["Plan", "Planner", "PlannerConfigurationError", "PlannerUnavailableError", "load_planner"]
