"""A policy for robots elsewhere, over openpi's websocket protocol; needs the extra `serve` and `hamster_client`."""

from hamster.policy.serve.about import about
from hamster.policy.serve.server import Limits, PolicyServer

__all__ = ["Limits", "PolicyServer", "about"]
