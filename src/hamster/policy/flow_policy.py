"""The flow actor as a `Policy`: keeps the lifted path and the gripper's state from one observation to the next."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hamster.data import Observation
from hamster.path import Path
from hamster.policy.actor import FlowActor, medoid
from hamster.policy.inputs import Body, Inputs, calibrated, make_inputs, stack
from hamster.policy.lift import LiftedPath, lift
from hamster.policy.policy import Motion
from hamster.policy.rotation import matrix_from_six

SURELY = 0.9
OPEN = 0.5  # of the measured opening; only asked before the policy has commanded anything


class FlowPolicy:
    """One keypose at a time. The same observations and paths give the same motions: its noise is seeded."""

    def __init__(self, actor: FlowActor, seed: int = 0) -> None:
        self.actor, self.seed = actor.eval(), seed
        self.reset()

    def reset(self) -> None:
        """Forgets the episode."""
        self._path: Path | None = None
        self._lifted: LiftedPath | None = None
        self._open: bool | None = None  # the last command
        self._before: Body | None = None
        self._generator = torch.Generator().manual_seed(self.seed)

    def act(self, observation: Observation, path: Path | None, instruction: str = "") -> Motion:
        """The next keypose; see `Policy.act`."""
        del instruction  # it must follow the path
        body = self._body(observation)
        inputs = self._inputs(observation, path, body)
        with torch.inference_mode():
            position, rotation, is_open, done = predict(self.actor, stack([inputs]), self._generator)
        if path is not None and done[0] > SURELY:
            return Motion(body.tool_pose_world[None], np.array([body.is_open]))  # the path is at its end: stay
        pose = np.eye(4)
        pose[:3, :3] = rotation[0].numpy()
        pose[:3, 3] = body.tool_pose_world[:3, 3] + position[0].numpy().astype(np.float64)
        self._open, self._before = bool(is_open[0]), body
        return Motion(pose[None], np.array([self._open]))

    def _inputs(self, observation: Observation, path: Path | None, body: Body) -> Inputs:
        config = self.actor.config
        if config.camera not in observation.views:
            names = ", ".join(observation.views) or "none"
            raise ValueError(
                f"the observation lacks the view {config.camera!r} that the policy needs; there are: {names}"
            )
        view = observation.views[config.camera]
        depth_m, camera = calibrated(view, config.camera)
        if path is not self._path:
            self._path = path
            self._lifted = None
            if path is not None:
                self._lifted = lift(path, depth_m, camera, config.key_waypoints, config.path_waypoints)
        return make_inputs(config, view.rgb, depth_m, camera, body, self._lifted)

    def _body(self, observation: Observation) -> Body:
        if observation.tool_pose_world is None or observation.gripper is None:
            lacking = "tool_pose_world" if observation.tool_pose_world is None else "gripper"
            raise ValueError(f"the observation has no {lacking}, which this policy needs")
        tool, opening = np.array(observation.tool_pose_world, np.float64), float(observation.gripper)
        is_open = opening > OPEN if self._open is None else self._open
        if self._before is None:
            return Body(tool, opening, is_open)
        return Body(tool, opening, is_open, self._before.tool_pose_world[:3, 3], self._before.is_open)


def predict(actor: FlowActor, inputs: Inputs, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The most central of some samples for a batch of inputs.

    Returns:
        position (B, 3) in metres from the tool, rotation (B, 3, 3) world from tool, gripper open (B,), and the
        probability (B,) that there is nothing left to do.
    """
    encoded = actor.encode(inputs)
    shape = (len(encoded.anchor), actor.config.samples, 9)
    noise = torch.randn(shape, generator=generator).to(encoded.anchor.device)
    action = medoid(actor.flow(noise, encoded)).float()
    position = encoded.anchor.float() + action[:, :3] * actor.config.position_scale_m
    return position, matrix_from_six(action[:, 3:]), encoded.gripper_logit > 0, encoded.done_logit.sigmoid()
