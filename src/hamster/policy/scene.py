"""What a policy is given at one moment, in training and in service alike; and how the world may be moved around it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from hamster.data import View
from hamster.geometry import Camera
from hamster.path import Path2D
from hamster.policy.path_prompt import Guide

Array = NDArray[np.float64]
_SIDES, _OTHER_SIDE = re.compile(r"\b(left|right)", re.IGNORECASE), {"left": "right", "right": "left"}
_MIRROR_Y, _MIRROR_X = np.diag([1.0, -1.0, 1.0, 1.0]), np.diag([-1.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class Body:
    """What the robot feels and remembers: the tool's pose (4, 4) and gripper now, and when the policy was last asked.

    `opening` is measured, `is_open` is the command in force; `before` is None at the first time, and remembers in turn.
    """

    tool_pose_world: Array
    opening: float
    is_open: bool
    before: Body | None = None

    @property
    def previous_position(self) -> Array | None:
        """(3,) where the tool was when the policy was asked the last time."""
        return None if self.before is None else self.before.tool_pose_world[:3, 3]

    @property
    def was_open(self) -> bool:
        """The command in force then."""
        return self.before is not None and self.before.is_open

    def past(self) -> Iterator[Body]:
        """When it was asked before, the last time first."""
        if self.before is not None:
            yield self.before
            yield from self.before.past()

    def remembering(self, most: int) -> Body:
        """With no memory of more times than that."""
        return replace(self, before=self.before.remembering(most - 1) if self.before and most else None)

    def changed(self, pose: Callable[[Array], Array]) -> Body:
        """With other tool poses, now and before."""
        return replace(
            self, tool_pose_world=pose(self.tool_pose_world), before=self.before and self.before.changed(pose)
        )


@dataclass(frozen=True, eq=False)
class Scene:
    """One moment.

    Attributes:
        views: of the policy's cameras.
        guide: the path to follow, and the view that it was drawn on; None where there is none.
        instruction: "" where nobody gave one.
    """

    views: Mapping[str, View]
    body: Body
    guide: Guide | None = None
    instruction: str = ""

    def moved(self, there_from_here: Array) -> Scene:
        """The same moment in a world moved by a rigid transform (4, 4): cameras, robot and path with it."""
        body = self.body.changed(lambda pose: there_from_here @ pose)
        views = {name: _moved(view, there_from_here) for name, view in self.views.items()}
        guide = self.guide and Guide(self.guide.path, _moved(self.guide.view, there_from_here))
        return replace(self, views=views, body=body, guide=guide)

    def mirrored(self) -> Scene:
        """The same moment in the mirror of the plane y = 0: images flipped, the mirrored tool's fingers swapped.

        Left and right change places in the instruction, too; letters on things are not read any more.
        """
        body = self.body.changed(mirrored_pose)
        views = {name: _mirrored(view) for name, view in self.views.items()}
        guide = self.guide
        if guide is not None:
            path = guide.path
            flipped = Path2D(np.abs([1, 0] - path.uv), path.gripper, path.depth_m, path.score)
            guide = Guide(flipped, _mirrored(guide.view))
        return replace(self, views=views, body=body, guide=guide, instruction=mirrored_words(self.instruction))


def mirrored_words(instruction: str) -> str:
    """An instruction in the mirror: "the leftmost cube" becomes "the rightmost cube"."""
    return _SIDES.sub(lambda side: _OTHER_SIDE[side[0].lower()], instruction)


def mirrored_pose(pose_world: Array) -> Array:
    """Tool poses (..., 4, 4) in the mirror, its fingers swapped so that it is a rotation again."""
    return np.asarray(_MIRROR_Y @ pose_world @ _MIRROR_Y)


def calibrated(view: View, name: str) -> tuple[NDArray[np.float32], Camera]:
    """Depth and calibration of a view; ValueError names what it lacks."""
    if view.depth_m is None or view.camera is None:
        lacking = "depth_m" if view.depth_m is None else "camera (calibration)"
        others = "`image` and `monolithic` do without"
        raise ValueError(f"the view {name!r} has no {lacking}, which a 3D policy needs; {others}")
    return view.depth_m, view.camera


def _moved(view: View, there_from_here: Array) -> View:
    camera = view.camera
    if camera is None:
        return view
    return replace(view, camera=replace(camera, world_from_camera=there_from_here @ camera.world_from_camera))


def _mirrored(view: View) -> View:
    camera = view.camera
    if camera is not None:
        intrinsics = np.array(camera.intrinsics)
        intrinsics[0, 2] = camera.width - intrinsics[0, 2]
        pose = _MIRROR_Y @ camera.world_from_camera @ _MIRROR_X
        camera = Camera(intrinsics, pose, camera.width, camera.height)
    depth_m = None if view.depth_m is None else view.depth_m[:, ::-1]
    return View(view.rgb[:, ::-1], depth_m, camera)
