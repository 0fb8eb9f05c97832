"""What a policy is given at one moment, in training and in service alike; and how the world may be moved around it.

`PolicyInput` holds it as arrays in the world's frame. Each policy type turns it into a `TensorBatch` of its own.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from hamster.data import View
from hamster.geometry import Camera
from hamster.path import Path2D
from hamster.policy.path_prompt import PathPoints, PathPrompt

Array = NDArray[np.float64]
_SIDES, _OTHER_SIDE = re.compile(r"\b(left|right)", re.IGNORECASE), {"left": "right", "right": "left"}
_MIRROR_Y, _MIRROR_X = np.diag([1.0, -1.0, 1.0, 1.0]), np.diag([-1.0, 1.0, 1.0, 1.0])


@dataclass(frozen=True, eq=False)
class RobotState:
    """Tool and gripper now, and at earlier calls of the policy.

    Attributes:
        tool_pose_world: (4, 4) metres.
        opening: measured opening of the gripper, 0 closed to 1 open.
        is_open: the gripper command in force.
        previous: the state at the previous call, which has a previous one in turn; None at the first call.
    """

    tool_pose_world: Array
    opening: float
    is_open: bool
    previous: RobotState | None = None

    def history(self) -> Iterator[RobotState]:
        """Yield the states at earlier calls, newest first."""
        if self.previous is not None:
            yield self.previous
            yield from self.previous.history()

    def truncated(self, n_history: int) -> RobotState:
        """Return the state with at most `n_history` earlier ones."""
        keeps_more = self.previous is not None and n_history > 0
        return replace(self, previous=self.previous.truncated(n_history - 1) if keeps_more and self.previous else None)

    def with_poses(self, change: Callable[[Array], Array]) -> RobotState:
        """Return the state with changed tool poses, now and earlier."""
        return replace(
            self,
            tool_pose_world=change(self.tool_pose_world),
            previous=self.previous and self.previous.with_poses(change),
        )


@dataclass(frozen=True, eq=False)
class PolicyInput:
    """One moment.

    Attributes:
        views: of the policy's cameras, by name.
        robot: tool and gripper, now and at earlier calls.
        prompt: the path to follow, and the view that it was drawn on; None where there is no path.
        instruction: "" where there is none.
        unaugmented_rgb: in training, the image (H, W, 3) of the first camera before its colours are changed: for
            frozen encoders, whose features of a frame can then be kept. None: the view's own.
    """

    views: Mapping[str, View]
    robot: RobotState
    prompt: PathPrompt | None = None
    instruction: str = ""
    unaugmented_rgb: NDArray[np.uint8] | None = None

    def moved(self, there_from_here: Array) -> PolicyInput:
        """Return the same moment in a world moved by a rigid transform (4, 4): cameras, robot and path with it."""
        robot = self.robot.with_poses(lambda pose: there_from_here @ pose)
        views = {name: _moved(view, there_from_here) for name, view in self.views.items()}
        prompt = self.prompt and PathPrompt(self.prompt.path, _moved(self.prompt.view, there_from_here))
        return replace(self, views=views, robot=robot, prompt=prompt)

    def mirrored(self) -> PolicyInput:
        """Return the same moment mirrored at the plane y = 0: images flipped, the mirrored tool's fingers swapped.

        Left and right are swapped in the instruction, too; letters on objects become illegible.
        """
        robot = self.robot.with_poses(mirrored_pose)
        views = {name: _mirrored(view) for name, view in self.views.items()}
        prompt = self.prompt
        if prompt is not None:
            path = prompt.path
            flipped = Path2D(np.abs([1, 0] - path.uv), path.gripper, path.depth_m, path.score)
            prompt = PathPrompt(flipped, _mirrored(prompt.view))
        return replace(
            self,
            views=views,
            robot=robot,
            prompt=prompt,
            instruction=mirrored_instruction(self.instruction),
            unaugmented_rgb=None if self.unaugmented_rgb is None else self.unaugmented_rgb[:, ::-1],
        )


def mirrored_instruction(instruction: str) -> str:
    """Return an instruction for the mirrored scene.

    >>> mirrored_instruction("take the leftmost cube")
    'take the rightmost cube'
    """
    return _SIDES.sub(lambda side: _OTHER_SIDE[side[0].lower()], instruction)


def mirrored_pose(pose_world: Array) -> Array:
    """Return tool poses (..., 4, 4) mirrored at y = 0, the fingers swapped so that they are rotations again."""
    return np.asarray(_MIRROR_Y @ pose_world @ _MIRROR_Y)


def calibrated(view: View, name: str) -> tuple[NDArray[np.float32], Camera]:
    """Return depth and calibration of a view; ValueError names what it lacks."""
    if view.depth_m is None or view.camera is None:
        missing = "depth_m" if view.depth_m is None else "camera (calibration)"
        raise ValueError(
            f"the view {name!r} has no {missing}, which a 3D policy needs; `image` and `monolithic` do without"
        )
    return view.depth_m, view.camera


@dataclass(frozen=True, eq=False)
class TensorBatch:
    """A record of tensors, of further records, of dictionaries of either, or None; subclasses name them.

    In a batch all tensors have the same leading dimension.
    """

    def to(self, device: torch.device) -> Self:
        """Return the same on another device."""
        return self._map(lambda tensor: tensor.to(device))

    def detach(self) -> Self:
        """Return the same without gradients."""
        return self._map(lambda tensor: tensor.detach())

    @classmethod
    def stack(cls, samples: Sequence[Self]) -> Self:
        """Return a batch of samples of the same structure."""
        names = [field.name for field in fields(cls)]
        return cls(**{name: _stack([getattr(sample, name) for sample in samples]) for name in names})

    def flatten(self) -> dict[str, Tensor]:
        """Return all tensors by dotted name, such as "crops.rgb"."""
        return dict(_flatten("", self))

    def _map(self, change: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(**{field.name: _map(getattr(self, field.name), change) for field in fields(self)})


@dataclass(frozen=True, eq=False)
class Proprioception(TensorBatch):
    """State of the robot as tensors; H is the length of the history.

    Attributes:
        tool_rotation: (3, 3) world from tool.
        gripper: (2,) measured opening and command in force, 0 closed to 1 open.
        previous_positions: (H, 3) tool positions at earlier calls, newest first, metres from the tool now; 0 if none.
        previous_features: (H, 2) whether there was such a call, and the gripper command then.
    """

    tool_rotation: Tensor
    gripper: Tensor
    previous_positions: Tensor
    previous_features: Tensor


def proprioception_features(robot: RobotState, n_history: int) -> Proprioception:
    """Return proprioception now and at the last `n_history` calls of the policy."""
    tool = np.asarray(robot.tool_pose_world, np.float64)[:3, 3]
    positions, features = np.tile(tool, (n_history, 1)), np.zeros((n_history, 2))
    for i, earlier in zip(range(n_history), robot.history(), strict=False):
        positions[i], features[i] = earlier.tool_pose_world[:3, 3], (1, earlier.is_open)
    return Proprioception(
        tool_rotation=as_float(robot.tool_pose_world[:3, :3]),
        gripper=as_float([robot.opening, robot.is_open]),
        previous_positions=as_float(positions - tool),
        previous_features=as_float(features),
    )


@dataclass(frozen=True, eq=False)
class PointBatch(TensorBatch):
    """Points of a path as tensors, see `PathPoints`.

    Attributes:
        positions: (N, 3) metres from the tool.
        features: (N, F).
        valid: (N,) False for points that do not exist.
    """

    positions: Tensor
    features: Tensor
    valid: Tensor

    @classmethod
    def of(cls, points: PathPoints, tool: Array) -> PointBatch:
        """Return the points relative to a tool at (3,) in the world; those that do not exist are at the tool."""
        positions = as_float((points.positions_world - tool) * points.valid[:, None])
        return cls(positions, as_float(points.features), torch.from_numpy(points.valid))


def as_float(values: ArrayLike) -> Tensor:
    """Return a float32 tensor."""
    return torch.from_numpy(np.ascontiguousarray(values, np.float32))


def _map(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, TensorBatch):
        return value._map(change)
    if isinstance(value, dict):
        return {name: _map(item, change) for name, item in value.items()}
    return None if value is None else change(value)


def _stack(values: Sequence[Any]) -> Any:
    first = values[0]
    if isinstance(first, TensorBatch):
        return type(first).stack(values)
    if isinstance(first, dict):
        return {name: _stack([value[name] for value in values]) for name in first}
    return None if first is None else torch.stack(list(values))


def _flatten(prefix: str, value: Any) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield prefix, value
    elif value is not None:
        items = (
            value if isinstance(value, dict) else {field.name: getattr(value, field.name) for field in fields(value)}
        )
        for name, item in items.items():
            yield from _flatten(f"{prefix}.{name}" if prefix else name, item)


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
