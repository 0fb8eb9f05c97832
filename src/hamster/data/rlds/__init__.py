"""Open X-Embodiment's datasets, read without TensorFlow."""

from hamster.data.rlds.source import RLDS

__all__ = ["RLDS"]
