"""A policy for robots elsewhere, over openpi's websocket protocol; needs the extra `serve` and `hamster_client`."""

from hamster.serving.limits import PolicyLimits
from hamster.serving.policy.metadata import server_metadata
from hamster.serving.policy.server import PolicyServer

__all__ = ["PolicyLimits", "PolicyServer", "server_metadata"]
