"""Conditioners: how a policy's network gets the path. They compose: each adds to what is there already.

A conditioner is of one of three kinds, and knows nothing of any network. Each policy type feeds a kind in its own way:

| kind | adds | flow | views | image |
|---|---|---|---|---|
| `ImageConditioner` | drawing on the RGB | yes | yes | yes |
| `ChannelConditioner` | values per pixel | added to patches | rendered as a layer | added to the first layer |
| `PointConditioner` | points with features in 3D | tokens at their positions | rendered as a layer | no: has no 3D |

Built in are:

| name | kind | adds |
|---|---|---|
| `overlay` | image | the path drawn on the RGB, as in the paper |
| `channels` | channels | progress, distance to the path, gripper change, and whether there is a path |
| `tokens` | points | waypoints; `views` attends to them, `image` takes them in 2D |
| `cloud` | points | many points along the path (after 3D HAMSTER, arXiv 2606.31329) |

`flow` has two more of its own: `foveas`, high-resolution crops at the key waypoints; and `latent`, a planner's last
states instead of its path, with crops where its pointer is.

Weights of conditioners end in zero-initialised layers (as in ControlNet): a checkpoint that was trained without one
loads with it, and its output changes little or not at all.

A conditioner of your own is an object of one of the kinds under a new name:

    @register_conditioner("endpoint")
    class Endpoint(ChannelConditioner):
        n_channels = 1

        def channels(self, view, prompt): ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import Any, ClassVar, TypeAlias, cast

import numpy as np
from numpy.typing import NDArray

from hamster.data import View
from hamster.policy.path_prompt import PathPoints, PathPrompt
from hamster.registry import Registry, unknown_name


class ImageConditioner(ABC):
    """Draws the path on the RGB image; needs no weights."""

    @abstractmethod
    def draw(self, view: View, prompt: PathPrompt) -> View:
        """Return the view with the path drawn on it. The path may have been drawn for another camera."""


class ChannelConditioner(ABC):
    """Adds values per pixel, which enter through a zero-initialised layer."""

    n_channels: ClassVar[int]

    @abstractmethod
    def channels(self, view: View, prompt: PathPrompt | None) -> NDArray[np.float32]:
        """Return (H, W, n_channels) for a view; without a path (None) usually zeros."""


class PointConditioner(ABC):
    """Adds points in 3D with features, which enter through a zero-initialised layer."""

    n_features: ClassVar[int]

    @abstractmethod
    def points(self, prompt: PathPrompt | None) -> PathPoints:
        """Return always the same number of points; without a path (None) invalid ones."""


Conditioner: TypeAlias = ImageConditioner | ChannelConditioner | PointConditioner
"""An object of one of the three kinds."""


def _instance(value: Any) -> Conditioner:
    conditioner = value() if isinstance(value, type) else value
    if not isinstance(conditioner, ImageConditioner | ChannelConditioner | PointConditioner):
        raise TypeError("it is no ImageConditioner, ChannelConditioner or PointConditioner")
    return conditioner


CONDITIONERS: Registry[Conditioner] = Registry(
    "conditioner",
    "hamster.conditioners",
    {
        "overlay": "hamster.policy.conditioning.builtin:Overlay",
        "channels": "hamster.policy.conditioning.builtin:PathChannels",
        "tokens": "hamster.policy.conditioning.builtin:Waypoints",
        "cloud": "hamster.policy.conditioning.builtin:PointCloud",
    },
    _instance,
)
"""The conditioners by name."""
register_conditioner = CONDITIONERS.register
"""Add a conditioner under a name, as a decorator of its class or as `register_conditioner("mine", conditioner)`."""


def draw_conditioner(name: str, view: View, prompt: PathPrompt) -> View:
    """Return the view as an image conditioner draws on it; ValueError if what it returns is no such view."""
    drawn = cast(ImageConditioner, CONDITIONERS.get(name)).draw(view, prompt)
    if not isinstance(drawn, View) or drawn.rgb.shape != view.rgb.shape:
        what = f"a View of shape {drawn.rgb.shape}" if isinstance(drawn, View) else f"a {type(drawn).__name__}"
        raise ValueError(
            f"draw() of the conditioner {name!r} returned {what}; return dataclasses.replace(view, rgb=image) with an "
            f"image of shape {view.rgb.shape}"
        )
    return drawn


def conditioner_channels(name: str, view: View, prompt: PathPrompt | None) -> NDArray[np.float32]:
    """Return the channels (H, W, n_channels) of a channel conditioner; ValueError if the shape is another one."""
    conditioner = cast(ChannelConditioner, CONDITIONERS.get(name))
    values = conditioner.channels(view, prompt)
    expected = (*view.rgb.shape[:2], conditioner.n_channels)
    if np.shape(values) != expected:
        raise ValueError(
            f"channels() of the conditioner {name!r} has shape {np.shape(values)}; return (H, W, n_channels), here "
            f"{expected}"
        )
    return values


def conditioner_points(name: str, prompt: PathPrompt | None) -> PathPoints:
    """Return the points of a point conditioner; ValueError if they are none, or have another number of features."""
    conditioner = cast(PointConditioner, CONDITIONERS.get(name))
    points = conditioner.points(prompt)
    if not isinstance(points, PathPoints):
        raise ValueError(
            f"points() of the conditioner {name!r} returned a {type(points).__name__}; return a PathPoints"
        )
    if points.features.shape[-1] != conditioner.n_features:
        raise ValueError(
            f"points() of the conditioner {name!r} has features of shape {points.features.shape}; "
            f"n_features says {conditioner.n_features}"
        )
    return points


def check_conditioners(
    names: Collection[str], policy_type: str, kinds: tuple[type, ...], own: Collection[str] = ()
) -> None:
    """Raise ValueError if a policy type cannot use a conditioner.

    Args:
        names: of the conditioners of a configuration.
        policy_type: for the message.
        kinds: of conditioners that this type has a way in for.
        own: names of conditioners that the type implements itself, whatever their kind.
    """
    for name in names:
        if name in own:
            continue
        if name not in CONDITIONERS:
            raise unknown_name("conditioner", name, dict.fromkeys([*own, *CONDITIONERS.names()]))
        if not isinstance(CONDITIONERS.get(name), kinds):
            usable = [*own, *(other for other in CONDITIONERS.names() if isinstance(CONDITIONERS.get(other), kinds))]
            listed = ", ".join(dict.fromkeys(usable))
            raise ValueError(f"the {policy_type} policy cannot use the conditioner {name!r}; it can use: {listed}")


__all__ = [
    "CONDITIONERS",
    "ChannelConditioner",
    "Conditioner",
    "ImageConditioner",
    "PathPoints",
    "PathPrompt",
    "PointConditioner",
    "check_conditioners",
    "register_conditioner",
]
