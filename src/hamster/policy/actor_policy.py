"""Any actor as a `Policy`: keeps the path and the robot's state from one observation to the next."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import torch

from hamster.data import HALF_OPEN, Observation, View
from hamster.devices import check_dtype
from hamster.path import Gripper, Path2D
from hamster.policy.actor import AnyActor, Prediction
from hamster.policy.base import ActionChunk, PolicyError
from hamster.policy.path_prompt import PathPrompt, depth_from_height
from hamster.policy.policy_input import PolicyInput, RobotState, TensorBatch

DONE_PROB = 0.9  # above, and in the state that the path asks for at its end, the robot stays


class ActorPolicy:
    """A policy around an actor. The same observations and paths give the same actions: its noise is seeded.

    Observations are preprocessed on the CPU and moved to where the actor's weights are. The noise is drawn on the CPU
    and moved there, too, so that a policy starts from the same noise on every device.

    Args:
        actor: on the device where it is to compute.
        seed: of the noise.
        dtype: in which the network computes, one of `devices.DTYPES`; "auto" is that of its weights. With "bfloat16"
            and "float16" the weights stay as they are, and so do layers that output metres, as in training (autocast).
    """

    def __init__(self, actor: AnyActor, seed: int = 0, dtype: str = "auto") -> None:
        self.actor, self.seed, self.dtype = actor.eval(), seed, check_dtype(dtype)
        self.reset()

    @property
    def cameras(self) -> tuple[str, ...]:
        """The views that the policy uses, by name; it was trained with these."""
        return tuple(self.actor.config.cameras)

    @property
    def device(self) -> torch.device:
        """Where the actor computes."""
        return next(self.actor.parameters()).device

    def reset(self) -> None:
        """Forget the episode."""
        self._path: Path2D | None = None
        self._prompt: PathPrompt | None = None
        self._commanded_open: bool | None = None
        self._previous: RobotState | None = None
        self._generator = torch.Generator().manual_seed(self.seed)

    def act(self, observation: Observation, path: Path2D | None, instruction: str = "") -> ActionChunk:
        """Return the next poses; see `Policy.act`."""
        policy_input = self.make_input(observation, path, instruction)
        prediction = self._predict(self.actor.preprocess(policy_input))
        robot, config = policy_input.robot, self.actor.config
        prompt = policy_input.prompt
        if prompt is not None and prediction.done[0] > DONE_PROB and _is_fulfilled(prompt, robot):
            return ActionChunk(robot.tool_pose_world[None], np.array([robot.is_open]))
        executed = slice(config.n_action_steps or config.horizon)
        is_open = (prediction.is_open[0, executed] > 0.5).numpy()
        poses = np.tile(np.eye(4), (len(is_open), 1, 1))
        poses[:, :3, :3] = prediction.rotation[0, executed].double().numpy()
        poses[:, :3, 3] = robot.tool_pose_world[:3, 3] + prediction.position[0, executed].double().numpy()
        contact_prob = prediction.contact_prob[0, executed].double().numpy()
        self.remember(bool(is_open[-1]), robot)
        return ActionChunk(
            poses=poses,
            gripper_open=is_open,
            step_s=config.step_s if config.action_type == "chunk" else None,
            contact_prob=None if np.isnan(contact_prob).all() else contact_prob,
        )

    def make_input(self, observation: Observation, path: Path2D | None, instruction: str = "") -> PolicyInput:
        """Return what the actor is given: views, robot state, and the path with the view that it first came with.

        With `history_since_path`, the history of the robot's state begins anew with each new path.

        Args:
            observation, path, instruction: as of `Policy.act`.
        """
        views = self._views(observation)
        if path is None:
            self._path = self._prompt = None
        elif self._path is None or (path is not self._path and path != self._path):
            config, self._path = self.actor.config, path
            if config.history_since_path:
                self._previous = None
            view = views[config.cameras[0]]
            if config.path_depth:
                path = depth_from_height(path, view.camera)
            elif path.depth_m is not None:
                path = replace(path, depth_m=None)
            self._prompt = PathPrompt(path, view)
        return PolicyInput(views, self._robot_state(observation), self._prompt, instruction)

    def remember(self, commanded_open: bool, robot: RobotState) -> None:
        """Note the gripper command that was returned last, and the robot's state at that call."""
        self._commanded_open, self._previous = commanded_open, robot

    def _predict(self, inputs: TensorBatch) -> Prediction:
        """Return the actor's prediction, on the CPU; PolicyError if a number of it is not finite."""
        device = self.device
        half = {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(self.dtype)
        precision = nullcontext() if half is None else torch.autocast(device.type, half)
        with torch.inference_mode(), precision:
            batch = type(inputs).stack([inputs]).to(device)
            prediction: Prediction = self.actor.predict(batch, self._generator).detach().to(torch.device("cpu"))
        values = vars(prediction)
        if prediction.contact_prob.isnan().all():  # it is not predicted
            values = {name: value for name, value in values.items() if name != "contact_prob"}
        if bad := [name for name, value in values.items() if not torch.isfinite(value).all()]:
            raise PolicyError(
                f"the policy's output is not finite ({', '.join(bad)}): its weights are at fault, or numbers that "
                f"{self.dtype} cannot hold; try dtype float32, or another checkpoint"
            )
        return prediction

    def _views(self, observation: Observation) -> dict[str, View]:
        for name in self.actor.config.cameras:
            if name not in observation.views:
                names = ", ".join(observation.views) or "none"
                raise ValueError(f"the observation lacks the view {name!r} that the policy needs; there are: {names}")
        return {name: observation.views[name] for name in self.actor.config.cameras}

    def _robot_state(self, observation: Observation) -> RobotState:
        if observation.tool_pose_world is None or observation.gripper is None:
            missing = "tool_pose_world" if observation.tool_pose_world is None else "gripper"
            raise ValueError(f"the observation has no {missing}, which this policy needs")
        tool, opening = np.array(observation.tool_pose_world, np.float64), float(observation.gripper)
        is_open = opening > HALF_OPEN if self._commanded_open is None else self._commanded_open
        state = RobotState(tool, opening, is_open, self._previous)
        return state.truncated(self.actor.config.n_obs_history)


def _is_fulfilled(prompt: PathPrompt, robot: RobotState) -> bool:
    """Return whether the tool is at the path's end, and the gripper in the state that the path asks for there."""
    state = Gripper(int(prompt.path.gripper[-1]))
    if state is Gripper.OPEN and not (robot.is_open and robot.opening > HALF_OPEN):
        return False
    if state is Gripper.CLOSED and robot.is_open:
        return False
    return prompt.ends_at(robot.tool_pose_world)
