"""Recordings of ROS 2 in MCAP files."""

from hamster.data.mcap.source import MCAP

__all__ = ["MCAP"]
