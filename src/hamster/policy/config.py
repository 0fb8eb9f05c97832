"""Configuration fields that all policy types share; saved as config.json beside the weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

ActionType = Literal["keypose", "trajectory", "chunk"]


@dataclass(frozen=True)
class ActorConfig:
    """Fields shared by all policy configurations.

    Attributes:
        type: name of the policy type in `registry.POLICY_TYPES`.
        needs_depth: whether its cameras need depth and calibration.
        cameras: names of the views that the network gets; the path is drawn on the first one.
        action_type: what one prediction is: the next keypose, a trajectory of `horizon` poses to it, or the poses of
            the next `horizon` frames (a chunk).
        horizon: poses in a prediction; 1 for keyposes.
        step_s: seconds from one pose of a chunk to the next.
        n_action_steps: poses of a prediction that are executed before the next one; 0: all of them.
        n_obs_history: number of earlier calls of the policy that it remembers: tool position and gripper command.
        history_since_path: forget the calls before the path in force came, so that what was done for another path does
            not decide what is done next. Checkpoints of version 0.1 remember them.
        path_depth: place waypoints at their own depth, or height, where they have one, instead of on the surface behind
            them.
        conditioners: how the network gets the path, see `hamster.policy.conditioning`.
    """

    type: ClassVar[str]
    needs_depth: ClassVar[bool] = True

    cameras: tuple[str, ...] = ("front",)
    action_type: ActionType = "keypose"
    horizon: int = 1
    step_s: float = 0.2
    n_action_steps: int = 0
    n_obs_history: int = 1
    history_since_path: bool = False
    path_depth: bool = False
    conditioners: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.horizon < 1 or (self.action_type == "keypose" and self.horizon != 1):
            raise ValueError(f"action_type {self.action_type!r} cannot have a horizon of {self.horizon}")
        if not (self.step_s > 0 and 0 <= self.n_action_steps <= self.horizon):
            raise ValueError(
                f"need step_s > 0 and 0 <= n_action_steps <= horizon, got {self.step_s} and {self.n_action_steps}"
            )
        if not 1 <= self.n_obs_history <= 8:
            raise ValueError(f"n_obs_history must be 1 to 8, got {self.n_obs_history}")
        if not self.cameras:
            raise ValueError("a policy needs at least one camera")
