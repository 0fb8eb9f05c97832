"""Any actor as a `Policy`: keeps the path and the gripper's state from one observation to the next."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch

from hamster.data import Observation, View
from hamster.devices import check_dtype
from hamster.path import Path2D
from hamster.policy.actor import AnyActor, Prediction, Tensors
from hamster.policy.base import Motion, PolicyError
from hamster.policy.path_prompt import Guide
from hamster.policy.scene import Body, Scene

SURELY = 0.9
OPEN = 0.5  # of the measured opening; only asked before the policy has commanded anything


class ActorPolicy:
    """One answer at a time. The same observations and paths give the same motions: its noise is seeded.

    Observations are prepared on the CPU and moved to where the actor's weights are. The noise is drawn on the CPU and
    moved there, too, so that a policy starts from the same noise on every device.

    Args:
        actor: on the device where it is to compute.
        seed: of the noise.
        dtype: in which the network computes, one of `devices.DTYPES`; "auto" is that of its weights. With "bfloat16"
            and "float16" the weights stay as they are, and so does what becomes millimetres, as in training (autocast).
    """

    def __init__(self, actor: AnyActor, seed: int = 0, dtype: str = "auto") -> None:
        self.actor, self.seed, self.dtype = actor.eval(), seed, check_dtype(dtype)
        self.reset()

    def reset(self) -> None:
        """Forgets the episode."""
        self._path: Path2D | None = None
        self._guide: Guide | None = None
        self._open: bool | None = None  # the last command
        self._before: Body | None = None
        self._generator = torch.Generator().manual_seed(self.seed)

    def act(self, observation: Observation, path: Path2D | None, instruction: str = "") -> Motion:
        """The next poses; see `Policy.act`."""
        scene = self.scene(observation, path, instruction)
        found = self._predicted(self.actor.prepare(scene))
        body = scene.body
        if path is not None and found.done[0] > SURELY:
            return Motion(body.tool_pose_world[None], np.array([body.is_open]))  # the path is at its end: stay
        config = self.actor.config
        executed = config.executed or config.horizon
        is_open = (found.is_open[0, :executed] > 0.5).numpy()
        poses = np.tile(np.eye(4), (len(is_open), 1, 1))
        poses[:, :3, :3] = found.rotation[0, :executed].double().numpy()
        poses[:, :3, 3] = body.tool_pose_world[:3, 3] + found.position[0, :executed].double().numpy()
        self.remember(bool(is_open[-1]), body)
        touches = found.touches[0, :executed].double().numpy()
        says = None if np.isnan(touches).all() else touches
        return Motion(poses, is_open, config.step_s if config.head == "chunk" else None, says)

    def _predicted(self, inputs: Tensors) -> Prediction:
        """The actor's answer, on the CPU.

        Raises:
            PolicyError: if a number of it is not finite.
        """
        device = self.device
        half = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(self.dtype)
        computing = nullcontext() if half is None else torch.autocast(device.type, half)
        with torch.inference_mode(), computing:
            batch = type(inputs).stack([inputs]).to(device)
            found: Prediction = self.actor.predict(batch, self._generator).to(torch.device("cpu"))
        numbers = vars(found) if not found.touches.isnan().all() else vars(found) | {"touches": torch.zeros(())}
        bad = [name for name, value in numbers.items() if not torch.isfinite(value).all()]
        if bad:
            raise PolicyError(
                f"the policy's answer is not finite ({', '.join(bad)}): its weights are at fault, or numbers that "
                f"{self.dtype} cannot hold; try dtype float32, or another checkpoint"
            )
        return found

    @property
    def device(self) -> torch.device:
        """Where the actor computes."""
        return next(self.actor.parameters()).device

    def remember(self, is_open: bool, before: Body) -> None:
        """What the gripper was told last, and what the robot felt when that was decided."""
        self._open, self._before = is_open, before

    def scene(self, observation: Observation, path: Path2D | None, instruction: str = "") -> Scene:
        """What the actor is given: the policy's views, the body, and the path with the view it first came with."""
        views = self._views(observation)
        if path is not self._path:
            config = self.actor.config
            self._path = path
            known = path if path is None or config.path_depth else replace(path, depth_m=None)
            self._guide = None if known is None else Guide(known, views[config.cameras[0]])
        return Scene(views, self._body(observation), self._guide, instruction)

    def _views(self, observation: Observation) -> dict[str, View]:
        for name in self.actor.config.cameras:
            if name not in observation.views:
                names = ", ".join(observation.views) or "none"
                raise ValueError(f"the observation lacks the view {name!r} that the policy needs; there are: {names}")
        return {name: observation.views[name] for name in self.actor.config.cameras}

    def _body(self, observation: Observation) -> Body:
        if observation.tool_pose_world is None or observation.gripper is None:
            lacking = "tool_pose_world" if observation.tool_pose_world is None else "gripper"
            raise ValueError(f"the observation has no {lacking}, which this policy needs")
        tool, opening = np.array(observation.tool_pose_world, np.float64), float(observation.gripper)
        is_open = opening > OPEN if self._open is None else self._open
        return Body(tool, opening, is_open, self._before).remembering(self.actor.config.history)
