"""Depth from a model: a plug-in point for metric monocular depth, with the user's own weights.

`hamster label estimated-depth:NAME:lerobot:DIR` reads `lerobot:DIR` and lets the registered estimator NAME fill in the
depth of views that have none. What was measured is kept. Every episode says so in its provenance (`depth_estimator`)
and in the notes of its labels' `how`: estimated depth is no measurement. It does not decide which waypoints are
occluded, is not exported, and `hamster train policy` refuses it without `--estimated-depth`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from hamster.data.converted import ConvertedObservations, convert_episodes
from hamster.data.depth import Depth, check_plausible, to_metres
from hamster.data.records import Episode, Observation, Provenance, View
from hamster.data.registry import open_source
from hamster.data.source import Source
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
    convert = partial(_with_estimated_depth, estimator=name)
    # The name stands for the estimator: its weights are nowhere that could be read.
    return convert_episodes(source, f"estimated-depth:{name}:{source.uri}", convert, name)


def _with_estimated_depth(episode: Episode, estimator: str) -> Episode:
    note = f"depth is estimated by {estimator} from single images where no sensor measured it"
    extra = episode.provenance.extra
    extra = {**extra, ESTIMATOR: estimator, "notes": [*extra.get("notes", ()), note]}
    observations = ConvertedObservations(episode.observations, partial(_fill_in, estimator))
    return replace(episode, observations=observations, provenance=replace(episode.provenance, extra=extra))


def _fill_in(estimator: str, index: int, observation: Observation) -> Observation:
    del index
    views = {
        name: view if view.depth_m is not None else replace(view, depth_m=_estimated(estimator, view, name))
        for name, view in observation.views.items()
    }
    return replace(observation, views=views)


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
