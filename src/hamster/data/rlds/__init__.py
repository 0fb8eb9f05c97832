"""Open X-Embodiment's datasets, read without TensorFlow."""

from hamster.data.rlds.source import Rlds

__all__ = ["Rlds"]
