"""Depth images that tests write, in every way in which files hold them."""

import io

import numpy as np
from PIL import Image


def scene_m(height=32, width=48, seed=0):
    """A tilted plane 0.5 to 0.9 m away with noise, and holes."""
    rng = np.random.default_rng(seed)
    depth_m = 0.5 + 0.4 * np.mgrid[0:height, 0:width][0] / height + rng.normal(0, 0.002, (height, width))
    depth_m[rng.random((height, width)) < 0.1] = 0
    return depth_m.astype(np.float32)


def millimetres(depth_m):
    return (depth_m * 1000).round().astype(np.uint16)


def encoded(values, kind="PNG"):
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, kind)
    return buffer.getvalue()
