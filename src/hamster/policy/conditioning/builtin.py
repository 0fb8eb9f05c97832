"""The built-in conditioners: the path as a drawing, as values per pixel, and as points in 3D."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from hamster.data import View
from hamster.path import Path2D
from hamster.path import draw as drawing
from hamster.path.simplify import simplify
from hamster.policy.conditioning import ChannelConditioner, ImageConditioner, PointConditioner
from hamster.policy.path_prompt import POINT_FEATURES, PathPoints, PathPrompt, sample_evenly

N_POINTS = 64


class Overlay(ImageConditioner):
    """The path drawn on the RGB, as HAMSTER (ICLR 2025) and PEEK do it."""

    def __init__(self, style: drawing.Style = "jet") -> None:
        self.style = style

    def draw(self, view: View, prompt: PathPrompt) -> View:
        """Return the view with the path on its RGB, in one of the styles "jet" and "red".

        Raises:
            ValueError: if the path was drawn on another camera's view, and that has no depth.
        """
        return replace(view, rgb=drawing.draw(view.rgb, path_in_view(view, prompt), self.style))


class PathChannels(ChannelConditioner):
    """Progress, distance to the path and gripper change, see `path.draw.channels`, and ones where there is a path."""

    n_channels: ClassVar[int] = 4

    def channels(self, view: View, prompt: PathPrompt | None) -> NDArray[np.float32]:
        """Return (H, W, 4) of the path seen from this view; all zeros where there is no path."""
        height, width = view.rgb.shape[:2]
        planes = np.zeros((self.n_channels, height, width), np.float32)
        if prompt is not None:
            planes[:3] = drawing.channels(path_in_view(view, prompt), height, width)
            planes[3] = 1
        return np.moveaxis(planes, 0, -1)  # a view: each channel stays in one piece, which takes half the time


class PointCloud(PointConditioner):
    """Points at equal steps along the path; of the points nearest to a gripper event one is at the event."""

    n_features: ClassVar[int] = POINT_FEATURES

    def __init__(self, n_points: int = N_POINTS) -> None:
        self.n_points = n_points

    def points(self, prompt: PathPrompt | None) -> PathPoints:
        """Return the points; see `PathPoints` for their features."""
        return sample_evenly(prompt, self.n_points)


class Waypoints(PointCloud):
    """The path's points to be attended to; each policy type has a way of its own to choose and embed them."""


def path_in_view(view: View, prompt: PathPrompt) -> Path2D:
    """Return the path on this view's image, with no more waypoints than it takes to half a pixel."""
    path = prompt.seen_from(view.camera)
    return path if path is prompt.path else simplify(path, 0.5 / view.rgb.shape[1])
