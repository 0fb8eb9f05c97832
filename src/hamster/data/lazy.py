"""Observations that are read on access."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, overload, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from hamster.data.records import Episode, Instruction, Observation


class LazyObservations(Sequence[Observation]):
    """A sequence that has to know only its length and how to read one observation."""

    @abstractmethod
    def read(self, i: int) -> Observation:
        """Return number i, 0 <= i < length; ValueError, in one line, if it is damaged."""

    def without_image(self, camera: str) -> frozenset[int]:
        """Return the frames of which this camera is known to have no image, before any is decoded."""
        del camera
        return frozenset()

    @overload
    def __getitem__(self, index: int) -> Observation: ...
    @overload
    def __getitem__(self, index: slice) -> list[Observation]: ...
    def __getitem__(self, index: int | slice) -> Observation | list[Observation]:
        if isinstance(index, slice):
            return [self.read(i) for i in range(*index.indices(len(self)))]
        return self.read(range(len(self))[index])


@runtime_checkable
class SupportsThumbnails(Protocol):
    """Observations whose images are read faster if they need not be large."""

    def small(self, i: int, camera: str, side_px: int) -> NDArray[np.uint8]:
        """Return the image of one camera (h, w, 3), its longer side `side_px` long at most, or not much longer.

        Args:
            i: index of the observation.
            camera: by name.
            side_px: largest length of the longer side.
        """


@dataclass(frozen=True, eq=False)
class Chosen(LazyObservations):
    """Some of the observations, still read on access."""

    observations: Sequence[Observation]
    numbers: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.numbers)

    def read(self, i: int) -> Observation:
        """Return one frame."""
        return self.observations[self.numbers[i]]

    def without_image(self, camera: str) -> frozenset[int]:
        """Return the frames of which this camera is known to have no image, before any is decoded."""
        lacking = without_image(self.observations, camera)
        return frozenset(i for i, number in enumerate(self.numbers) if number in lacking)


def without_image(observations: Sequence[Observation], camera: str) -> frozenset[int]:
    """Return the frames of which this camera is known to have no image, before any is decoded."""
    if isinstance(observations, LazyObservations):
        return observations.without_image(camera)
    return frozenset(i for i, observation in enumerate(observations) if camera not in observation.views)


def evenly_spaced(total: int, count: int) -> list[int]:
    """Return the indices of `count` of `total` items, of all if there are fewer: the first, the last, evenly between.

    Example:
        >>> evenly_spaced(9, 3), evenly_spaced(2, 3)
        ([0, 4, 8], [0, 1])
    """
    return [int(i) for i in np.linspace(0, total - 1, min(count, total)).round()]


def chosen_frames(episode: Episode, numbers: Sequence[int]) -> Episode:
    """Return the episode with these of its frames (ascending numbers) alone, and what is known of them."""
    if len(numbers) == len(episode.observations):
        return episode
    rows = np.asarray(numbers, np.intp)
    spans = ((part, *np.searchsorted(rows, [part.first, part.stop]).tolist()) for part in episode.parts)
    keyposes, joints = episode.keyposes, episode.joints
    if joints is not None:
        commanded = None if joints.commanded is None else joints.commanded[rows]
        joints = replace(joints, positions=joints.positions[rows], commanded=commanded)
    return replace(
        episode,
        observations=Chosen(episode.observations, tuple(rows.tolist())),
        tool_poses_world=None if episode.tool_poses_world is None else episode.tool_poses_world[rows],
        gripper=None if episode.gripper is None else episode.gripper[rows],
        actions=None if episode.actions is None else episode.actions[rows],
        keyposes=None if keyposes is None else replace(keyposes, next=keyposes.next[rows]),
        joints=joints,
        parts=tuple(Instruction(part.text, first, stop) for part, first, stop in spans if stop > first),
    )
