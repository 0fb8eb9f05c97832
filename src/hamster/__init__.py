"""HAMSTER: a vision-language model draws a 2D path on the image, a 3D policy follows it."""

from hamster.gymnasium_env import register_with_gymnasium

__version__ = "0.1.0"

register_with_gymnasium()
