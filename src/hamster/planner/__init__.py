"""Image + instruction → path."""

from hamster.planner.error import PlannerConfigurationError, PlannerUnavailableError
from hamster.planner.planner import Plan, Planner, load_planner

__all__ = ["Plan", "Planner", "PlannerConfigurationError", "PlannerUnavailableError", "load_planner"]
