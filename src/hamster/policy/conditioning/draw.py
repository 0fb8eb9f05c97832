"""The path on the image that a policy looks at: as a drawing, or as numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hamster.data import View
from hamster.path import Path2D
from hamster.path import draw as drawing
from hamster.path.simplify import simplify
from hamster.policy.path_prompt import Guide

CHANNELS = 4  # progress, distance, gripper change, there is a path


def overlay(view: View, guide: Guide | None, style: drawing.Style = "jet") -> View:
    """The view with the path drawn on its RGB in one of `path.draw.STYLES`, as HAMSTER (ICLR 2025) and PEEK do it.

    Args:
        view: of any camera.
        guide: None leaves the view as it is.
        style: "jet" or "red".

    Raises:
        ValueError: if the path was drawn on another camera's view, and that has no depth.
    """
    if guide is None:
        return view
    return replace(view, rgb=drawing.draw(view.rgb, seen_from(view, guide), style))


def channels(view: View, guide: Guide | None) -> NDArray[np.float32]:
    """(H, W, 4): `path.draw.channels` of the path seen from this view, and ones; all zeros where there is no path."""
    height, width = view.rgb.shape[:2]
    out = np.zeros((CHANNELS, height, width), np.float32)
    if guide is not None:
        out[:3] = drawing.channels(seen_from(view, guide), height, width)
        out[3] = 1
    return np.moveaxis(out, 0, -1)  # a view: each channel stays in one piece, which takes half the time


def seen_from(view: View, guide: Guide) -> Path2D:
    """The path on this view's image, with no more waypoints than it takes to half a pixel."""
    path = guide.seen_from(view.camera)
    return path if path is guide.path else simplify(path, 0.5 / view.rgb.shape[1])
