"""A planner over HTTP: OpenAI's chat route, HAMSTER_beta's, and one that draws paths. Needs the extra `serve`."""

from hamster.serving.planner.app import create_app
from hamster.serving.planner.limits import Limits
from hamster.serving.planner.service import Served

__all__ = ["Limits", "Served", "create_app"]
