"""HAMSTER: a vision-language model draws a 2D path on the image, a 3D policy follows it."""

__version__ = "0.1.0"
