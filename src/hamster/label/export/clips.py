"""A label set as episodes for LeRobot; an annotated image becomes an episode of one frame."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.data import AnnotatedImage, Observation, View
from hamster.data.estimated_depth import depth_estimator_of
from hamster.data.lerobot import trace_content
from hamster.data.lerobot.demonstrations import Demonstration
from hamster.geometry import quaternion_from_matrix
from hamster.label.dataset import kinds_of, read_annotated, read_episodes
from hamster.label.episodes import LabelledEpisode
from hamster.label.export.examples import has_pictures, sayable
from hamster.label.gripper import gripper_events, is_open
from hamster.label.project import Label, Visibility

Array = NDArray[np.float64]
MAIN = "main"  # the camera of annotated images, and of label sets whose episodes have different ones


@dataclass(frozen=True, eq=False)
class Clip:
    """An episode to be written.

    Attributes:
        observations: (T,) each read when it is asked for.
        camera: on whose images the paths are.
        traces: (T,) the contents of each frame's rows.
        tasks: (T,) what is done at each frame.
        instructions: other phrasings of the one task that all its frames show.
        states: (T, 8) tool position, quaternion (w, x, y, z), opening; None where no robot was recorded.
        actions: (T, 8) the next state, with the commanded opening.
        demonstration: its task and keyposes.
        depth_is_measured: False where a model estimated it: another reader would take it for a measurement.
    """

    observations: Sequence[Observation]
    camera: str
    traces: Sequence[Sequence[str]]
    tasks: Sequence[str]
    instructions: Sequence[str] = ()
    states: Array | None = None
    actions: Array | None = None
    demonstration: Demonstration = field(default_factory=Demonstration)
    depth_is_measured: bool = True

    def __len__(self) -> int:
        return len(self.traces)

    def views(self, observation: Observation, only_main: bool) -> Mapping[str, View]:
        """Return the views of one of its observations; that with the paths alone, called `main`, if so wished."""
        return {MAIN: observation.views[self.camera]} if only_main else observation.views


@dataclass
class Survey:
    """What all clips of a label set have in common, seen from their first frames.

    Attributes:
        cameras: that every clip has; `main` alone, where they have different ones.
        sizes: per camera, the first one's (width, height).
        calibrated: cameras that are, at least sometimes.
        with_depth: cameras that have depth, at least sometimes.
        robot: whether every clip has states.
        phrasings: whether any clip has several.
        longest: frames of the longest clip.
        fps: of the first clip with more than one frame.
    """

    cameras: tuple[str, ...] = ()
    only_main: bool = False
    sizes: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    calibrated: frozenset[str] = frozenset()
    with_depth: frozenset[str] = frozenset()
    robot: bool = True
    phrasings: bool = False
    longest: int = 0
    fps: int = 1


def clips(folder: Path) -> Iterator[Clip | None]:
    """Yield every episode and every annotated image of a label set, in order; None for what has no picture."""
    kinds = kinds_of(folder)
    if "episodes" in kinds:
        for labelled in sayable(read_episodes(folder)):
            yield _of_episode(labelled) if has_pictures(labelled) else None
    if "annotated" in kinds:
        for image in sayable(read_annotated(folder)):
            yield _of_image(image) if image.annotations else None


def survey(folder: Path) -> Survey:
    """Go through a label set once, looking at the first frame of each episode."""
    return survey_clips(clips(folder))


def survey_clips(clips: Iterable[Clip | None]) -> Survey:
    """Return what clips have in common, looking at the first frame of each."""
    overview = Survey()
    names: set[tuple[str, ...]] = set()
    sizes: dict[str, tuple[int, int]] = {}
    calibrated: set[str] = set()
    with_depth: set[str] = set()
    for clip in filter(None, clips):
        first = clip.observations[0]
        names.add(tuple(first.views))
        for name, view in [*first.views.items(), (MAIN, first.views[clip.camera])]:
            sizes.setdefault(name, (view.rgb.shape[1], view.rgb.shape[0]))
            calibrated |= {name} if view.camera is not None else set()
            with_depth |= {name} if view.depth_m is not None and clip.depth_is_measured else set()
        overview.robot &= clip.states is not None
        overview.phrasings |= len(clip.instructions) > 0
        if len(clip) > 1 and overview.longest <= 1:
            step_s = clip.observations[1].time_s - first.time_s
            overview.fps = min(max(round(1 / max(step_s, 1e-3)), 1), 1000)
        overview.longest = max(overview.longest, len(clip))
    overview.only_main = len(names) > 1 or names == {(MAIN,)}
    overview.cameras = (MAIN,) if overview.only_main else next(iter(names), ())
    overview.sizes, overview.calibrated, overview.with_depth = sizes, frozenset(calibrated), frozenset(with_depth)
    return overview


def _of_episode(labelled: LabelledEpisode) -> Clip:
    episode, method = labelled.episode, labelled.method.to_json()
    states = actions = None
    if episode.tool_poses_world is not None and episode.gripper is not None:
        states, actions = _robot(episode.tool_poses_world, episode.gripper)
    words = tuple(dict.fromkeys(episode.instructions))
    spoken = [[pair for pair in labelled.at(t) if pair[0] not in words[1:]] for t in range(len(labelled.labels))]
    traces = [[_content(label, text, method) for text, label in pairs] for pairs in spoken]
    tasks = [pairs[0][0] for pairs in spoken]
    demonstration = Demonstration(labelled.task, None if states is None else episode.keyposes)
    measured = not depth_estimator_of(episode.provenance)
    return Clip(
        episode.observations, labelled.camera, traces, tasks, words[1:], states, actions, demonstration, measured
    )


def _of_image(image: AnnotatedImage) -> Clip:
    method = image.provenance.extra.get("how")
    contents = [trace_content(a.path, a.instruction, None, method) for a in image.annotations]
    # Other instructions are other tasks, not other words for the first one: they are in their traces.
    return Clip(
        [Observation({MAIN: image.view}, None, None, 0.0)], MAIN, [contents], [image.annotations[0].instruction]
    )


def _content(label: Label, instruction: str, method: Mapping[str, Any]) -> str:
    names = [Visibility(int(v)).name.lower() for v in label.visible]
    return trace_content(label.path, instruction, names, method)


def _robot(poses: Array, opening: Array) -> tuple[Array, Array]:
    flat = np.hstack([poses[:, :3, 3], quaternion_from_matrix(poses[:, :3, :3])])
    commanded = is_open(gripper_events(opening), opening).astype(np.float64)
    ahead = np.minimum(np.arange(len(flat)) + 1, len(flat) - 1)
    return np.c_[flat, opening], np.c_[flat[ahead], commanded]
