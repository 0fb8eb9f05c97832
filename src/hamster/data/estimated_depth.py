"""Depth from a model: a plug-in point for metric monocular depth, with the user's own weights.

`hamster label estimated-depth:NAME:lerobot:DIR` reads `lerobot:DIR` and lets the registered estimator NAME fill in the
depth of views that have none. What was measured is kept. Every episode says so in its provenance (`depth_estimator`)
and in the notes of its labels' `how`: estimated depth is no measurement. It does not decide which waypoints are
occluded, is not exported, and `hamster train policy` refuses it without `--estimated-depth`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from hamster.data.depth import Depth, check_plausible, to_metres
from hamster.data.inputs import Inputs
from hamster.data.lazy import LazyObservations, without_image
from hamster.data.records import Episode, Observation, Provenance, View
from hamster.data.registry import open_source
from hamster.data.source import Item, Source, Tracked
from hamster.geometry import Camera
from hamster.registry import Registry

ESTIMATOR = "depth_estimator"
"""Key of `Provenance.extra` that names the estimator of an episode's depth."""


class DepthEstimator(Protocol):
    """A model of metric depth."""

    def __call__(self, rgb: NDArray[np.uint8], camera: Camera | None) -> NDArray[np.float32]:
        """Return depth (H, W) along the optical axis, metres, 0 or NaN where unknown.

        Args:
            rgb: (H, W, 3).
            camera: the calibration of the image, None where unknown.
        """


DepthEstimatorFactory = Callable[[], DepthEstimator]
"""Loads the weights; called once in each process."""
Factory = TypeVar("Factory", bound=DepthEstimatorFactory)
DEPTH_ESTIMATORS: Registry[DepthEstimatorFactory] = Registry("depth estimator", "hamster.depth_estimators")


def register_depth_estimator(name: str) -> Callable[[Factory], Factory]:
    """Return a decorator that registers a class or function without arguments, which returns a `DepthEstimator`.

    Args:
        name: what stands in `estimated-depth:NAME:SOURCE`, and in every label.
    """
    return DEPTH_ESTIMATORS.register(name)


def depth_estimator_of(provenance: Provenance) -> str:
    """Return the name of the model that an episode's depth is from, "" if it was measured or there is none."""
    return str(provenance.extra.get(ESTIMATOR, ""))


def open_estimated_depth(text: str) -> Source:
    """Return a source with estimated depth.

    Args:
        text: NAME:SCHEME:ARGUMENT, an estimator and the URI of a source. Generators run with the seed 0.

    Raises:
        ValueError: for an unknown estimator or source.
    """
    name, colon, uri = text.partition(":")
    if not (name and colon and uri):
        raise ValueError("say estimated-depth:NAME:SOURCE, estimated-depth:my-model:lerobot:DIR for instance")
    DEPTH_ESTIMATORS.get(name)
    source = open_source(uri)
    return _TrackedSource(source, name) if isinstance(source, Tracked) else _Source(source, name)


@dataclass(frozen=True)
class _Source:
    """A source whose episodes have estimated depth."""

    source: Source
    estimator: str

    @property
    def uri(self) -> str:
        return f"estimated-depth:{self.estimator}:{self.source.uri}"

    @property
    def per_shard(self) -> int:
        return self.source.per_shard

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> Item:
        item = self.source[index]
        if not isinstance(item, Episode):
            return item
        note = f"depth is estimated by {self.estimator} from single images where no sensor measured it"
        extra = item.provenance.extra
        extra = {**extra, ESTIMATOR: self.estimator, "notes": [*extra.get("notes", ()), note]}
        observations = _Frames(item.observations, self.estimator)
        return replace(item, observations=observations, provenance=replace(item.provenance, extra=extra))


class _TrackedSource(_Source):
    """One that states the inputs of its items; the weights of the estimator are not among them."""

    def inputs(self, index: int) -> Inputs:
        assert isinstance(self.source, Tracked)
        inputs = self.source.inputs(index)
        return replace(inputs, facts=f"{inputs.facts} {self.estimator}")


@dataclass(frozen=True, eq=False)
class _Frames(LazyObservations):
    """Observations whose missing depth is estimated when they are read."""

    observations: Sequence[Observation]
    estimator: str

    def __len__(self) -> int:
        return len(self.observations)

    def read(self, i: int) -> Observation:
        """Return one frame."""
        observation = self.observations[i]
        return replace(observation, views={name: self._view(name, view) for name, view in observation.views.items()})

    def without_image(self, camera: str) -> frozenset[int]:
        """Return the frames of which this camera is known to have no image, before any is decoded."""
        return without_image(self.observations, camera)

    def _view(self, name: str, view: View) -> View:
        if view.depth_m is not None:
            return view
        return replace(view, depth_m=_estimated(self.estimator, view, name))


def _estimated(estimator: str, view: View, name: str) -> Depth:
    described = f"depth of camera {name} estimated by {estimator}"
    depth_m = to_metres(np.asarray(_loaded(estimator)(view.rgb, view.camera)), described, 1.0)
    if depth_m.shape != view.rgb.shape[:2]:
        raise ValueError(f"{described} has shape {depth_m.shape}, its image {view.rgb.shape[:2]}")
    check_plausible(depth_m, described)
    return depth_m


@lru_cache(maxsize=1)
def _loaded(estimator: str) -> DepthEstimator:
    return DEPTH_ESTIMATORS.get(estimator)()
