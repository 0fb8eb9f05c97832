"""A planner over HTTP: OpenAI's chat route, HAMSTER_beta's, and one that draws paths. Needs the extra `serve`."""

from hamster.serving.limits import PlannerLimits
from hamster.serving.planner.app import create_app
from hamster.serving.planner.service import ModelHandle

__all__ = ["ModelHandle", "PlannerLimits", "create_app"]
