"""Demonstrations in, weights out: the same for every family of policies."""
