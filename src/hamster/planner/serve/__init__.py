"""A planner over HTTP: OpenAI's chat route, HAMSTER_beta's, and one that draws paths. Needs the extra `serve`."""

from hamster.planner.serve.app import create_app
from hamster.planner.serve.limits import Limits
from hamster.planner.serve.service import Served

__all__ = ["Limits", "Served", "create_app"]
