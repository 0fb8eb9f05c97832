"""The records that every source yields and everything else consumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hamster.geometry import Camera
from hamster.path import Path2D

HALF_OPEN = 0.5
"""The gripper's opening above which it counts as open, and holds nothing."""
UNCLIPPED_UV = "unclipped_uv"
"""Key of `Provenance.extra`: a published trace (N, 2) that leaves the image, relative to it; its path is clipped."""


@dataclass(frozen=True, eq=False)
class View:
    """The image of one camera.

    Attributes:
        rgb: (H, W, 3) uint8.
        depth_m: (H, W) float32, metres along the optical axis; 0 or NaN where unknown; None without a depth sensor.
        camera: calibration, or None where unknown (Bridge, most videos).
    """

    rgb: NDArray[np.uint8]
    depth_m: NDArray[np.float32] | None = None
    camera: Camera | None = None


@dataclass(frozen=True, eq=False)
class Observation:
    """Everything the robot sensed at one moment.

    Attributes:
        views: by camera name.
        tool_pose_world: (4, 4); the origin is the tool's tip (between the finger tips, not the flange), z points out
            of the gripper, the fingers move along y. None where it was not recorded.
        gripper: measured opening, 0 closed to 1 open; None where it was not recorded.
        time_s: since the start of the episode.
        damaged: cameras whose image of this moment is damaged, and so not among the views.
    """

    views: Mapping[str, View]
    tool_pose_world: NDArray[np.float64] | None
    gripper: float | None
    time_s: float
    damaged: tuple[str, ...] = ()

    @property
    def gripper_open(self) -> bool:
        """Whether the gripper is open, as it counts as where its opening was not recorded."""
        return self.gripper is None or self.gripper > HALF_OPEN


@dataclass(frozen=True)
class Provenance:
    """Where an episode comes from: `source` is a URI such as rlbench:DIR; sha256 of `file`, where there is one."""

    source: str
    file: str = ""
    sha256: str = ""
    licence: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Keyposes:
    """The tool poses that a demonstration goes through, K of them, in order.

    Attributes:
        tool_poses_world: (K, 4, 4).
        gripper_open: (K,) bool, commanded at that pose and from then on.
        next: (T,) int, per observation the index of the keypose that the robot is on its way to.
        touches: (K,) bool, whether robot or load touched anything else on the way there, or None where unknown.
    """

    tool_poses_world: NDArray[np.float64]
    gripper_open: NDArray[np.bool_]
    next: NDArray[np.int64]
    touches: NDArray[np.bool_] | None = None


@dataclass(frozen=True, eq=False)
class JointStates:
    """Positions of a robot's joints as they were recorded, in whatever unit.

    Attributes:
        names: of the J joints, fingers included; () where the dataset does not name them.
        positions: (T, J), NaN where not known.
        low, high: (J,) smallest and largest positions in the dataset, from which the unit follows.
        commanded: (T, J) positions that were commanded, or None.
        unit: "rad" or "deg" where the format states it, "" elsewhere. Slides are in metres.
        robot_type: as the dataset states it.
    """

    names: Sequence[str]
    positions: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    commanded: NDArray[np.float64] | None = None
    unit: str = ""
    robot_type: str = ""


@dataclass(frozen=True)
class Instruction:
    """An instruction for some frames of an episode: from `first` to before `stop`."""

    text: str
    first: int
    stop: int


@dataclass(frozen=True, eq=False)
class Episode:
    """One demonstration, its observations read only when they are indexed.

    Attributes:
        instructions: phrasings of the one task of all its frames; () where there is none.
        observations: a sequence that may decode an image when it is indexed. A camera that has no image of a frame is
            not among that frame's views.
        tool_poses_world: (T, 4, 4) and `gripper` (T,): the robot's states of all steps at once, cheap to read, so that
            labels never decode an image. None where the robot was not recorded; NaN, all of a pose, at steps of which
            the recording lacks them.
        actions: (T, 8) commanded tool position, quaternion (w, x, y, z) and gripper opening, or None.
        keyposes: the few tool poses that the motion goes through, where the source knows them, or None.
        joints: the robot's joints, where they were recorded, or None. `hamster.data.joint_source` computes tool poses.
        parts: what is done in some of the frames, in order; several with the same frames are phrasings of one thing.
    """

    instructions: Sequence[str]
    observations: Sequence[Observation]
    provenance: Provenance
    tool_poses_world: NDArray[np.float64] | None = None
    gripper: NDArray[np.float64] | None = None
    actions: NDArray[np.float64] | None = None
    keyposes: Keyposes | None = None
    parts: Sequence[Instruction] = ()
    joints: JointStates | None = None

    @property
    def texts(self) -> tuple[str, ...]:
        """All instructions without repetition: of the whole episode, then of its parts."""
        return tuple(dict.fromkeys([*self.instructions, *(part.text for part in self.parts)]))


@dataclass(frozen=True, eq=False)
class Mention:
    """A stretch of an instruction and what it may refer to, given the words up to its end.

    `text[start:end]` is a word of a noun phrase; `objects` are the indices (into `AnnotatedImage.objects`) of all that
    fit the phrase so far; at the phrase's last word that is the referent alone.
    """

    start: int
    end: int
    objects: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Annotation:
    """One instruction for an image, the path that carries it out, and its grounding.

    `target` and `goal` index `AnnotatedImage.objects`: what the gripper goes to, and where the path ends up
    (None where there is no such object).
    """

    instruction: str
    path: Path2D
    task: str = ""
    mentions: Sequence[Mention] = ()
    target: int | None = None
    goal: int | None = None


@dataclass(frozen=True)
class ImageObject:
    """A visible thing in an image: its canonical colour and noun (one word each), e.g. ("red", "cube")."""

    colour: str
    kind: str


@dataclass(frozen=True, eq=False)
class AnnotatedImage:
    """An image with many instructions and their paths: training data for a planner.

    `segmentation` (H, W) uint8 holds, per pixel, an index into `objects`, or 255 for everything else; None where the
    source has no masks. `absent` are instructions whose object is not in view.
    """

    view: View
    annotations: Sequence[Annotation]
    provenance: Provenance
    objects: Sequence[ImageObject] = ()
    segmentation: NDArray[np.uint8] | None = None
    absent: Sequence[str] = ()


@dataclass(frozen=True, eq=False)
class Drawing:
    """A picture with a drawing of what a robot should do.

    Attributes:
        rgb: (H, W, 3) uint8 with the drawing on it; None where there are only strokes.
        instruction: what it shows, "" where unknown.
        clean: (H, W, 3) uint8 without the drawing, where there is such a picture.
        siblings: (H, W, 3) each, other drawings on the same scene: their median is the clean picture.
        strokes: (N, 2) relative polylines in drawing order, where the source has them as data.
        path: what the drawing means, where the source has it as data: then nothing is read off the drawing.
    """

    rgb: NDArray[np.uint8] | None
    instruction: str
    provenance: Provenance
    clean: NDArray[np.uint8] | None = None
    siblings: Sequence[NDArray[np.uint8]] = ()
    strokes: Sequence[NDArray[np.float64]] = ()
    path: Path2D | None = None


@dataclass(frozen=True)
class Unreadable:
    """An item that could not be read, and why; a run leaves it out, counts and reports it."""

    file: str
    reason: str


@dataclass(frozen=True)
class Conversation:
    """A conversation about an image: co-training data, in its own answer format.

    Attributes:
        image: file, absolute or relative to the source's folder; "" for text alone.
        turns: ("user" or "assistant", text), in turn; an image stands where the text says `<image>`.
    """

    image: str
    turns: tuple[tuple[str, str], ...]
    provenance: Provenance
