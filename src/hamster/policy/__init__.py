"""Path-conditioned 3D policies: observation and path in, a chunk of actions out."""

from hamster.policy.base import ActionChunk, Policy, PolicyError
from hamster.policy.load import bundled_policies, find_policy, load_policy

__all__ = ["ActionChunk", "Policy", "PolicyError", "bundled_policies", "find_policy", "load_policy"]
