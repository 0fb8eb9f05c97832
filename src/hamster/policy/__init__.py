"""Observation and path in, motion out: path-conditioned 3D policies."""

from hamster.policy.base import Motion, Policy, PolicyError, find_policy, load_policy

__all__ = ["Motion", "Policy", "PolicyError", "find_policy", "load_policy"]
