"""Convert drawings to paths: strokes over a photograph, as pixels or as data."""

from hamster.label.sketch.label import label_drawing
from hamster.label.sketch.steps import Step, path_of

__all__ = ["Step", "label_drawing", "path_of"]
