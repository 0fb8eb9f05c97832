"""A policy for robots elsewhere, over openpi's websocket protocol; needs the extra `serve` and `hamster_client`."""

from hamster.serving.policy.about import about
from hamster.serving.policy.server import Limits, PolicyServer

__all__ = ["Limits", "PolicyServer", "about"]
