"""Image + instruction → path."""

from hamster.planner.planner import Plan, Planner, load_planner

__all__ = ["Plan", "Planner", "load_planner"]
